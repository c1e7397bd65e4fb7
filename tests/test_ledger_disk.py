"""A full disk, files that are not ledgers, ledgers that cannot be written."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from ledgers import key, pay, record, run_child, tiny_disk
from threadweaver.errors import UserError
from threadweaver.ledger import BatchEntry, Ledger, LedgerFull, writer

# a full disk


@pytest.fixture
def small(tmp_path):
    """A ledger that SQLite reports as full after some pages: the same error as with a full disk."""
    ledger = Ledger(tmp_path / "l.sqlite")
    pages = ledger.thread.call(lambda db: db.execute("PRAGMA page_count").fetchone()[0], write=False)
    ledger.thread.call(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone(), write=False)
    yield ledger
    make_room(ledger)
    ledger.close()


def make_room(ledger: Ledger) -> None:
    ledger.thread.call(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone(), write=False)


async def test_a_full_disk_stops_calls_keeps_replies_and_can_be_continued(small, capsys):
    paid: list[str] = []
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
    # Reported once, in one line.
    reported = capsys.readouterr().err
    assert reported.count("no room left") == 1 and "1 entry waits until" in reported
    # The disk is full, yet what is there can be read; and with room the reply that was received is written.
    assert await small.find(key("x0"))
    await asyncio.wait_for(asyncio.gather(asyncio.to_thread(make_room, small), waiting), 20)
    assert await small.find(waiting.result().base)
    assert (await small.claim(key("after"), 0, None)).state == "mine"


async def test_what_finds_no_space_until_the_end_is_reported_as_lost(tmp_path):
    ledger = Ledger(tmp_path / "l.sqlite")
    ledger.thread.close_seconds = 0.3
    ledger.thread.call(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone(), write=False)
    waiting = asyncio.create_task(ledger.record(record("x", reply=os.urandom(30_000).hex()), 0))
    await asyncio.sleep(0)
    with pytest.raises(LedgerFull, match="1 entry found no room and is lost"):
        await ledger.aclose()
    with pytest.raises(LedgerFull, match="make space"):
        await waiting


async def test_no_call_is_sent_when_the_disk_has_no_space_for_its_reply(ledger, monkeypatch):
    claim = await ledger.claim(key("x"), 0, None)
    monkeypatch.setattr(writer, "ROOM", 2**62)
    with pytest.raises(LedgerFull, match="make space"):
        await ledger.claim(key("y"), 0, None)
    batch = BatchEntry("b", None, "http://h", "/v1/responses", "submitting", 0, 1, 0.0, True)
    with pytest.raises(LedgerFull, match="make space"):  # nor is a batch
        await asyncio.wait_for(ledger.open_batch(batch, [], None), 20)
    await ledger.record(record("x"), claim.reservation)
    monkeypatch.undo()
    await pay(ledger, "y")


async def test_a_disk_that_really_fills_up(tmp_path):
    folder = tiny_disk(tmp_path)
    if folder is None:
        pytest.skip("needs the right to mount a file system")
    try:
        await fill_and_make_room(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path, *, leave: int) -> None:
    """Fill a disk up to so many bytes."""
    disk = os.statvfs(path.parent)
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        for _ in range(disk.f_bavail - leave // disk.f_bsize):
            file.write(b"x" * disk.f_bsize)


async def fill_and_make_room(folder: Path) -> None:
    ledger = Ledger(folder / "l.sqlite")
    await pay(ledger, "first")
    replies = {f"x{number}": os.urandom(30_000).hex() for number in range(20)}
    claims = {text: await ledger.claim(key(text), 0, None) for text in replies}

    async def receive(text: str) -> None:
        await ledger.record(record(text, reply=replies[text]), claims[text].reservation)

    # Too little for another call, enough for the replies that are under way.
    fill(folder / "filler", leave=writer.ROOM - 2**20)
    with pytest.raises(LedgerFull):
        await ledger.claim(key("refused"), 0, None)
    await asyncio.wait_for(asyncio.gather(*(receive(f"x{number}") for number in range(10))), 20)
    # Nothing at all: what is received waits, what is there can be read.
    fill(folder / "filler", leave=0)
    waiting = [asyncio.create_task(receive(f"x{number}")) for number in range(10, 20)]
    await asyncio.sleep(0.5)
    with pytest.raises(LedgerFull):
        await ledger.claim(key("refused"), 0, None)
    assert not any(task.done() for task in waiting) and await ledger.find(key("x0"))
    (folder / "filler").unlink()
    await asyncio.wait_for(asyncio.gather(*waiting), 20)
    await pay(ledger, "after")
    ledger.close()
    ledger = Ledger(folder / "l.sqlite")
    for text, reply in replies.items():
        assert (await ledger.find(key(text)))[0].reply == reply
    ledger.close()


def no_room(db: sqlite3.Connection, *_: object) -> None:
    """An operation that SQLite finds no room for."""
    db.execute("PRAGMA max_page_count = 1").fetchone()
    db.execute("INSERT INTO texts VALUES (x'00', zeroblob(100000))")


async def test_what_can_be_done_without_does_not_wait_for_room(tmp_path, monkeypatch, capsys):
    path = tmp_path / "l.sqlite"
    ledger = Ledger(path)
    on_wire, unsent = [await ledger.claim(key(text), 5, None) for text in ("on the wire", "unsent")]
    ledger.in_doubt.add(on_wire.reservation)
    with pytest.raises(LedgerFull, match="make space"):
        ledger.thread.wait(writer.BOOKKEEPING, no_room)
    with monkeypatch.context() as full:
        full.setattr("threadweaver.ledger.budget.close_open", no_room)
        await asyncio.wait_for(ledger.aclose(), 10)
    assert capsys.readouterr().err == ""
    reader = Ledger(path)
    spending = await reader.spending()
    assert unsent.state == "mine" and (spending.reserved, spending.uncertain) == (10, 10)
    await reader.aclose()


async def test_a_ledger_that_has_no_room_for_another_process_can_still_be_read(tmp_path, monkeypatch):
    path = tmp_path / "l.sqlite"
    ledger = Ledger(path)
    await pay(ledger, "x")
    await ledger.aclose()
    monkeypatch.setattr("threadweaver.ledger.processes.register", no_room)
    with pytest.raises(LedgerFull, match="make space"):
        await asyncio.wait_for(asyncio.to_thread(Ledger, path), 10)
    reader = await asyncio.wait_for(asyncio.to_thread(Ledger.open_for_reading, path), 10)
    assert reader.read_only and len(await reader.find(key("x"))) == 1
    await reader.aclose()


@pytest.mark.parametrize("killed", [False, True])
async def test_opening_a_ledger_on_a_full_disk(tmp_path, killed):
    """After a killed run its log is there, and only the registration finds no room; else not even the log has any."""
    folder = tiny_disk(tmp_path)
    if folder is None:
        pytest.skip("needs the right to mount a file system")
    try:
        code = "await pay(ledger, 'x')\n" + "import os; os._exit(0)" * killed
        run_child(folder / "l.sqlite", code).communicate(timeout=300)
        assert (folder / "l.sqlite-wal").exists() == killed
        fill(folder / "filler", leave=0)
        with pytest.raises(LedgerFull, match="make space"):
            await asyncio.wait_for(asyncio.to_thread(Ledger, folder / "l.sqlite"), 10)
        reader = await asyncio.wait_for(asyncio.to_thread(Ledger.open_for_reading, folder / "l.sqlite"), 10)
        assert reader.read_only and len(await reader.find(key("x"))) == 1
        await reader.aclose()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


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
def test_what_is_not_a_file_is_not_waited_for(tmp_path, read_only):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is not a file"):
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


REPLIES = """
id INTEGER, key BLOB!, base BLOB!, attempt INTEGER!, api TEXT!, model TEXT!, stage TEXT!, turn INTEGER!, request BLOB!,
request_bytes INTEGER!, reply BLOB!, reply_bytes INTEGER!, status TEXT!, finish TEXT!, extra TEXT, input INTEGER!,
cached INTEGER!, output INTEGER!, reasoning INTEGER!, cost INTEGER, tier TEXT!, imported INTEGER!, sent REAL!,
done REAL!, verdict TEXT, why TEXT, judged REAL
"""


def test_the_columns_are_those_of_every_ledger_of_this_format(ledger):
    """A new field needs a new format, and a migration for ledgers of this one."""
    query = "SELECT name || ' ' || type || iif(\"notnull\", '!', '') FROM pragma_table_info('replies')"
    columns = ledger.thread.call(lambda db: [column for (column,) in db.execute(query)], write=False)
    assert columns == [column.strip() for column in REPLIES.split(",")]
