"""File systems without locks: a folder and a ledger are written all the same, by one process at a time."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from ledgers import pay
from threadweaver import files
from threadweaver.errors import UserError
from threadweaver.files import FileLock
from threadweaver.ledger import Ledger, locking, schema

BUSY = "busy: {holder}"


@pytest.fixture(params=["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def no_locks(monkeypatch, request):
    """What the kernel says of a lock on Lustre without -o flock, on NFS without a lock service, and elsewhere."""

    def refused(*_):
        raise OSError(getattr(errno, request.param), "no locks here")

    for name in ("flock", "lockf"):
        monkeypatch.setattr(files.fcntl, name, refused)


def test_a_folder_is_locked_by_a_second_file_where_files_cannot_be_locked(no_locks, tmp_path):
    lock = FileLock(tmp_path / ".lock")
    lock.acquire(BUSY)
    with pytest.raises(UserError, match=f"busy: {os.getpid()}"):
        FileLock(tmp_path / ".lock").acquire(BUSY)
    lock.release()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    lock.acquire(BUSY)
    lock.release()


def test_the_lock_of_a_dead_process_is_taken_over_and_that_of_another_machine_is_named(no_locks, tmp_path):
    held = tmp_path / ".lock.held"
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    held.write_text(f"{done.stdout.strip()} {socket.gethostname()}")
    lock = FileLock(tmp_path / ".lock")
    lock.acquire(BUSY)
    assert held.read_text().startswith(f"{os.getpid()} ")
    lock.release()
    for content, says in ((f"{os.getpid()} another", "a run on another writes here"), ("", "another machine writes")):
        held.write_text(content)
        with pytest.raises(UserError, match=f"{says}.*remove this file"):
            FileLock(tmp_path / ".lock").acquire(BUSY)


async def test_a_ledger_without_locks_keeps_replies_and_one_with_a_log_is_refused(no_locks, tmp_path):
    path = tmp_path / "l.sqlite"
    for read_only in (False, True):
        ledger = Ledger(path, read_only=read_only)
        if not read_only:
            paid = await pay(ledger, "x")
        assert [entry.reply for entry in await ledger.find(paid.base)] == [paid.reply]
        assert (await ledger.spending()).spent == 5
        ledger.close()
    assert [item.name for item in tmp_path.iterdir()] == ["l.sqlite"]
    (tmp_path / "l.sqlite.lock").mkdir()  # as a killed process leaves it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "BUSY_TIMEOUT", 0.1)
        with pytest.raises(UserError, match=r"locked by .*l\.sqlite\.lock: if no other run uses it, remove"):
            Ledger(path)


async def test_a_ledger_of_a_machine_with_locks_is_not_opened_without(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "l.sqlite")
    await pay(ledger, "x")
    ledger.close()
    monkeypatch.setattr(locking, "has_locks", lambda folder: False)
    for read_only in (False, True):
        with pytest.raises(UserError, match="copy it to a disk of this machine"):
            Ledger(tmp_path / "l.sqlite", read_only=read_only)


class NoSharedMemory:
    """A connection where write-ahead logging cannot be had."""

    def __init__(self, name: str):
        self.name, self.statements = name, []

    def execute(self, statement: str):
        self.statements.append(statement)
        if "WAL" in statement:
            error = sqlite3.OperationalError("locking protocol")
            error.sqlite_errorname = self.name
            raise error


@pytest.mark.parametrize("name", ["SQLITE_PROTOCOL", "SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_LOCK"])
def test_without_memory_shared_by_processes_an_ordinary_journal_serves(name):
    db = NoSharedMemory(name)
    schema._write_ahead(db)
    assert db.statements[-1] == "PRAGMA journal_mode=DELETE"
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    assert not schema.no_room(name)
    assert "its file system has no locks" in str(schema.as_user_error("l.sqlite", error))
