"""Many rows in one statement.

Python's sqlite3 gives the GIL away at every step of a statement, and beside a busy event loop getting it
back takes milliseconds: fifteen small statements a call held a client at 220 calls/s of its 500. So a
transaction runs a few statements for all of its calls. Sizes are powers of two, so that few different
statements are prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

MOST_VALUES = 8192  # bound values in a statement; SQLite's own limit is 32,766


def select_in(db: sqlite3.Connection, head: str, values: Sequence[Any], tail: str = "") -> list[tuple[Any, ...]]:
    """Return all rows of `head IN (values) tail`; the list is filled up to a power of two with its last value."""
    rows: list[tuple[Any, ...]] = []
    for at in range(0, len(values), MOST_VALUES):
        part = list(values[at : at + MOST_VALUES])
        part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
        rows += db.execute(f"{head} IN ({','.join('?' * len(part))}) {tail}", part).fetchall()
    return rows


def write_rows(db: sqlite3.Connection, head: str, rows: Sequence[Sequence[Any]], tail: str = "") -> None:
    """Run `head VALUES (…), (…) tail` for all rows."""
    for part in _powers(rows, MOST_VALUES // len(rows[0]) if rows else 1):
        places = f"({','.join('?' * len(part[0]))})"
        db.execute(f"{head} VALUES {','.join([places] * len(part))} {tail}", [value for row in part for value in row])


def _powers(rows: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """Split the rows into parts whose lengths are powers of two."""
    at = 0
    while at < len(rows):
        size = 1 << (min(most, len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size
