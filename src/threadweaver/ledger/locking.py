"""Locks of the file system: SQLite needs them, and some networks do without (Lustre without -o flock, NFS without a
lock service)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from pathlib import Path

WITHOUT = "vfs=unix-dotfile"
"""How SQLite is told to lock by a folder `<file>.lock` instead: one process at a time, also for reading."""
_FAULTS = ("LOCK", "UNLOCK", "RDLOCK", "CHECKRESERVEDLOCK", "SHMOPEN", "SHMLOCK", "SHMMAP")
NAMES = ("SQLITE_PROTOCOL", *(f"SQLITE_IOERR_{name}" for name in _FAULTS))
"""SQLite's errors that mean: no locks, or no memory shared by processes, as write-ahead logging needs."""


def has_locks(folder: Path) -> bool:
    """Whether files in this folder can be locked. True where nothing can be written: then nobody else writes either."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
    return True


def left_behind(path: str) -> Path | None:
    """Return the folder that locks a file where the file system has no locks, if there is one."""
    held = Path(f"{os.path.realpath(path)}.lock")
    return held if held.is_dir() else None


def has_log(path: str) -> bool:
    """Whether a file is in write-ahead mode, which needs locks: its header says so."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(20)[18:20] == b"\2\2"
    return False
