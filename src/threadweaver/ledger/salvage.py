"""Reading what can be read of a damaged ledger: each reply by its own number, wherever that can be learned."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from threadweaver.ledger.records import COLUMNS, LedgerEntry, read
from threadweaver.ledger.schema import Unreadable

WAYS = (
    "NOT INDEXED ORDER BY id",
    "INDEXED BY replies_base ORDER BY base, attempt",
    "INDEXED BY sqlite_autoindex_replies_1 ORDER BY key",
)
"""The table and both of its indexes, from both ends: where one breaks off, another goes on."""
GAP = 100_000  # numbers tried between two known ones: a damaged page hides far fewer


@dataclass
class Salvage:
    """`keys`: the replies that can be read, in order, with their numbers; `lost`, numbers that cannot."""

    keys: list[tuple[bytes, int]] = field(default_factory=list)
    lost: int = 0


def survey(db: sqlite3.Connection, after: bytes) -> Salvage:
    """What can be read of the replies whose keys come after this one."""
    known: set[int] = set()
    for way in WAYS:
        for order in (way, ", ".join(f"{name} DESC" for name in way.split(", "))):
            with contextlib.suppress(sqlite3.DatabaseError):
                for (number,) in db.execute(f"SELECT id FROM replies {order}"):
                    known.add(number)
    found = Salvage()
    for number in _with_gaps(sorted(known)):
        try:
            row = db.execute("SELECT key FROM replies NOT INDEXED WHERE id = ?", (number,)).fetchone()
            if row is not None and row[0] > after:
                _read(db, number)
                found.keys.append((row[0], number))
            elif row is None:
                found.lost += number in known
        except (sqlite3.DatabaseError, Unreadable, TypeError):
            found.lost += 1
    found.keys.sort()
    return found


def records(db: sqlite3.Connection, numbers: list[int]) -> list[LedgerEntry]:
    return [_read(db, number) for number in numbers]


def _read(db: sqlite3.Connection, number: int) -> LedgerEntry:
    row = db.execute(f"SELECT {COLUMNS} FROM replies NOT INDEXED WHERE id = ?", (number,)).fetchone()
    return read(db, row, with_request=True)


def _with_gaps(numbers: list[int]) -> Iterator[int]:
    yield from range(max(1, numbers[0] - GAP), numbers[0]) if numbers else ()
    for one, other in pairwise(numbers):
        yield from range(one, other) if other - one <= GAP else (one,)
    yield from numbers[-1:]
