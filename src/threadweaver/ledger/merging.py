"""Merge ledgers: the replies of another one with what they cost there, as if all had been asked for here."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.ledger import Ledger, budget, rows
from threadweaver.ledger.bulk import select_in
from threadweaver.ledger.entries import LedgerEntry
from threadweaver.ledger.transfer import pages

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
        for page in pages(other):
            new, spent = ledger.thread.call(lambda db, page=page: _take_over(db, page))
            merged.new, merged.known, merged.spent = (
                merged.new + new,
                merged.known + len(page) - new,
                merged.spent + spent,
            )
        query = "SELECT key, amount, since FROM reservations ORDER BY id"
        held = other.thread.call(lambda db: db.execute(query).fetchall(), write=False)
        merged.uncertain = ledger.thread.call(lambda db: _keep_uncertain(db, held))
    finally:
        other.close()
    return merged


def _take_over(db: sqlite3.Connection, page: Sequence[LedgerEntry]) -> tuple[int, int]:
    """Store replies; return how many were new, and what all cost that were paid for and not counted before."""
    paid = {bytes.fromhex(entry.key): entry for entry in page if not entry.imported}
    new = rows.insert(db, page, rows.Texts())
    spent = sum(paid[key].cost or 0 for key in new if key in paid)
    sent = dict(select_in(db, "SELECT key, sent FROM replies WHERE key", list(paid)))
    db.execute(PAID_AGAIN)
    for key, entry in paid.items():
        if sent[key] != entry.sent:
            done = db.execute("INSERT OR IGNORE INTO paid_again VALUES (?, ?, ?)", (key, entry.sent, entry.cost))
            spent += (entry.cost or 0) * done.rowcount
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
