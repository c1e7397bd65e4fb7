"""A damaged ledger: everybody gets one line, and nothing is half done."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex

import pytest

from ledgers import filled, key, overwrite, pay, pay_random, record
from threadweaver.errors import UserError
from threadweaver.ledger import Ledger, LedgerDamaged, schema, transfer


async def test_a_damaged_ledger_is_reported_to_everybody_with_the_remedy(tmp_path):
    path = tmp_path / "l.sqlite"
    await filled(path, 100)
    overwrite(path, 20, 30)
    ledger = Ledger(path)
    finds = (ledger.find(key(f"x{number}")) for number in range(100))
    outcomes = await asyncio.wait_for(asyncio.gather(*finds, return_exceptions=True), 30)
    broken = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert broken and all(
        isinstance(error, LedgerDamaged) and "restore a copy" in str(error) and "\n" not in str(error)
        for error in broken
    )
    assert any(bool(outcome) for outcome in outcomes if isinstance(outcome, list))
    with pytest.raises(LedgerDamaged, match=r'l\.sqlite "\.recover" \| sqlite3 new\.sqlite'):
        await asyncio.to_thread(transfer.export, ledger, tmp_path / "out.jsonl")
    ledger.close()
    assert [file.name for file in tmp_path.iterdir()] == ["l.sqlite"]


@pytest.mark.parametrize("reply", ["", "ab" * 32])
def test_the_commands_that_lead_out_run_as_printed(reply):
    path = "/data/a run/it's; a $(ledger).sqlite"
    command = schema.damaged_message(path, schema.Unreadable("what", reply)).split("`")[1]
    assert shlex.split(command)[:2] == ["sqlite3", path]


@pytest.mark.parametrize("page", range(1, 12))
async def test_wherever_a_ledger_is_damaged_nobody_meets_an_error_of_sqlite(tmp_path, page):
    path = tmp_path / "l.sqlite"
    await filled(path, 30)
    overwrite(path, page, 1)
    with contextlib.suppress(UserError):
        ledger = Ledger(path)
        for act in (ledger.spending, ledger.statistics, ledger.batches, lambda: pay_random(ledger, 40)):
            with contextlib.suppress(UserError):
                await asyncio.wait_for(act(), 20)
        ledger.close()
    with contextlib.suppress(LedgerDamaged):
        ledger = Ledger(path, read_only=True)
        assert await asyncio.to_thread(transfer.export, ledger, tmp_path / "out.jsonl") >= 30
    ledger.close()


async def test_a_reply_that_is_not_what_was_written_can_be_given_up(ledger, tmp_path):
    await pay(ledger, "x")
    await pay(ledger, "y")
    await ledger.thread.run(
        lambda db: db.execute("UPDATE replies SET reply = x'7a00ff' WHERE key = ?", (bytes.fromhex(key("x")),))
    )
    with pytest.raises(LedgerDamaged) as raised:
        await ledger.find(key("x"))
    with pytest.raises(LedgerDamaged):
        await asyncio.to_thread(transfer.export, ledger, tmp_path / "out.jsonl")
    statement = re.search(r'ledger\.sqlite "(DELETE [^"]*)"`$', str(raised.value))[1]
    await ledger.thread.run(lambda db: db.execute(statement))
    assert await asyncio.to_thread(transfer.export, ledger, tmp_path / "out.jsonl") == 1
    assert (await ledger.claim(key("x"), 1, None)).state == "mine"


@pytest.mark.parametrize("where", [0, 5, -1])
async def test_a_letter_of_a_short_reply_that_flips_on_the_disk_is_seen(tmp_path, where):
    path = tmp_path / "l.sqlite"
    ledger = Ledger(path)
    entry = record("x", reply="a reply that stands out")
    await ledger.record(entry, 0)
    ledger.close()
    content = bytearray(path.read_bytes())
    at = content.index(b"a reply that stands out") + (where if where >= 0 else 22)
    content[at] ^= 2
    path.write_bytes(content)
    ledger = Ledger(path, read_only=True)
    with pytest.raises(LedgerDamaged, match="cannot be read"):
        await ledger.find(entry.base)
    ledger.close()


async def test_a_short_reply_of_an_earlier_version_is_read(ledger):
    entry = await pay(ledger, "x")
    ledger.thread.call(lambda db: db.execute("UPDATE replies SET reply = ?", (b"-" + entry.reply.encode(),)))
    assert [found.reply for found in await ledger.find(entry.base)] == [entry.reply]


async def test_what_json_cannot_hold_in_the_extras_of_a_reply_loses_no_reply(ledger):
    nan = float("nan")
    entry = record("x", extra={"stop_reason": nan, "probabilities": [0.5, nan, float("-inf")], "ids": [1]})
    await ledger.record(entry, 0)
    [found] = await ledger.find(entry.base)
    assert found.reply == entry.reply
    assert found.extra == {"stop_reason": None, "probabilities": [0.5, None, None], "ids": [1]}
