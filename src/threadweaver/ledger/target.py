"""Where an export may go: never onto what somebody may still need."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from threadweaver.errors import UserError
from threadweaver.ledger import entries

BESIDE = ("", "-wal", "-shm", "-journal", ".spare")
"""A ledger's own files, by what follows its name."""
LONGEST_LINE = 2**28  # bytes


@contextlib.contextmanager
def writing(path: Path, ledger: str) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends well, and leaves nothing if it does
    not; a pipe or a terminal is written straight through. Raises UserError that names `path`.
    """
    with _told(path):
        straight = check(path, ledger)
        target = path if straight else Path(os.path.realpath(path))
        part = target.with_name(f".export-{os.getpid()}.part")
        if not straight:
            part.unlink(missing_ok=True)
        file = open(path if straight else part, "wb" if straight else "xb")  # noqa: SIM115
    try:
        with _told(path):
            with file:
                yield file
                file.flush()
                if not straight:
                    os.fsync(file.fileno())
            if not straight:
                os.replace(part, target)
    except BaseException:
        if not straight:
            part.unlink(missing_ok=True)
        raise


def check(path: Path, ledger: str) -> bool:
    """Raises UserError for what an export must not write onto. True: to be written straight through."""
    own = [f"{name}{end}" for name in (ledger, os.path.realpath(ledger)) for end in BESIDE]
    if os.path.realpath(path) in map(os.path.realpath, own) or any(_same(path, name) for name in own):
        raise UserError(f"{path} is the ledger {ledger} itself or belongs to it: give another FILE for the export")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if is_straight(path):
        return True
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is no file that an export could be written to: give another FILE")
    if not _replaceable(path):
        raise UserError(f"{path} is there and is no ledger export: give another FILE, or remove it first")
    return False


def is_straight(path: Path) -> bool:
    """A pipe, a terminal, or the file that our standard output goes to."""
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or _is_stdout(path)
    return False


def _is_stdout(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return os.path.samestat(os.stat(path), os.fstat(sys.__stdout__.fileno()))  # type: ignore[union-attr]
    return False


def _same(path: Path, name: str) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(path, name)
    return False


def _replaceable(path: Path) -> bool:
    """An earlier export, or nothing at all."""
    with open(path, "rb") as file:
        line = file.readline(LONGEST_LINE) if file.peek(1)[:1] in (b"{", b"") else b"-"
    if not line:
        return True
    with contextlib.suppress(ValueError):
        entries.parse(line)
        return True
    return False


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors by the name that the user gave, not by that of the file beside it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = f"no space left to write {path}: make room in {path.parent}, or give another FILE"
        elif isinstance(error, FileNotFoundError):
            why = f"the folder {path.parent} of {path} is not there: make it, or give another FILE"
        else:
            why = f"{path} cannot be written ({error.strerror}): mend that, or give another FILE"
        raise UserError(why) from error
