"""Spending under a cap: the worst case of a call is reserved before it is sent, and settled after.

A reservation that is never settled (its process was killed, or the end of its call is not known) counts as spent.
Amounts are nano-dollars.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from threadweaver.ledger import processes
from threadweaver.ledger.bulk import select_in, write_rows
from threadweaver.ledger.schema import Unreadable

OPEN, UNCERTAIN, BATCH = "open", "uncertain", "batch"


def totals(db: sqlite3.Connection) -> tuple[int, int]:
    """Return what is settled and what is reserved, over the life of the ledger; imported replies cost nothing here."""
    row = db.execute("SELECT spent, reserved FROM totals").fetchone()
    if row is None or not all(isinstance(amount, int) for amount in row):
        raise Unreadable("its sum of what was spent cannot be read")
    return row


def uncertain(db: sqlite3.Connection) -> int:
    """Return what killed processes and calls without a known end may have cost at worst."""
    rows = db.execute(
        "SELECT owner, state, sum(amount) FROM reservations WHERE state != ? GROUP BY owner, state", (BATCH,)
    ).fetchall()
    return sum(amount for owner, state, amount in rows if state == UNCERTAIN or not processes.alive(db, owner))


@dataclass
class Reservations:
    """The reservations of one transaction: each is decided by the running total, all are written at once."""

    db: sqlite3.Connection
    state: str
    rows: list[tuple[int, bytes, str, int, str, float]] = field(default_factory=list)
    added: int = 0

    def __post_init__(self) -> None:
        self.committed = sum(totals(self.db))
        self.next_id = self.db.execute("SELECT last_reservation FROM totals").fetchone()[0] + 1
        self.may_come_back: int | None = None

    def add(self, key: bytes, owner: str, amount: int, cap: int | None) -> int | str:
        """Return the reservation's id; "wait" if calls that are under way may free enough, "cap" if they cannot."""
        if cap is not None and self.committed + self.added + amount > cap:
            return "wait" if self._coming_back() >= self.committed + self.added + amount - cap else "cap"
        self.rows.append((self.next_id + len(self.rows), key, owner, amount, self.state, time.time()))
        self.added += amount
        return self.rows[-1][0]

    def _coming_back(self) -> int:
        """Return what living processes have under way: so much would be free if all of it were settled at nothing."""
        if self.may_come_back is None:
            rows = self.db.execute(
                "SELECT owner, sum(amount) FROM reservations WHERE state = ? GROUP BY owner", (OPEN,)
            )
            self.may_come_back = sum(amount for owner, amount in rows.fetchall() if processes.alive(self.db, owner))
        return self.may_come_back + self.added

    def write(self) -> None:
        write_rows(self.db, "INSERT INTO reservations", self.rows)
        self.db.execute(
            "UPDATE totals SET reserved = reserved + ?, last_reservation = last_reservation + ?",
            (self.added, len(self.rows)),
        )


def settle(db: sqlite3.Connection, reservations: Sequence[int], cost: int) -> None:
    """Replace what was reserved for calls by what they cost."""
    freed = sum(row[0] or 0 for row in select_in(db, "SELECT sum(amount) FROM reservations WHERE id", reservations))
    select_in(db, "DELETE FROM reservations WHERE id", reservations)
    db.execute("UPDATE totals SET reserved = reserved - ?, spent = spent + ?", (freed, cost))


def keep_uncertain(db: sqlite3.Connection, reservations: Sequence[int]) -> None:
    """Mark calls that were sent and whose end is not known: the provider may have billed them."""
    select_in(db, f"UPDATE reservations SET state = '{UNCERTAIN}' WHERE id", reservations)


def close_open(db: sqlite3.Connection, owner: str, in_doubt: Collection[int]) -> None:
    """At the orderly end of a process, free what was never sent; what was on the wire stays uncertain."""
    rows = db.execute("SELECT id FROM reservations WHERE owner = ? AND state = ?", (owner, OPEN)).fetchall()
    keep_uncertain(db, [number for (number,) in rows if number in in_doubt])
    settle(db, [number for (number,) in rows if number not in in_doubt], 0)
