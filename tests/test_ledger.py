"""The ledger: what was paid for is found again, whatever happens to the process."""

from __future__ import annotations

import asyncio
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgers import LONG, key, pay, record, request, run_child
from threadweaver.ledger import Ledger, LedgerEntry, canonical, request_key, transfer

# keys


def test_key_is_of_the_canonical_request_alone():
    one = {"api": "chat", "attempt": 0, "messages": [["user", "ü"]], "model": "m", "params": {"b": 1, "a": 1.0}}
    other = {"params": {"a": 1, "b": 1}, "model": "m", "messages": [("user", "ü")], "attempt": 0, "api": "chat"}
    assert request_key(one) == request_key(other)
    assert (
        canonical(one)
        == '{"api":"chat","attempt":0,"messages":[["user","\\u00fc"]],"model":"m","params":{"a":1,"b":1}}'
    )


@given(st.text(), st.text())
def test_different_texts_have_different_keys(one, other):
    assert (request_key(request(one)) == request_key(request(other))) is (one == other)


# what was paid is kept


async def test_a_reply_is_found_again_by_another_process(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    stored = await pay(ledger, "x")
    # Not closed: the reply must be on the disk as soon as `record` has returned.
    child = run_child(tmp_path / "l.sqlite", "print((await ledger.find(key('x')))[0])")
    assert child.communicate(timeout=300)[0].strip() == str(stored)
    ledger.close()


async def test_long_messages_are_stored_once(ledger, tmp_path):
    for number in range(50):
        await pay(ledger, f"x{number}")
    count = ledger.thread.call(lambda db: db.execute("SELECT count(*) FROM texts").fetchone()[0], write=False)
    assert count == 1
    transfer.export(ledger, tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["request"]["messages"][1][1] for line in lines) == sorted(f"x{n}" for n in range(50))
    assert all(json.loads(line)["request"]["messages"][0][1] == LONG for line in lines)


@given(st.text(st.characters()))
def test_any_text_comes_back(text):
    ledger = Ledger(None)

    async def there_and_back() -> list[LedgerEntry]:
        claim = await ledger.claim(key(text), 0, None)
        await ledger.record(record(text, reply=text * 30, extra={"matched_stop": text}), claim.reservation)
        return await ledger.find(key(text))

    (found,) = asyncio.run(there_and_back())
    ledger.close()
    assert (found.reply, found.extra) == (text * 30, {"matched_stop": text})


async def test_attempts_are_found_together_in_order(ledger):
    for attempt in (1, 0, 2):
        await ledger.record(record("x", attempt=attempt, reply=f"try {attempt}"), 0)
    assert [(found.attempt, found.reply) for found in await ledger.find(key("x"))] == [
        (0, "try 0"),
        (1, "try 1"),
        (2, "try 2"),
    ]


async def test_the_first_reply_is_kept(ledger):
    await ledger.record(record("x", reply="first"), 0)
    second = await ledger.record(record("x", reply="second"), 0)
    assert second.reply == "first"
    # Both were paid.
    assert (await ledger.spending()).spent == 10


async def test_verdicts(ledger):
    await pay(ledger, "x")
    await pay(ledger, "y")
    ledger.judge(key("x"), "rejected", "unparsable")
    ledger.judge(key("y"), "accepted")
    (found,) = await ledger.find(key("x"))
    assert (found.verdict, found.why) == ("rejected", "unparsable")
    ledger.judge(key("x"), "rejected", "unparsable")
    assert (await ledger.find(key("x")))[0].judged == found.judged
    (other,) = await ledger.find(key("y"))
    assert (other.verdict, other.why) == ("accepted", None)
    with pytest.raises(ValueError):
        ledger.judge(key("x"), "fine")


async def test_many_calls_share_a_commit(ledger):
    statements: list[str] = []
    ledger.thread.call(lambda db: db.set_trace_callback(statements.append), write=False)
    await asyncio.gather(*(pay(ledger, f"x{number}") for number in range(400)))
    assert 0 < statements.count("COMMIT") < 100
    assert len(await ledger.statistics("m")) == 1


async def test_a_fault_of_one_operation_does_not_reach_the_others(ledger):
    def fail(db):
        raise ValueError("mine")

    outcomes = await asyncio.gather(pay(ledger, "x"), ledger.thread.run(fail), pay(ledger, "y"), return_exceptions=True)
    assert isinstance(outcomes[1], ValueError)
    assert {found.key for found in (outcomes[0], outcomes[2])} == {key("x"), key("y")}


@pytest.mark.parametrize("fault", [OverflowError, RecursionError, AttributeError, zlib.error, MemoryError])
async def test_any_error_of_an_operation_reaches_its_caller_and_the_thread_continues(ledger, fault):
    def fail(db):
        raise fault("mine")

    outcomes = await asyncio.wait_for(
        asyncio.gather(pay(ledger, "x"), ledger.thread.run(fail), return_exceptions=True), 20
    )
    assert type(outcomes[1]) is fault and outcomes[0].key == key("x")
    with pytest.raises(fault):
        await asyncio.to_thread(ledger.thread.call, fail)
    assert await ledger.find(key("x"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_nobody_waits_for_a_thread_that_has_ended(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")

    def end(db):
        raise SystemExit("not an error that is anybody's")

    waiting = [asyncio.create_task(ledger.thread.run(end)), asyncio.create_task(ledger.find(key("x")))]
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    with pytest.raises(RuntimeError, match="ended"):
        await ledger.find(key("x"))
    assert all(isinstance(outcome, RuntimeError) and "ended" in str(outcome) for outcome in outcomes)
    ledger.thread.close()
