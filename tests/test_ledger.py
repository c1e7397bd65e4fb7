"""The ledger: nothing paid is lost, nothing is paid twice, and no cap is passed, whatever happens to the process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.errors import UserError
from threadweaver.ledger import (
    Ledger,
    LedgerDamaged,
    LedgerEntry,
    LedgerFull,
    canonical,
    entries,
    request_key,
    transfer,
    writer,
)

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


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


async def pay(ledger: Ledger, text: str, *, cost: int = 5) -> LedgerEntry:
    claim = await ledger.claim(key(text), cost, None)
    assert claim.state == "mine"
    return await ledger.record(record(text, cost=cost), claim.reservation)


def run_child(path: Path, code: str) -> subprocess.Popen[str]:
    """Another process on the same ledger; `code` sees `ledger`, `key` and `record`."""
    program = f"""
import asyncio, sys, time
sys.path[:0] = [{SRC!r}, {str(Path(__file__).parent)!r}]
from test_ledger import key, record, pay
from threadweaver.ledger import Ledger
ledger = Ledger({str(path)!r})
async def main():
{textwrap.indent(textwrap.dedent(code), "    ")}
asyncio.run(main())
ledger.close()
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


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
    assert child.communicate(timeout=20)[0].strip() == str(stored)
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


async def test_the_first_reply_stands(ledger):
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
    assert await ledger.verdicts() == {("step1", "accepted", ""): 1, ("step1", "rejected", "unparsable"): 1}
    with pytest.raises(ValueError):
        ledger.judge(key("x"), "fine")


async def test_many_calls_share_a_commit(ledger):
    before = ledger.thread.commits
    await asyncio.gather(*(pay(ledger, f"x{number}") for number in range(400)))
    assert ledger.thread.commits - before < 100
    assert len(await ledger.statistics("m")) == 1


async def test_a_fault_of_one_operation_does_not_reach_the_others(ledger):
    def fail(db):
        raise ValueError("mine")

    outcomes = await asyncio.gather(pay(ledger, "x"), ledger.thread.run(fail), pay(ledger, "y"), return_exceptions=True)
    assert isinstance(outcomes[1], ValueError)
    assert {found.key for found in (outcomes[0], outcomes[2])} == {key("x"), key("y")}


@pytest.mark.parametrize("fault", [OverflowError, RecursionError, AttributeError, zlib.error, MemoryError])
async def test_any_error_of_an_operation_reaches_its_asker_and_the_thread_goes_on(ledger, fault):
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


# one request, one call


async def test_a_claim_is_given_once(tmp_path):
    ledger, other = Ledger(tmp_path / "l.sqlite"), Ledger(tmp_path / "l.sqlite")
    claims = await asyncio.gather(*(each.claim(key("x"), 1, None) for each in (ledger, other)))
    assert sorted(claim.state for claim in claims) == ["mine", "theirs"]
    owner = ledger if claims[0].state == "mine" else other
    await owner.release(0, key=key("x"), billed=False)
    assert (await other.claim(key("x"), 1, None)).state == "mine"
    ledger.close()
    other.close()


