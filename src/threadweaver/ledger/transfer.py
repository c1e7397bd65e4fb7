"""Ledgers as JSONL: one person's paid replies rebuild another's dataset, without a key.

A line holds the whole request, the reply, its tokens and price, and the verdict. Lines are in the order of
their keys, so that the same replies give the same bytes.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from threadweaver.errors import UserError
from threadweaver.ledger import Ledger, entries, rows, target
from threadweaver.ledger.entries import LedgerEntry, canonical

GROUP = 256


def export(ledger: Ledger, path: Path, wanted: Callable[[LedgerEntry], bool] = lambda _: True) -> int:
    """Write the wanted replies to `path`, all of them or nothing, and return how many they are."""
    count = 0
    with target.writing(path, ledger.path) as file:
        for page in _pages(ledger):
            chosen = [entry for entry in page if wanted(entry)]
            file.writelines(f"{canonical(entries.as_json(entry))}\n".encode("ascii") for entry in chosen)
            count += len(chosen)
    return count


def _pages(ledger: Ledger) -> Iterator[list[LedgerEntry]]:
    """The replies in the order of their keys."""
    last = b""
    while True:

        def look(db: sqlite3.Connection, after: bytes = last) -> list[LedgerEntry]:
            query = f"SELECT {rows.COLUMNS} FROM replies WHERE key > ? ORDER BY key LIMIT ?"
            return [rows.read(db, row, with_request=True) for row in db.execute(query, (after, GROUP)).fetchall()]

        page = ledger.thread.call(look, write=False)
        if not page:
            return
        yield page
        last = bytes.fromhex(page[-1].key)


def load(ledger: Ledger, path: Path) -> tuple[int, int]:
    """Import the lines of `path` and return how many were new and how many known. What was known is not changed, and
    nothing counts as spent. Raises UserError that names the first line at fault; then nothing of the file is imported.
    """
    new = known = 0
    with _opened(path) as file:
        for _ in _entries(file, path):
            pass  # all of it is checked before any of it is imported
        file.seek(0)
        checked = _entries(file, path)
        while group := list(islice(checked, GROUP)):
            added = ledger.thread.call(lambda db, group=group: len(rows.insert(db, group, rows.Texts())))
            new, known = new + added, known + len(group) - added
    return new, known


def _opened(path: Path) -> IO[bytes]:
    """The file, or a copy of what can be read only once."""
    try:
        file = open(path, "rb")  # noqa: SIM115  closed by the caller
        if file.seekable():
            return file
        with file:
            copy = tempfile.TemporaryFile()  # noqa: SIM115  closed by the caller
            shutil.copyfileobj(file, copy)
        copy.seek(0)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
    return copy


def _entries(file: IO[bytes], path: Path) -> Iterator[LedgerEntry]:
    number = 0
    try:
        for line in file:
            number += 1
            if line.strip():
                yield entries.parse(line)
    except ValueError as error:
        raise UserError(
            f"line {number} of {path} is not a ledger entry ({error}): fix or remove it and import again; "
            "nothing of the file is imported"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
