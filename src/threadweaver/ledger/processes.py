"""Who holds a claim, and whether that process is still alive."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
import uuid
from pathlib import Path

SILENT_SECONDS = 120.0  # a process of another machine that was silent for so long counts as dead
_ours: set[str] = set()  # open owners of this process, which its pid does not tell apart from closed ones


def host() -> str:
    """Return the machine and the PID namespace: containers of one machine do not see each other's pids."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace}".strip()


def started(pid: int) -> str:
    """Return when a process began, in ticks since boot: a pid may be given out again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def register(db: sqlite3.Connection) -> str:
    """Enter this process as an owner and drop the claims of dead ones."""
    owner = uuid.uuid4().hex
    _ours.add(owner)
    db.execute(
        "INSERT INTO owners VALUES (?, ?, ?, ?, ?)", (owner, host(), os.getpid(), started(os.getpid()), time.time())
    )
    for (other,) in db.execute("SELECT owner FROM owners").fetchall():
        if not alive(db, other):
            db.execute("DELETE FROM claims WHERE owner = ?", (other,))
            db.execute("DELETE FROM owners WHERE owner = ?", (other,))
    return owner


def leave(db: sqlite3.Connection, owner: str) -> None:
    """Remove an owner; what it had reserved and not settled stays, and counts as spent."""
    db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
    db.execute("DELETE FROM owners WHERE owner = ?", (owner,))


def forget(owner: str) -> None:
    """Count an owner of this process as dead, whether or not it could `leave`."""
    _ours.discard(owner)


def beat(db: sqlite3.Connection, owner: str) -> None:
    db.execute("UPDATE owners SET heartbeat = ? WHERE owner = ?", (time.time(), owner))


def alive(db: sqlite3.Connection, owner: str) -> bool:
    row = db.execute("SELECT host, pid, started, heartbeat FROM owners WHERE owner = ?", (owner,)).fetchone()
    if row is None:
        return False
    where, pid, began, heartbeat = row
    if where != host():
        return time.time() - heartbeat < SILENT_SECONDS
    if pid == os.getpid():
        return owner in _ours
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not began or started(pid) in (began, "")
