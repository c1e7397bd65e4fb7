"""Batches in the ledger: which requests wait in which batch, so that a stopped run, or another one, picks them up.

A batch is `submitting` (its remote id is not known yet), then `running`, and is removed when its rows are
collected.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver.ledger import budget, processes
from threadweaver.ledger.bulk import write_rows
from threadweaver.ledger.claims import Claim, Wish, decide
from threadweaver.ledger.entries import LedgerEntry
from threadweaver.ledger.rows import Texts, insert, load_request

SUBMITTING, RUNNING = "submitting", "running"


@dataclass(frozen=True)
class BatchRow:
    """A request for a batch; `amount` nano-dollars at most."""

    key: str
    request: str
    stage: str
    turn: int
    amount: int


@dataclass(frozen=True)
class BatchEntry:
    """`local` is our name of it (also in the remote batch's metadata); `ours`: no other living process submits it."""

    local: str
    remote: str | None
    base_url: str
    endpoint: str
    state: str
    rows: int
    tokens: int
    created: float
    ours: bool


def open_batch(
    db: sqlite3.Connection, owner: str, entry: BatchEntry, rows: Sequence[BatchRow], cap: int | None
) -> list[Claim]:
    """Put the requests that nobody has and that the money allows into a new batch, in one transaction."""
    wishes = [Wish(bytes.fromhex(row.key), owner, row.amount, cap) for row in rows]
    claims = decide(db, wishes, budget.BATCH)
    texts, new_texts = Texts(), dict[bytes, bytes]()
    taken = [
        (wish.key, entry.local, claim.reservation, texts.store(row.request, new_texts)[0], row.stage, row.turn)
        for wish, row, claim in zip(wishes, rows, claims, strict=True)
        if claim.state == "mine"
    ]
    texts.insert(db, new_texts)
    write_rows(db, "INSERT INTO batch_rows", taken)
    if taken:
        db.execute(
            "INSERT INTO batches VALUES (?, NULL, ?, ?, ?, ?, ?, ?, ?)",
            (entry.local, entry.base_url, entry.endpoint, SUBMITTING, owner, len(taken), entry.tokens, time.time()),
        )
    return claims


def batches(db: sqlite3.Connection, owner: str) -> list[BatchEntry]:
    rows = db.execute(
        "SELECT id, remote, base_url, endpoint, state, rows, tokens, created, owner FROM batches ORDER BY created"
    ).fetchall()
    return [BatchEntry(*row[:-1], ours=row[-1] == owner or not processes.alive(db, row[-1])) for row in rows]


def started(db: sqlite3.Connection, local: str, remote: str) -> None:
    db.execute("UPDATE batches SET remote = ?, state = ? WHERE id = ?", (remote, RUNNING, local))


def requests_of(db: sqlite3.Connection, local: str) -> Mapping[str, tuple[str, str]]:
    """Return key -> (canonical request, stage) of the rows that are still to come."""
    rows = db.execute("SELECT key, request, stage FROM batch_rows WHERE batch = ?", (local,)).fetchall()
    return {key.hex(): (load_request(db, request), stage) for key, request, stage in rows}


def collect(db: sqlite3.Connection, local: str, replies: Sequence[LedgerEntry], *, billed: bool) -> list[LedgerEntry]:
    """Store the replies of a batch that has ended, settle it, and remove it; what it did not answer is free again.

    Whoever comes second finds nothing left to do. `billed`: what it did not answer may still cost money.
    """
    waiting = dict(db.execute("SELECT key, reservation FROM batch_rows WHERE batch = ?", (local,)).fetchall())
    mine = [reply for reply in replies if bytes.fromhex(reply.key) in waiting]
    answered = {bytes.fromhex(reply.key) for reply in mine}
    budget.settle(db, [waiting[key] for key in answered], sum(reply.cost or 0 for reply in mine))
    rest = [reservation for key, reservation in waiting.items() if key not in answered]
    if billed:
        budget.keep_uncertain(db, rest)
    else:
        budget.settle(db, rest, 0)
    insert(db, mine, Texts())
    db.execute("DELETE FROM batch_rows WHERE batch = ?", (local,))
    db.execute("DELETE FROM batches WHERE id = ?", (local,))
    return [replace(reply, request="") for reply in mine]