async def test_the_claim_of_a_killed_process_is_taken_over(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    child = run_child(
        tmp_path / "l.sqlite",
        """
        await ledger.claim(key('x'), 70, None)
        print('claimed', flush=True)
        time.sleep(60)
    """,
    )
    assert child.stdout.readline() == "claimed\n"
    assert (await ledger.claim(key("x"), 1, None)).state == "theirs"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert (await ledger.claim(key("x"), 1, None)).state == "mine"
    # What it had reserved may have been billed: it counts as spent.
    spending = await ledger.spending()
    assert (spending.reserved, spending.uncertain) == (71, 70)
    ledger.close()


async def test_a_claim_of_another_machine_lives_by_its_heartbeat(ledger):
    def insert(age: float):
        def operation(db):
            db.execute("DELETE FROM owners WHERE owner = 'far'")
            db.execute("INSERT INTO owners VALUES ('far', 'another host', 1, '', ?)", (time.time() - age,))
            db.execute("INSERT OR REPLACE INTO claims VALUES (?, 'far', 0)", (bytes.fromhex(key("x")),))

        return operation

    await ledger.thread.run(insert(10))
    assert (await ledger.claim(key("x"), 0, None)).state == "theirs"
    await ledger.thread.run(insert(1000))
    assert (await ledger.claim(key("x"), 0, None)).state == "mine"


# money


async def test_the_cap_is_never_passed(ledger):
    claims = await asyncio.gather(*(ledger.claim(key(f"x{number}"), 30, 100) for number in range(10)))
    states = [claim.state for claim in claims]
    # The rest may fit once these three turn out cheaper.
    assert states.count("mine") == 3 and states.count("wait") == 7
    mine = [claim for claim in claims if claim.state == "mine"]
    for claim, text in zip(mine, ("x0", "x1", "x2"), strict=True):
        await ledger.record(record(text, cost=30), claim.reservation)
    assert (await ledger.claim(key("y"), 30, 100)).state == "cap"
    assert (await ledger.claim(key("y"), 10, 100)).state == "mine"
    assert (await ledger.claim(key("z"), 30, 130)).state == "mine"


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["paid", "billed", "free", "open"])), max_size=30))
def test_spent_and_reserved_add_up_and_stay_under_the_cap(calls):
    async def play() -> None:
        ledger = Ledger(None)
        spent = reserved = 0
        for number, (amount, end) in enumerate(calls):
            claim = await ledger.claim(key(f"x{number}"), amount, 200)
            assert (claim.state == "mine") is (spent + reserved + amount <= 200)
            if claim.state != "mine":
                continue
            reserved += amount
            if end == "paid":
                await ledger.record(record(f"x{number}", cost=amount // 2), claim.reservation)
                spent, reserved = spent + amount // 2, reserved - amount
            elif end != "open":
                await ledger.release(claim.reservation, key=key(f"x{number}"), billed=end == "billed")
                reserved -= amount * (end == "free")
            seen = await ledger.spending()
            assert (seen.spent, seen.reserved) == (spent, reserved)
        ledger.close()

    asyncio.run(play())


async def test_an_orderly_end_frees_what_was_not_sent(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    sent = await ledger.claim(key("sent"), 5, None)
    await ledger.claim(key("waiting"), 7, None)
    ledger.in_doubt.add(sent.reservation)
    ledger.close()
    ledger = Ledger(tmp_path / "l.sqlite")
    spending = await ledger.spending()
    assert (spending.reserved, spending.uncertain) == (5, 5)
    ledger.close()


# a full disk


@pytest.fixture
def small(tmp_path):
    """A ledger that SQLite finds full after some pages: the same error as of a full disk."""
    ledger = Ledger(tmp_path / "l.sqlite")
    pages = ledger.thread.call(lambda db: db.execute("PRAGMA page_count").fetchone()[0], write=False)
    ledger.thread.call(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone(), write=False)
    yield ledger
    ledger.close()


def make_room(ledger: Ledger) -> None:
    ledger.thread.call(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone(), write=False)


async def test_a_full_disk_stops_calls_keeps_replies_and_goes_on(small, capsys, monkeypatch):
    paid: list[str] = []
    monkeypatch.setattr(writer, "SPARE_BYTES", 2**60)  # as long as the disk is full it cannot be had again
    with pytest.raises(LedgerFull, match="make space"):
        for number in range(1000):
            claim = await small.claim(key(f"x{number}"), 0, None)
            big = record(f"x{number}", reply=os.urandom(3000).hex())
            waiting = asyncio.create_task(small.record(big, claim.reservation))
            await asyncio.sleep(0)
            if number > 2:
                await small.claim(key("another"), 0, None)
            paid.append(big.key)
            await waiting
    assert not waiting.done()
    with pytest.raises(LedgerFull):
        await small.claim(key("yet another"), 0, None)
    # Told once, in one line.
    assert capsys.readouterr().err.count("no room left") == 1
    # The disk is full, yet what is there can be read; and with room the reply that was received is written.
    assert await small.find(key("x0"))
    monkeypatch.undo()
    await asyncio.wait_for(asyncio.gather(asyncio.to_thread(make_room, small), waiting), 20)
    assert await small.find(waiting.result().base)
    assert (await small.claim(key("after"), 0, None)).state == "mine"


def tiny_disk(tmp_path: Path) -> Path | None:
    """A file system of 24 MB, if this machine lets us mount one."""
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


async def test_a_disk_that_really_fills_up(tmp_path):
    folder = tiny_disk(tmp_path)
    if folder is None:
        pytest.skip("needs the right to mount a file system")
    try:
        await fill_and_make_room(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def fill_and_make_room(folder: Path) -> None:
    ledger = Ledger(folder / "l.sqlite")
    await pay(ledger, "first")
    with open(folder / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(b"x" * 4096):
            pass
    replies = {f"x{number}": os.urandom(30_000).hex() for number in range(20)}
    received: dict[str, LedgerEntry] = {}

    async def call(text: str) -> None:
        claim = await ledger.claim(key(text), 0, None)
        await asyncio.sleep(0.01)  # the call to the model
        received[text] = await ledger.record(record(text, reply=replies[text]), claim.reservation)

    outcomes = await asyncio.gather(*(call(text) for text in replies), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, LedgerFull)]
    assert len(received) + len(refused) == len(replies)
    with pytest.raises(LedgerFull):
        for number in range(100):
            await asyncio.wait_for(call_once(ledger, f"more{number}"), 20)
    ledger.close()
    (folder / "filler").unlink()
    ledger = Ledger(folder / "l.sqlite")
    for text in received:
        assert (await ledger.find(key(text)))[0].reply == replies[text]
    await pay(ledger, "after")
    ledger.close()


async def call_once(ledger: Ledger, text: str) -> None:
    claim = await ledger.claim(key(text), 0, None)
    await ledger.record(record(text, reply=os.urandom(100_000).hex()), claim.reservation)


# files that are not ledgers


@pytest.mark.parametrize(
    ("content", "says"), [(b"not a database, only text" * 100, "not a ledger"), (None, "not a ledger")]
)
def test_other_files_are_refused_unharmed(tmp_path, content, says):
    path = tmp_path / "other"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE precious (x)")
        db.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(UserError, match=says):
        Ledger(path)
    assert content is None or path.read_bytes() == before


def test_a_ledger_of_another_format_is_refused(tmp_path):
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UserError, match="format 99"):
        Ledger(path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--ledger"):
        Ledger(tmp_path / "file" / "l.sqlite")


def test_a_closed_ledger_says_so(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.close()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(ledger.find(key("x")))
    assert [file.name for file in tmp_path.iterdir()] == ["l.sqlite"]


async def test_a_ledger_that_cannot_be_written_can_be_read(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    await pay(ledger, "x")
    await ledger.aclose()
    reader = Ledger(tmp_path / "l.sqlite", read_only=True)
    assert len(await reader.find(key("x"))) == 1
    reader.judge(key("x"), "accepted")
    reader.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_no_file_is_not_waited_for(tmp_path, read_only):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is no file"):
        Ledger(tmp_path / "pipe", read_only=read_only)


async def test_a_reader_sees_what_another_has_written_and_changes_nothing(ledger, tmp_path):
    await pay(ledger, "x")
    reader = Ledger(tmp_path / "ledger.sqlite", read_only=True)
    assert len(await reader.find(key("x"))) == 1
    await pay(ledger, "y")
    assert len(await reader.find(key("y"))) == 1
    with pytest.raises(UserError, match="cannot be written"):
        await reader.thread.run(lambda db: db.execute("DELETE FROM replies"))
    await reader.aclose()
    assert len(await ledger.find(key("x"))) == 1


# damaged in the middle


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


async def test_a_damaged_ledger_says_so_to_everybody_and_gives_out_what_can_be_read(tmp_path):
    path = tmp_path / "l.sqlite"
    await filled(path, 100)
    overwrite(path, 20, 30)
    ledger = Ledger(path)
    finds = (ledger.find(key(f"x{number}")) for number in range(100))
    outcomes = await asyncio.wait_for(asyncio.gather(*finds, return_exceptions=True), 30)
    broken = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert broken and all(
        isinstance(error, LedgerDamaged) and "export FILE" in str(error) and "\n" not in str(error) for error in broken
    )
    whole = sum(bool(outcome) for outcome in outcomes if isinstance(outcome, list))
    with pytest.raises(LedgerDamaged, match=r"replies that can be read are in .*out\.jsonl, at least \d+ cannot"):
        await asyncio.to_thread(transfer.export, ledger, tmp_path / "out.jsonl")
    ledger.close()
    assert 0 < whole <= take_in(tmp_path / "out.jsonl")[0] < 100
    keys = [json.loads(line)["key"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("page", range(1, 12))
async def test_wherever_a_ledger_is_damaged_nobody_meets_an_error_of_sqlite(tmp_path, page):
    path = tmp_path / "l.sqlite"
    await filled(path, 30)
    overwrite(path, page, 1)
    with contextlib.suppress(UserError):
        ledger = Ledger(path)
        for act in (ledger.spending, ledger.statistics, ledger.verdicts, lambda: pay_random(ledger, 40)):
            with contextlib.suppress(UserError):
                await asyncio.wait_for(act(), 20)
        ledger.close()
    with contextlib.suppress(LedgerDamaged):
        ledger = Ledger(path, read_only=True)
        assert await asyncio.to_thread(transfer.export, ledger, tmp_path / "out.jsonl") >= 30
    ledger.close()


async def test_a_reply_that_is_not_what_was_written_is_damage(ledger):
    await pay(ledger, "x")
    await ledger.thread.run(lambda db: db.execute("UPDATE replies SET reply = x'7a00ff'"))
    with pytest.raises(LedgerDamaged):
        await ledger.find(key("x"))


# elsewhere


async def test_export_and_import_give_the_same_bytes(ledger, tmp_path):
    for number in range(300):
        await pay(ledger, f"x{number}")
    await ledger.record(
        record("cut", reply="…", status="truncated", verdict="rejected", why="truncated", extra={"a": [1]}), 0
    )
    assert await asyncio.to_thread(transfer.export, ledger, tmp_path / "one.jsonl") == 301
    other = Ledger(tmp_path / "other.sqlite")
    assert await asyncio.to_thread(transfer.load, other, tmp_path / "one.jsonl") == (301, 0)
    assert await asyncio.to_thread(transfer.load, other, tmp_path / "one.jsonl") == (0, 301)
    transfer.export(other, tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert (await other.spending()).spent == 0
    (found,) = await other.find(key("cut"))
    assert (found.verdict, found.imported, found.extra) == ("rejected", True, {"a": [1]})
    await other.aclose()


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[: len(line) // 2],
        lambda line: line.replace('"x1"', '"y"'),
        lambda line: line.replace('"reply"', '"replied"'),
        lambda line: "[]",
    ],
)
async def test_a_damaged_line_is_named_and_nothing_of_the_file_is_taken_in(ledger, tmp_path, damage):
    await pay(ledger, "x0")
    await pay(ledger, "x1")
    path = tmp_path / "out.jsonl"
    transfer.export(ledger, path)
    good, bad = sorted(path.read_text().splitlines(), key=lambda line: '"x1"' in line)
    path.write_text(f"{good}\n{damage(bad)}\n")
    other = Ledger(None)
    with pytest.raises(UserError, match="line 2 of"):
        transfer.load(other, path)
    assert not await other.find(key("x0")) and not await other.find(key("x1"))
    other.close()


NONSENSE = {
    "a cost beyond SQLite's integers": {"cost_nano_usd": 10**30},
    "a cost below them": {"cost_nano_usd": -(10**30)},
    "a negative cost": {"cost_nano_usd": -1},
    "a cost in words": {"cost_nano_usd": "abc"},
    "a cost that is true": {"cost_nano_usd": True},
    "a time that is no number": {"done": float("nan")},
    "a time without end": {"sent": float("inf")},
    "a time of 400 digits": {"done": 10**400},
    "a judgement in words": {"judged": "now", "verdict": "accepted"},
    "negative tokens": {"tokens": {"input": -1, "cached": 0, "output": 1, "reasoning": 0}},
    "more cached tokens than there are": {"tokens": {"input": 1, "cached": 2, "output": 1, "reasoning": 0}},
    "tokens in halves": {"tokens": {"input": 1.5, "cached": 0, "output": 1, "reasoning": 0}},
    "a turn too many": {"turn": 2**63},
    "another verdict": {"verdict": "banana"},
    "a verdict that is a list": {"verdict": ["accepted"]},
    "another status": {"status": "fine"},
    "a reason that is no text": {"why": 7},
    "a stage that no column takes": {"stage": "\ud800"},
    "an extra that is no object": {"extra": 3},
    "a message that is no text": {"request": {**request("x"), "messages": [["user", {"sha256": "00"}]]}},
    "an attempt that is true": {"request": {**request("x"), "attempt": True}},
}


@pytest.mark.parametrize("changes", NONSENSE.values(), ids=NONSENSE)
def test_an_entry_that_the_ledger_would_not_write_is_refused(tmp_path, changes):
    good, bad = (entries.as_json(record(text)) for text in ("good", "x"))
    bad |= changes
    bad["key"] = request_key(bad["request"])
    path = tmp_path / "in.jsonl"
    path.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    check_refused(path, 2)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b'{"key":' * 5000, b"1e999", b"9" * 5000])
def test_a_line_that_is_no_json_of_ours_is_refused(tmp_path, content):
    path = tmp_path / "in.jsonl"
    path.write_bytes(content + b"\n")
    check_refused(path, 1)


def test_an_extra_too_deep_for_the_ledger_is_refused(tmp_path):
    text = json.dumps({**entries.as_json(record("x")), "extra": {"deep": 0}})
    path = tmp_path / "in.jsonl"
    for depth in (200, 900, 5000):
        path.write_text(text.replace('{"deep": 0}', '{"deep":' * depth + "0" + "}" * depth) + "\n")
        try:
            assert take_in(path) == (1, 0)
        except UserError:
            check_refused(path, 1)
    check_refused(path, 1)


def take_in(path: Path) -> tuple[int, int]:
    ledger = Ledger(None)
    try:
        return transfer.load(ledger, path)
    finally:
        ledger.close()


def check_refused(path: Path, line: int) -> None:
    """In one line, and nothing of the file is taken in."""
    ledger = Ledger(None)
    with pytest.raises(UserError, match=f"^line {line} of .* is no ledger entry .*nothing of the file") as raised:
        transfer.load(ledger, path)
    assert "\n" not in str(raised.value)
    assert ledger.thread.call(lambda db: db.execute("SELECT count(*) FROM replies").fetchone(), write=False) == (0,)
    ledger.close()


async def test_import_keeps_what_is_there(ledger, tmp_path):
    await pay(ledger, "x")
    transfer.export(ledger, tmp_path / "out.jsonl")
    other = Ledger(None)
    await other.record(replace(record("x"), reply="its own"), 0)
    transfer.load(other, tmp_path / "out.jsonl")
    assert [found.reply for found in await other.find(key("x"))] == ["its own"]
    other.close()
