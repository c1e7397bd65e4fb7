"""Odd answers of a server, one of each kind: what is paid is kept and asked for once, no key is told, the cap holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from asking import ask, settings_in
from fake_openai import FakeOpenAI
from odd_answers import KEPT, KEY, LOST, REFUSALS, Odd
from threadweaver.client import Client, Reply, errors
from threadweaver.client.secrets import Key
from threadweaver.client.transport import Transport
from threadweaver.ledger import NANO

CAP = 40.0


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return replace(settings_in(tmp_path, monkeypatch), max_cost=CAP)


async def outcomes(settings, names) -> dict[str, Reply | Exception]:
    async with Client(settings) as client:
        calls = (client.ask(ask(settings, f"odd: {name}"), label=f"step1/{name}") for name in names)
        found = dict(zip(names, await asyncio.gather(*calls, return_exceptions=True), strict=True))
        assert (await client.ledger.spending()).spent <= CAP * NANO
    return found


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_what_is_paid_is_kept_and_asked_for_once(settings, tmp_path, capfd, api):
    names = [*KEPT, *LOST]
    with FakeOpenAI(disguise=Odd()) as server:
        settings = replace(settings, base_url=server.url, api=api)
        first, again = [await outcomes(settings, names) for _ in range(2)]
        assert server.stats()["answered_twice"] == 0 and server.stats()["answered"] == len(names)
    for found in (first, again):
        assert all(isinstance(found[name], Reply) for name in KEPT)
        assert all(isinstance(found[name], errors.Unreadable) or found[name].status == "empty" for name in LOST)
    assert all(first[name].text == again[name].text for name in KEPT)
    assert all(first[name].cost > 0 for name in KEPT)
    for name in KEPT:
        if name.startswith(("usage", "tier", "rate limits")):
            assert first[name].status == "ok" and first[name].text.endswith(f"odd: {name}")
    assert not told(tmp_path, capfd.readouterr(), [*first.values(), *again.values()])


def told(folder, printed, found) -> list[str]:
    """Return where the key is."""
    kept = [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    texts = [getattr(one, "text", str(one)) for one in found]
    return [text for text in (*kept, *printed, *texts) if KEY in text]


async def test_a_refusal_is_one_line_without_the_key(settings):
    with FakeOpenAI(disguise=Odd()) as server:
        transport = Transport(server.url, Key(KEY, "the test"), timeout=5, connections=8)
        for name in REFUSALS:
            with pytest.raises(errors.ClientError) as raised:
                await transport.ask(ask(settings, f"odd: {name}"), None)
            said = f"{raised.value} {raised.value.answered}"
            assert said.isprintable() and len(said) < 1500, name
            assert not any(KEY[at : at + 10] in said for at in range(len(KEY) - 9)), name
            assert not isinstance(raised.value, errors.NotAReply), name  # nothing is paid
        await transport.close()


async def test_a_body_without_end_is_not_read_to_the_end(settings, monkeypatch):
    monkeypatch.setattr("threadweaver.client.transport.MOST_BYTES", 100_000)
    with FakeOpenAI(disguise=Odd("text of 3 MB")) as server:
        transport = Transport(server.url, Key(KEY), timeout=5, connections=2)
        with pytest.raises(errors.BadReply, match="more than"):
            await transport.fetch("POST", "/chat/completions", b'{"messages": []}', most=100_000)
        await transport.close()
