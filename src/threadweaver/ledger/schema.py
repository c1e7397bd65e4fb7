"""What a ledger file holds, how it is opened, and what its errors mean to a user."""

from __future__ import annotations

import os
import shlex
import sqlite3
import time
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.ledger import locking
from threadweaver.ledger.entries import FIELDS

VERSION = 1
BUSY_TIMEOUT = 30.0  # seconds that a statement waits for the lock of another process
APPLICATION_ID = 0x54574C31  # "TWL1": tells our file from any other SQLite file


def _columns() -> str:
    """The columns of `replies`: the fields of an entry, and beside each packed one its size before packing."""
    columns = ["id INTEGER PRIMARY KEY"]
    for name, stored in FIELDS.items():
        columns += [f"{name} {stored.sql}", *([f"{name}_bytes INTEGER NOT NULL"] if stored.packed else [])]
    return ", ".join(columns)


# Money is integer nano-dollars: sums of it are exact, and 9.2e9 dollars fit.
# `texts` holds each long message once: the turns of one conversation repeat the chain.
# `totals` are kept in the transaction of what they add up: a reservation reads one row and not all.
SCHEMA = f"""
CREATE TABLE replies ({_columns()});
CREATE INDEX replies_base ON replies (base, attempt);
CREATE TABLE texts (sha256 BLOB PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE owners (owner TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,
    heartbeat REAL NOT NULL);
CREATE TABLE claims (key BLOB PRIMARY KEY, owner TEXT NOT NULL, since REAL NOT NULL);
CREATE TABLE reservations (id INTEGER PRIMARY KEY, key BLOB NOT NULL, owner TEXT NOT NULL,
    amount INTEGER NOT NULL, state TEXT NOT NULL, since REAL NOT NULL);
CREATE TABLE totals (spent INTEGER NOT NULL, reserved INTEGER NOT NULL, last_reservation INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0);
CREATE TABLE batches (id TEXT PRIMARY KEY, remote TEXT, base_url TEXT NOT NULL, endpoint TEXT NOT NULL,
    state TEXT NOT NULL, owner TEXT NOT NULL, rows INTEGER NOT NULL, tokens INTEGER NOT NULL,
    created REAL NOT NULL);
CREATE TABLE batch_rows (key BLOB PRIMARY KEY, batch TEXT NOT NULL, reservation INTEGER NOT NULL,
    request BLOB NOT NULL, stage TEXT NOT NULL, turn INTEGER NOT NULL);
CREATE INDEX batch_rows_batch ON batch_rows (batch);
"""


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file, make it if it is missing, and check that it is a ledger. Raises UserError.

    synchronous=FULL: a commit is on the disk when it returns, so a reply that was returned survives a
    power cut too; a group commit of ten replies costs 0.6 ms on a plain SSD.
    """
    if path != ":memory:":
        _check_place(Path(path), read_only)
    try:
        if path != ":memory:" and writable(path) and not locking.has_locks(Path(path).resolve().parent):
            return _opened_without_locks(path, read_only=read_only)
        if not read_only:
            return _opened(path, path, read_only=False)
        try:
            return _opened(_reading(path, locks=writable(path)), path, read_only=True)
        except sqlite3.Error as error:
            if not no_room(name_of(error)):
                raise
            return _opened(_reading(path, locks=False), path, read_only=True)
    except sqlite3.Error as error:
        kind = LedgerFull if no_room(name_of(error)) else UserError
        raise kind(_why(path, error)) from error


def _opened_without_locks(path: str, *, read_only: bool) -> sqlite3.Connection:
    if locking.has_log(path):
        raise UserError(
            f"the ledger {path} was written where files can be locked, here they cannot: copy it to a disk of this "
            "machine, and name that copy with --ledger PATH"
        )
    return _opened(f"file:{_quoted(path)}?{locking.WITHOUT}", path, read_only=read_only)


def _opened(target: str, path: str, *, read_only: bool) -> sqlite3.Connection:
    uri = target.startswith("file:")
    db = sqlite3.connect(target, timeout=BUSY_TIMEOUT, isolation_level=None, uri=uri, cached_statements=256)
    try:
        _prepare(db, path, read_only)
    except BaseException:
        db.close()
        raise
    return db


def _reading(path: str, *, locks: bool) -> str:
    """Return the address for reading only. A log that others write is read too, which needs locks beside it; where
    there can be no new `locks` (the folder may not be written, or the disk is full) and there is no log, SQLite has to
    know that nobody else writes either.
    """
    log = _log(path)
    if locks:
        mode = "mode=rw"  # query_only: see _prepare
    elif log.exists() and log.stat().st_size:
        mode = "mode=ro"
    else:
        mode = "mode=ro&immutable=1"
    return f"file:{_quoted(path)}?{mode}"


def _log(path: str) -> Path:
    """Return the path of the log, which SQLite keeps beside the file itself, not beside a link to it."""
    return Path(f"{os.path.realpath(path)}-wal")


def _check_place(path: Path, read_only: bool) -> None:
    if path.exists() and not path.is_file():
        raise UserError(f"the ledger {path} is not a file: give another with --ledger PATH")
    if read_only:
        return
    if not writable(str(path)):
        raise UserError(read_only_message(str(path)))
    _make_folder(path)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the ledger's folder {path.parent} cannot be made ({error.strerror}): give another with --ledger PATH"
        ) from error


def _prepare(db: sqlite3.Connection, path: str, read_only: bool) -> None:
    if read_only:
        db.execute("PRAGMA query_only=1")
    else:
        _write_ahead(db)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=2000")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and not read_only:
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={VERSION}")
            version = VERSION
        db.execute("COMMIT")
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise UserError(f"{path} is a database, but not a ledger: give another path with --ledger")
    if version != VERSION:
        raise UserError(
            f"the ledger {path} has format {version}, this program reads {VERSION}: "
            "export it with the version that made it and import it here"
        )


def _write_ahead(db: sqlite3.Connection) -> None:
    """Set the journal to WAL. SQLite does not wait for a lock here (the `timeout` of a connection has no effect), and
    two processes that make the same file at once would find it locked: try again as long as any statement would wait.

    Where no memory can be shared with other processes, an ordinary journal serves.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if name_of(error).startswith(locking.NAMES):
                db.execute("PRAGMA journal_mode=DELETE")
                return
            if not name_of(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _why(path: str, error: sqlite3.Error) -> str:
    name = name_of(error)
    if no_room(name):
        return full_message(path)
    if damage(name):
        return f"{path} is not a ledger, or it is damaged ({error}): give another path with --ledger, or restore a copy"
    if name.startswith("SQLITE_READONLY"):
        return read_only_message(path)
    if name.startswith(locking.NAMES):
        return no_locks_message(path)
    if name.startswith("SQLITE_BUSY") and (held := locking.left_behind(path)):
        return f"the ledger {path} is locked by {held}: if no other run uses it, remove that folder and run again"
    log = _log(path)
    if log.exists() and not writable(path):
        return (
            f"the log {log} of the ledger cannot be read from here ({error}): copy both files into a folder that "
            "can be written and name that copy with --ledger PATH"
        )
    return f"the ledger {path} cannot be opened ({error}): check it and its permissions, or give --ledger PATH"


class LedgerFull(UserError):
    """The disk is full. No further call is sent; what was received waits for room."""


class LedgerDamaged(UserError):
    """The file is a ledger, and parts of it cannot be read."""


class Unreadable(Exception):
    """A row that SQLite can read but that no ledger wrote; `key` is that of the reply, if it is one."""

    def __init__(self, what: str, key: str = "") -> None:
        super().__init__(what)
        self.key = key


UNREAD = ("SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS", "SQLITE_IOERR_DATA")


def name_of(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", None) or ""


def no_room(name: str) -> bool:
    """Whether the disk is full, which SQLite may report as an I/O error too; one of reading or locking is not one of
    room."""
    return name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) and name not in (*UNREAD, *locking.NAMES)


def damage(name: str) -> bool:
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name in UNREAD


def as_user_error(path: str, error: Exception) -> Exception:
    """Return a UserError for what the user can fix, and any other error as it is."""
    name = name_of(error)
    if isinstance(error, Unreadable) or damage(name):
        made: UserError = LedgerDamaged(damaged_message(path, error))
    elif name.startswith("SQLITE_READONLY"):
        made = UserError(read_only_message(path))
    elif name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", *locking.NAMES)):
        made = UserError(_why(path, error))
    else:
        return error
    made.__cause__ = error
    return made


def damaged_message(path: str, error: Exception) -> str:
    file = shlex.quote(path)
    if isinstance(error, Unreadable) and error.key:
        way = f"give this reply up with `sqlite3 {file} \"DELETE FROM replies WHERE key = x'{error.key}'\"`"
    else:
        way = (
            f'recover what SQLite can read with `sqlite3 {file} ".recover" | sqlite3 new.sqlite` (the sqlite3 of '
            "sqlite.org: some distributions leave .recover out) and name that with --ledger"
        )
    return f"the ledger {path} is damaged ({error}): restore a copy, or {way}"


def read_only_message(path: str) -> str:
    return (
        f"the ledger {path} cannot be written: change the permissions of the file and of its folder, or name "
        "another with --ledger PATH (--offline, --plan and an export only read)"
    )


def no_locks_message(path: str) -> str:
    return (
        f"the ledger {path} cannot be locked: its file system has no locks, so name one on a disk of this machine "
        "with --ledger PATH (with run.sh: LEDGER)"
    )


def full_message(path: str) -> str:
    where = Path(path).parent if path != ":memory:" else "memory"
    return f"no room left for the ledger {path}: make space in {where} and run the same command again"


def writable(path: str) -> bool:
    """Whether the ledger can be written here; on a read-only medium it can still be read."""
    file = Path(os.path.realpath(path))
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK) if file.exists() else True
