"""Who holds a claim, and whether that process still lives."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
import uuid
from pathlib import Path

SILENT_SECONDS = 120.0  # a process of another machine that has not been heard of for so long is taken for dead
_ours: set[str] = set()  # owners of this process that are open: its pid alone does not tell them from closed ones


def host() -> str:
    """The machine and the PID namespace: containers of one machine do not see each other's pids."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()} {namespace}".strip()


def started(pid: int) -> str:
    """When a process began, in ticks since boot, so that a pid given out again is not taken for its
    predecessor.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def register(db: sqlite3.Connection) -> str:
    """Enters this process as an owner and forgets the claims of dead ones."""
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
    """Takes an owner out; what it had reserved and not settled stays, and counts as spent."""
    _ours.discard(owner)
    db.execute("DELETE FROM claims WHERE owner = ?", (owner,))
    db.execute("DELETE FROM owners WHERE owner = ?", (owner,))


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
