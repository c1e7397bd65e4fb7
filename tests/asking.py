"""What the tests of the client share: settings without a key, and runs that ask many texts at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from threadweaver.client import Client
from threadweaver.client.requests import Request
from threadweaver.client.settings import ClientSettings, Retrying

SRC = str(Path(__file__).parents[1] / "src")
QUICK = Retrying(tries=5, limited_tries=8, first=0.01, longest=0.05)
KEY = "sk-test-0123456789abcdef"


def settings_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ClientSettings:
    """A ledger in `folder`, quick retries, and a home without a key file."""
    monkeypatch.setenv("HOME", str(folder))
    return ClientSettings(ledger=folder / "l.sqlite", workers=64, retrying=QUICK, timeout=60)


def ask(settings: ClientSettings, text: str, **params: object) -> Request:
    return settings.request([("system", "Be brief."), ("user", text)], **params)


async def ask_all(settings: ClientSettings, texts, label: str = "step1") -> tuple[list, Client]:
    """One run: a client that asks all texts at once; errors are among the replies."""
    async with Client(settings) as client:
        calls = (client.ask(ask(settings, text), label=f"{label}/{text}") for text in texts)
        return await asyncio.gather(*calls, return_exceptions=True), client


async def until(condition) -> None:
    async with asyncio.timeout(300):
        while not condition():
            await asyncio.sleep(0.005)
