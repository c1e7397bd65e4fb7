"""Spending under a cap: the worst case of a call is reserved before it is sent, and settled after.

A reservation that is never settled (its process was killed, its call ended nobody knows how) counts as spent.
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
    """(settled, reserved), over the life of the ledger; imported replies cost nothing here."""
    row = db.execute("SELECT spent, reserved FROM totals").fetchone()
    if row is None or not all(isinstance(amount, int) for amount in row):
        raise Unreadable("its sum of what was spent cannot be read")
    return row


def uncertain(db: sqlite3.Connection) -> int:
    """What killed processes and calls without a known end may have cost, at worst."""
    rows = db.execute(
        "SELECT owner, state, sum(amount) FROM reservations WHERE state != ? GROUP BY owner, state", (BATCH,)
    ).fetchall()
    return sum(amount for owner, state, amount in rows if state == UNCERTAIN or not processes.alive(db, owner))


@dataclass
class Purse:
    """The reservations of one transaction: decides each by the running total, writes all at once."""

    db: sqlite3.Connection
    state: str = OPEN
    rows: list[tuple[int, bytes, str, int, str, float]] = field(default_factory=list)
    added: int = 0

    def __post_init__(self) -> None:
        self.committed = sum(totals(self.db))
        self.next_id = self.db.execute("SELECT last_reservation FROM totals").fetchone()[0] + 1
        self.may_come_back: int | None = None

    def reserve(self, key: bytes, owner: str, amount: int, cap: int | None) -> int | str:
        """The reservation's id; "wait" if a call that is under way may free enough, "cap" if none can."""
        if cap is not None and self.committed + self.added + amount > cap:
            return "wait" if self._coming_back() >= self.committed + self.added + amount - cap else "cap"
        self.rows.append((self.next_id + len(self.rows), key, owner, amount, self.state, time.time()))
        self.added += amount
        return self.rows[-1][0]

    def _coming_back(self) -> int:
        """What living processes have under way: if all of it were settled at nothing, so much
        would be free.
        """
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
    """Puts what calls really cost in place of what was reserved for them."""
    freed = sum(row[0] or 0 for row in select_in(db, "SELECT sum(amount) FROM reservations WHERE id", reservations))
    select_in(db, "DELETE FROM reservations WHERE id", reservations)
    db.execute("UPDATE totals SET reserved = reserved - ?, spent = spent + ?", (freed, cost))


def keep_uncertain(db: sqlite3.Connection, reservations: Sequence[int]) -> None:
    """The calls were sent and their end is not known: the provider may have billed them."""
    select_in(db, f"UPDATE reservations SET state = '{UNCERTAIN}' WHERE id", reservations)


def close_open(db: sqlite3.Connection, owner: str, in_doubt: Collection[int]) -> None:
    """At the orderly end of a process: what was never sent is free again, what was on the wire stays
    uncertain.
    """
    rows = db.execute("SELECT id FROM reservations WHERE owner = ? AND state = ?", (owner, OPEN)).fetchall()
    keep_uncertain(db, [number for (number,) in rows if number in in_doubt])
    settle(db, [number for (number,) in rows if number not in in_doubt], 0)
