"""Merge ledgers: the replies of another one with what they cost there, as if all had been asked for here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.ledger import Ledger, budget, rows
from threadweaver.ledger.bulk import select_in
from threadweaver.ledger.entries import LedgerEntry
from threadweaver.ledger.transfer import GROUP

# Paid in two ledgers, kept once: what the other reply cost is spent, too, and a second merge must not count it again.
PAID_AGAIN = "CREATE TABLE IF NOT EXISTS paid_again (key BLOB, sent REAL, cost INTEGER, PRIMARY KEY (key, sent))"


@dataclass
class Merged:
    """What a merge added: replies that were new and known, and nano-dollars that now count as spent or uncertain."""

    new: int = 0
    known: int = 0
    spent: int = 0
    uncertain: int = 0


def merge(ledger: Ledger, path: Path) -> Merged:
    """Take over the replies of the ledger at `path`, which is only read. Merging it again adds what is new there."""
    other, merged = Ledger(path, read_only=True), Merged()
    try:
        for heads in _heads(other):
            new = _unknown(ledger, other, heads)
            added, spent = ledger.thread.call(lambda db, heads=heads, new=new: _take_over(db, heads, new))
            merged.new, merged.known, merged.spent = (
                merged.new + added,
                merged.known + len(heads) - added,
                merged.spent + spent,
            )
        query = "SELECT key, amount, since FROM reservations ORDER BY id"
        held = other.thread.call(lambda db: db.execute(query).fetchall(), write=False)
        merged.uncertain = ledger.thread.call(lambda db: _keep_uncertain(db, held))
    finally:
        other.close()
    return merged


def copy(ledger: Ledger, path: Path) -> tuple[int, int]:
    """Copy the replies of one's own ledger at `path` as they are there, paid ones as paid; what they cost is spent there
    and not here. Return how many were new and how many known."""
    other, new, known = Ledger(path, read_only=True), 0, 0
    try:
        for heads in _heads(other):
            entries = _unknown(ledger, other, heads)
            added = ledger.thread.call(lambda db, entries=entries: len(rows.insert(db, entries, rows.Texts())))
            new, known = new + added, known + len(heads) - added
    finally:
        other.close()
    return new, known


@dataclass(frozen=True)
class _Head:
    """What a merge asks of a reply whose text it may have already."""

    key: bytes
    sent: float
    cost: int | None
    imported: int


def _heads(other: Ledger) -> Iterator[list[_Head]]:
    query, last = "SELECT key, sent, cost, imported FROM replies WHERE key > ? ORDER BY key LIMIT ?", b""

    def read(db: sqlite3.Connection) -> list[tuple]:
        return db.execute(query, (last, GROUP)).fetchall()

    while found := other.thread.call(read, write=False):
        yield [_Head(*row) for row in found]
        last = found[-1][0]


def _unknown(ledger: Ledger, other: Ledger, heads: Sequence[_Head]) -> list[LedgerEntry]:
    """Return the replies of another ledger that this one does not have."""
    keys = [head.key for head in heads]
    known = ledger.thread.call(lambda db: select_in(db, "SELECT key FROM replies WHERE key", keys), write=False)
    new = sorted({*keys} - {row[0] for row in known})

    def read(db: sqlite3.Connection) -> list[LedgerEntry]:
        found = select_in(db, f"SELECT {rows.COLUMNS} FROM replies WHERE key", new)
        return [rows.read(db, row, with_request=True) for row in found]

    return other.thread.call(read, write=False)


def _take_over(db: sqlite3.Connection, heads: Sequence[_Head], entries: Sequence[LedgerEntry]) -> tuple[int, int]:
    """Store replies; return how many were new, and what all of `heads` cost that were paid and not counted before."""
    paid = {head.key: head for head in heads if not head.imported}
    new = rows.insert(db, entries, rows.Texts())
    spent = sum(paid[key].cost or 0 for key in new if key in paid)
    sent = dict(select_in(db, "SELECT key, sent FROM replies WHERE key", list(paid)))
    db.execute(PAID_AGAIN)
    for key, head in paid.items():
        if sent[key] != head.sent:
            done = db.execute("INSERT OR IGNORE INTO paid_again VALUES (?, ?, ?)", (key, head.sent, head.cost))
            spent += (head.cost or 0) * done.rowcount
    db.execute("UPDATE totals SET spent = spent + ?", (spent,))
    return len(new), spent


def _keep_uncertain(db: sqlite3.Connection, held: Sequence[tuple[bytes, int, float]]) -> int:
    """Count calls of another ledger whose end is not known; return what those may have cost that are new here."""
    added = 0
    for key, amount, since in held:
        same = "SELECT 1 FROM reservations WHERE key = ? AND amount = ? AND since = ?"
        if db.execute(same, (key, amount, since)).fetchone():
            continue
        db.execute("UPDATE totals SET reserved = reserved + ?, last_reservation = last_reservation + 1", (amount,))
        (number,) = db.execute("SELECT last_reservation FROM totals").fetchone()
        db.execute(
            "INSERT INTO reservations VALUES (?, ?, '', ?, ?, ?)", (number, key, amount, budget.UNCERTAIN, since)
        )
        added += amount
    return added
