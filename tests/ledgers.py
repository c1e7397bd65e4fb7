"""Ledgers for the tests: entries, another process on the same ledger, damage, a small disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from threadweaver.ledger import Ledger, LedgerEntry, canonical, request_key, rows

SRC = str(Path(__file__).parents[1] / "src")
LONG = "a chain of thought, " * 100


def request(text: str, attempt: int = 0) -> dict:
    return {
        "api": "responses",
        "attempt": attempt,
        "messages": [["system", LONG], ["user", text]],
        "model": "m",
        "params": {},
    }


def key(text: str, attempt: int = 0) -> str:
    return request_key(request(text, attempt))


def record(text: str, *, cost: int | None = 5, attempt: int = 0, reply: str = "reply", **more: object) -> LedgerEntry:
    values = dict(
        key=key(text, attempt),
        base=key(text),
        attempt=attempt,
        api="responses",
        model="m",
        stage="step1",
        turn=1,
        request=canonical(request(text, attempt)),
        reply=reply,
        status="ok",
        finish="stop",
        input=10,
        cached=4,
        output=6,
        reasoning=2,
        cost=cost,
        tier="default",
        sent=1.5,
        done=2.5,
    )
    return LedgerEntry(**{**values, **more})


async def pay(ledger: Ledger, text: str, *, cost: int = 5) -> LedgerEntry:
    claim = await ledger.claim(key(text), cost, None)
    assert claim.state == "mine"
    return await ledger.record(record(text, cost=cost), claim.reservation)


def write(path: Path, entries: Sequence[LedgerEntry]) -> None:
    """Write a ledger that holds these replies."""
    ledger = Ledger(path)
    ledger.thread.call(lambda db: rows.insert(db, entries, rows.Texts()))
    ledger.close()


def run_child(path: Path, code: str) -> subprocess.Popen[str]:
    """Run another process on the same ledger; `code` sees `ledger`, `key` and `record`."""
    program = f"""
import asyncio, sys, time
sys.path[:0] = [{SRC!r}, {str(Path(__file__).parent)!r}]
from ledgers import key, pay, record
from threadweaver.ledger import Ledger
ledger = Ledger({str(path)!r})
async def main():
{textwrap.indent(textwrap.dedent(code), "    ")}
asyncio.run(main())
ledger.close()
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


async def filled(path: Path, count: int) -> None:
    ledger = Ledger(path)
    for number in range(count):
        await pay_random(ledger, number)
    ledger.close()


async def pay_random(ledger: Ledger, number: int) -> None:
    claim = await ledger.claim(key(f"x{number}"), 1, None)
    await ledger.record(record(f"x{number}", reply=os.urandom(2000).hex()), claim.reservation)


def overwrite(path: Path, page: int, count: int) -> None:
    with open(path, "r+b") as file:
        file.seek(4096 * page)
        file.write(os.urandom(4096 * count))


def tiny_disk(tmp_path: Path) -> Path | None:
    """A file system of 24 MB, if this machine allows mounting one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount
        and subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], capture_output=True
        ).returncode
        == 0
    ):
        return folder
    return None
