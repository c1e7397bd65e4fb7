"""Where an export may go: never onto what somebody may still need."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from threadweaver.errors import UserError
from threadweaver.files import atomic_file
from threadweaver.ledger import entries

BESIDE = ("", "-wal", "-shm", "-journal")
"""A ledger's own files, by what follows its name."""
LONGEST_LINE = 2**28  # bytes


@contextlib.contextmanager
def writing(path: Path, ledger: str) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block ends well, and leaves nothing if it does not; a pipe or
    a terminal is written straight through. Raises UserError that names `path`.
    """
    try:
        check(path, ledger)
        if is_stream(path):
            with open(path, "wb") as file:
                yield file
            return
        _remove_leftovers(_real(path))
        with atomic_file(_real(path), durable=True) as file:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) and not is_stream(path)
        way = f"make room in {_real(path).parent}" if full else "fix that"
        raise UserError(f"{path} cannot be written ({error.strerror}): {way}, or give another FILE") from error


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of exports to this path that were killed: nobody holds their locks any more."""
    for part in path.parent.glob(f".{glob.escape(path.name[:40])}.*.part"):
        with contextlib.suppress(OSError), open(part, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def check(path: Path, ledger: str) -> None:
    """Raises UserError for what an export must not be written over."""
    own = [Path(f"{name}{end}") for name in (ledger, os.path.realpath(ledger)) for end in BESIDE]
    if any(os.path.realpath(path) == os.path.realpath(name) or _same(path, name) for name in own):
        raise UserError(f"{path} is the ledger {ledger} itself or belongs to it: give another FILE for the export")
    if not path.exists() and not _real(path).parent.exists():
        raise UserError(f"the folder {_real(path).parent} of the export was not found: make it, or give another FILE")
    if not path.exists() or is_stream(path):
        return
    if not path.is_file():
        raise UserError(f"{path} is not a file that an export could be written to: give another FILE")
    if not _is_export(path):
        raise UserError(f"{path} exists and is not a ledger export: give another FILE, or remove it first")


def is_stream(path: Path) -> bool:
    """Whether this is a pipe, a terminal, or the file that our standard output goes to."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = os.stat(path)
        if stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode):
            return True
        return os.path.samestat(found, os.fstat(sys.__stdout__.fileno()))
    return False


def _real(path: Path) -> Path:
    """Return the path without links."""
    return Path(os.path.realpath(path))


def _same(path: Path, other: Path) -> bool:
    """Whether both exist and are one file: a hard link has another name."""
    return path.exists() and other.exists() and path.samefile(other)


def _is_export(path: Path) -> bool:
    """Whether the file is an earlier export, or empty."""
    with open(path, "rb") as file:
        line = file.readline(LONGEST_LINE) if file.peek(1)[:1] in (b"{", b"") else b"-"
    with contextlib.suppress(ValueError):
        return not line or bool(entries.parse(line))
    return False
