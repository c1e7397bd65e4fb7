"""What the calls of one transaction do to the ledger: find, claim, record, release, judge; each for many at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from threadweaver.ledger import budget, processes
from threadweaver.ledger.bulk import select_in, write_rows
from threadweaver.ledger.entries import LedgerEntry
from threadweaver.ledger.rows import COLUMNS, Texts, insert, read


@dataclass(frozen=True)
class Claim:
    """What became of a claim: `mine` (send it, `reservation` holds its worst case), `stored` (`entry` has the reply),
    `theirs` (another process has sent it), `batch` (it is in the running batch `batch`), `wait` or `cap` (no money).
    """

    state: str
    reservation: int = 0
    entry: LedgerEntry | None = None
    batch: str = ""


@dataclass(frozen=True)
class Wish:
    """To send `key`, which may cost `amount`; `again`: it is claimed already and needs money for another try."""

    key: bytes
    owner: str
    amount: int
    cap: int | None
    again: bool = False


@dataclass(frozen=True)
class Ended:
    """A reservation that ended without a reply; `key`: the claim ends with it. `billed`: it may have cost money."""

    reservation: int
    key: bytes | None
    owner: str
    billed: bool


@dataclass(frozen=True)
class Judged:
    """The verdict on a reply, and why."""

    key: bytes
    verdict: str
    why: str | None


def find(db: sqlite3.Connection, bases: Sequence[bytes]) -> list[list[LedgerEntry]]:
    """Return the replies to all attempts of each request, the first attempt first."""
    found: dict[bytes, list[LedgerEntry]] = {base: [] for base in bases}
    for row in select_in(db, f"SELECT {COLUMNS} FROM replies WHERE base", bases, "ORDER BY attempt"):
        found[row[1]].append(read(db, row))
    return [found[base] for base in bases]


def claim(db: sqlite3.Connection, wishes: Sequence[Wish]) -> list[Claim]:
    """Of several askers for one request one gets it; all within the money that is left."""
    claims = decide(db, wishes, budget.OPEN)
    now = time.time()
    taken = {
        wish.key: (wish.key, wish.owner, now)
        for wish, claim in zip(wishes, claims, strict=True)
        if claim.state == "mine" and not wish.again
    }
    write_rows(db, "INSERT OR REPLACE INTO claims", list(taken.values()))
    return claims


def decide(db: sqlite3.Connection, wishes: Sequence[Wish], state: str) -> list[Claim]:
    """Decide who may send, and reserve the money of those that may, as reservations of this state."""
    keys = [wish.key for wish in wishes if not wish.again]
    stored = {row[0]: row for row in select_in(db, f"SELECT {COLUMNS} FROM replies WHERE key", keys)}
    batched = dict(select_in(db, "SELECT key, batch FROM batch_rows WHERE key", keys))
    held = dict(select_in(db, "SELECT key, owner FROM claims WHERE key", keys))
    reservations = budget.Reservations(db, state)
    claims: list[Claim] = []
    for wish in wishes:
        if not wish.again and wish.key in stored:
            claims.append(Claim("stored", entry=read(db, stored[wish.key])))
        elif not wish.again and wish.key in batched:
            claims.append(Claim("batch", batch=batched[wish.key]))
        elif not wish.again and _held_by_other(db, held.get(wish.key), wish.owner):
            claims.append(Claim("theirs"))
        else:
            outcome = reservations.add(wish.key, wish.owner, wish.amount, wish.cap)
            claims.append(Claim(outcome) if isinstance(outcome, str) else Claim("mine", reservation=outcome))
    reservations.write()
    return claims


def _held_by_other(db: sqlite3.Connection, holder: str | None, owner: str) -> bool:
    return holder is not None and holder != owner and processes.alive(db, holder)


def record(db: sqlite3.Connection, replies: Sequence[tuple[LedgerEntry, int]], texts: Texts) -> list[LedgerEntry]:
    """Store replies, settle their reservations and end their claims. Return what is stored: the first reply wins."""
    keys = [bytes.fromhex(reply.key) for reply, _ in replies]
    budget.settle(
        db, [reservation for _, reservation in replies if reservation], sum(reply.cost or 0 for reply, _ in replies)
    )
    select_in(db, "DELETE FROM claims WHERE key", keys)
    new = insert(db, [reply for reply, _ in replies], texts)
    late = [key for key in keys if key not in new]
    first = {row[0]: read(db, row) for row in select_in(db, f"SELECT {COLUMNS} FROM replies WHERE key", late)}
    return [first.get(key) or replace(reply, request="") for key, (reply, _) in zip(keys, replies, strict=True)]


def release(db: sqlite3.Connection, ended: Sequence[Ended]) -> list[None]:
    """End reservations that have no reply, and the claims of their owners."""
    budget.keep_uncertain(db, [end.reservation for end in ended if end.reservation and end.billed])
    budget.settle(db, [end.reservation for end in ended if end.reservation and not end.billed], 0)
    for owner in {end.owner for end in ended}:
        keys = [end.key for end in ended if end.key is not None and end.owner == owner]
        held = select_in(db, "SELECT key, owner FROM claims WHERE key", keys)
        select_in(db, "DELETE FROM claims WHERE key", [key for key, holder in held if holder == owner])
    return [None] * len(ended)


def judge(db: sqlite3.Connection, verdicts: Sequence[Judged]) -> list[None]:
    """Note verdicts; one that is known is not written again, so that a replay of 10,000 replies writes nothing."""
    now = time.time()
    last = {verdict.key: (verdict.key, verdict.verdict, verdict.why, now) for verdict in verdicts}
    write_rows(
        db,
        "UPDATE replies SET verdict = v.column2, why = v.column3, judged = v.column4 FROM (",
        list(last.values()),
        ") AS v WHERE replies.key = v.column1 AND (replies.verdict IS NOT v.column2 OR replies.why IS NOT v.column3)",
    )
    return [None] * len(verdicts)
