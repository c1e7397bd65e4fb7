"""Batches in the ledger: which requests wait in which batch, so that a stopped run, or another one, picks
them up.

A batch is `submitting` (its remote id is not known yet), then `running`, and is removed when its rows are
collected.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver.ledger import budget, processes
from threadweaver.ledger.bulk import select_in, write_rows
from threadweaver.ledger.claims import Claim
from threadweaver.ledger.records import COLUMNS, LedgerEntry, Texts, insert, load_request, read

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
    """`local` is our name of it (also in the remote batch's metadata), `ours`: no other living process
    submits it.
    """

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
    db: sqlite3.Connection, owner: str, entry: BatchEntry, rows: Sequence[BatchRow], cap: int | None, texts: Texts
) -> list[Claim]:
    """Takes the rows that nobody has and that the money allows into a new batch, all of it or
    nothing of it.
    """
    keys = [bytes.fromhex(row.key) for row in rows]
    stored = {found[0]: found for found in select_in(db, f"SELECT {COLUMNS} FROM replies WHERE key", keys)}
    batched = dict(select_in(db, "SELECT key, batch FROM batch_rows WHERE key", keys))
    held = dict(select_in(db, "SELECT key, owner FROM claims WHERE key", keys))
    purse = budget.Purse(db, budget.BATCH)
    claims: list[Claim] = []
    taken: list[tuple[object, ...]] = []
    new_texts: dict[bytes, bytes] = {}
    for key, row in zip(keys, rows, strict=True):
        if key in stored:
            claims.append(Claim("stored", record=read(db, stored[key])))
        elif key in batched:
            claims.append(Claim("batch", batch=batched[key]))
        elif held.get(key) not in (None, owner) and processes.alive(db, held[key]):
            claims.append(Claim("theirs"))
        else:
            outcome = purse.reserve(key, owner, row.amount, cap)
            claims.append(Claim(outcome) if isinstance(outcome, str) else Claim("mine", reservation=outcome))
            if claims[-1].state == "mine":
                taken.append((key, entry.local, outcome, texts.store(row.request, new_texts)[0], row.stage, row.turn))
    purse.write()
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
    """key -> (canonical request, stage) of the rows that are still to come."""
    rows = db.execute("SELECT key, request, stage FROM batch_rows WHERE batch = ?", (local,)).fetchall()
    return {key.hex(): (load_request(db, request), stage) for key, request, stage in rows}


def collect(
    db: sqlite3.Connection, local: str, replies: Sequence[LedgerEntry], *, billed: bool, texts: Texts
) -> list[LedgerEntry]:
    """Stores the replies of a batch that has ended, settles it, and removes it; what it did not answer is
    free again.

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
    insert(db, mine, texts)
    db.execute("DELETE FROM batch_rows WHERE batch = ?", (local,))
    db.execute("DELETE FROM batches WHERE id = ?", (local,))
    return [replace(reply, request="") for reply in mine]
