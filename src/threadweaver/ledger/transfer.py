"""Ledgers as JSONL: one person's paid replies rebuild another's dataset, without a key.

A line holds the whole request, the reply, its tokens and price, and the verdict. Lines are in the order of
their keys, so that the same replies give the same bytes.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from threadweaver.errors import UserError
from threadweaver.ledger import Ledger, LedgerDamaged, entries, salvage, target
from threadweaver.ledger.records import COLUMNS, LedgerEntry, Texts, canonical, insert, read

GROUP = 256


def export(ledger: Ledger, path: Path) -> int:
    """Writes all replies to `path` (in place only when complete) and returns how many.

    Of a damaged ledger it writes what can be read, and then raises LedgerDamaged.
    """
    count = 0
    damaged: list[str] = []
    with target.writing(path, ledger.path) as file:
        for records in _pages(ledger, damaged):
            file.writelines(f"{canonical(entries.as_json(record))}\n".encode("ascii") for record in records)
            count += len(records)
    if damaged:
        raise LedgerDamaged(
            f"the ledger {ledger.path} is damaged: the {count} replies that can be read are in {path}, {damaged[0]}: "
            "import that file into a new ledger, or restore a copy"
        )
    return count


def _pages(ledger: Ledger, damaged: list[str]) -> Iterator[list[LedgerEntry]]:
    """The replies in the order of their keys; `damaged` gets a word on what could not be read."""
    last = b""
    while True:

        def look(db: sqlite3.Connection, after: bytes = last) -> list[LedgerEntry]:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM replies WHERE key > ? ORDER BY key LIMIT ?", (after, GROUP)
            ).fetchall()
            return [read(db, row, with_request=True) for row in rows]

        try:
            records = ledger.thread.call(look, write=False)
        except LedgerDamaged:
            break
        if not records:
            return
        yield records
        last = bytes.fromhex(records[-1].key)
    found = ledger.thread.call(lambda db: salvage.survey(db, last), write=False)
    damaged.append(f"at least {found.lost} cannot" if found.lost else "and none was seen that cannot")
    numbers = [number for _, number in found.keys]
    for at in range(0, len(numbers), GROUP):
        part = numbers[at : at + GROUP]
        yield ledger.thread.call(lambda db, part=part: salvage.records(db, part), write=False)


def load(ledger: Ledger, path: Path) -> tuple[int, int]:
    """Takes in the lines of `path`: (new, already there). Nothing that was there is changed, nothing counts
    as spent.

    Raises UserError that names the first line that is no entry; then nothing of the file is taken in.
    """
    new = known = 0
    with _opened(path) as file:
        for _ in _records(file, path):
            pass  # all of it is looked at before any of it is taken in
        file.seek(0)
        group: list[LedgerEntry] = []

        def flush() -> None:
            nonlocal new, known
            added = ledger.thread.call(lambda db: len(insert(db, group, Texts())))
            new, known = new + added, known + len(group) - added
            group.clear()

        for record in _records(file, path):
            group.append(record)
            if len(group) >= GROUP:
                flush()
        if group:
            flush()
    return new, known


def _opened(path: Path) -> IO[bytes]:
    """The file, or a copy of what can be read only once."""
    try:
        file = open(path, "rb")  # noqa: SIM115
        if file.seekable():
            return file
        with file:
            copy = tempfile.TemporaryFile()  # noqa: SIM115
            shutil.copyfileobj(file, copy)
        copy.seek(0)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
    return copy


def _records(file: IO[bytes], path: Path) -> Iterator[LedgerEntry]:
    number = 0
    try:
        for line in file:
            number += 1
            if line.strip():
                yield entries.parse(line)
    except ValueError as error:
        raise UserError(
            f"line {number} of {path} is no ledger entry ({error}): mend or remove it and import again; "
            "nothing of the file is taken in"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
