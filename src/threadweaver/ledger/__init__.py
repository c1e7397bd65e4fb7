"""The ledger: every request with its reply and its cost. What was paid is never paid again.

One SQLite file (WAL) that several processes may share. A reply is on the disk before it is used; the same
request asked twice at once is sent once; money is reserved before a call and settled after. Replays read
it, batch mode fills it too, and `transfer` writes and reads it as JSONL.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from threadweaver.ledger import batches, budget, claims, endpoints, processes, rows, schema, statistics
from threadweaver.ledger.batches import BatchEntry, BatchRow
from threadweaver.ledger.claims import Claim, Ended, Judged, Wish
from threadweaver.ledger.entries import VERDICTS, LedgerEntry, canonical, key_of, request_key
from threadweaver.ledger.rows import Texts
from threadweaver.ledger.schema import LedgerDamaged, LedgerFull
from threadweaver.ledger.writer import BOOKKEEPING, OPENING, Kind, LedgerWriter

__all__ = [
    "NANO",
    "BatchEntry",
    "BatchRow",
    "Claim",
    "Ledger",
    "LedgerDamaged",
    "LedgerEntry",
    "LedgerFull",
    "Spending",
    "canonical",
    "key_of",
    "request_key",
]

NANO = 10**9  # nano-dollars in a dollar


@dataclass(frozen=True)
class Spending:
    """In nano-dollars: settled, reserved for calls, and the part of that which will never be settled."""

    spent: int
    reserved: int
    uncertain: int


class Ledger:
    """One open ledger. Methods that are coroutines run in the ledger's thread; each returns after the commit."""

    def __init__(self, path: str | Path | None, *, read_only: bool = False) -> None:
        """Open a ledger; `path` None: in memory only. `read_only`: nothing is changed, so the file need not be writable;
        what others write meanwhile is seen.
        """
        self.path = str(path) if path is not None else ":memory:"
        self.read_only = read_only
        self.owner = ""
        self.in_doubt: set[int] = set()  # reservations whose calls are on the wire
        self._texts = Texts()
        # Replies first, questions last: a transaction answers also from the replies that it stores.
        self._record = Kind(0, lambda db, replies: claims.record(db, replies, self._texts), committed=self._texts.keep)
        self._release = Kind(1, claims.release)
        self._judge = Kind(2, claims.judge)
        self._find = Kind(20, claims.find, write=False)
        self._claim = Kind(21, claims.claim, waits=False, before_a_call=True)
        self.thread = LedgerWriter(self.path, read_only, lambda db: processes.beat(db, self.owner))
        if not read_only:
            try:
                self.owner = self.thread.wait(BOOKKEEPING, processes.register)
            except BaseException:
                self.thread.close()
                raise

    @classmethod
    def open_for_reading(cls, path: str | Path) -> Ledger:
        """Open read-only where the file cannot be written, else as an ordinary ledger, in which verdicts are noted."""
        try:
            return cls(path, read_only=not schema.writable(str(path)))
        except LedgerFull:
            return cls(path, read_only=True)

    @classmethod
    def has_replies(cls, path: str | Path, stage: str, model: str) -> bool:
        """Whether a ledger holds a reply of this model in this stage, to whatever request."""
        ledger = cls(path, read_only=True)
        try:
            query = "SELECT 1 FROM replies WHERE stage = ? AND model = ? LIMIT 1"
            return bool(ledger.thread.call(lambda db: db.execute(query, (stage, model)).fetchall(), write=False))
        finally:
            ledger.close()

    def close(self) -> None:
        """Wait until all is written. Raises LedgerFull if the disk stays full."""
        owner, self.owner = self.owner, ""
        doubtful = frozenset(self.in_doubt)

        def leave(db: sqlite3.Connection) -> None:
            budget.close_open(db, owner, doubtful)
            processes.leave(db, owner)

        try:
            if owner:
                self.thread.send(BOOKKEEPING, leave)
            self.thread.close()
        finally:
            processes.forget(owner)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    # one request

    async def find(self, base: str) -> list[LedgerEntry]:
        """Return the replies to all attempts of a request, the first attempt first."""
        return await self.thread.do(self._find, bytes.fromhex(base))

    def of_requests(self, beginnings: Sequence[str], *, with_request: bool = False) -> list[LedgerEntry]:
        """Return the replies to all attempts of the requests whose keys begin with these hexadecimal digits."""
        look = partial(rows.of_requests, beginnings=beginnings, with_request=with_request)
        return self.thread.call(look, write=False)

    async def claim(self, key: str, amount: int, cap: int | None, *, again: bool = False) -> Claim:
        """Ask for the right to send a request that may cost `amount` nano-dollars; of several askers one gets it.

        `again`: the request is claimed already, and needs money for another try.
        """
        return await self.thread.do(self._claim, Wish(bytes.fromhex(key), self.owner, amount, cap, again))

    async def record(self, entry: LedgerEntry, reservation: int) -> LedgerEntry:
        """Store a reply, settle its reservation and end its claim. Return what is stored: the first reply wins."""
        return await self.thread.do(self._record, (entry, reservation))

    async def release(self, reservation: int, *, key: str | None, billed: bool) -> None:
        """End a reservation (0: none) without a reply; `billed`: it may have cost money, and still counts as spent.

        With `key`, the claim ends too, and whoever asks next may send.
        """
        ended = Ended(reservation, None if key is None else bytes.fromhex(key), self.owner, billed)
        await self.thread.do(self._release, ended)

    def judge(self, key: str, verdict: str, why: str = "") -> None:
        """Note what became of a reply, one of VERDICTS, `why` a code. It is written some time soon."""
        if verdict not in VERDICTS:
            raise ValueError(f"verdict {verdict!r} is none of {', '.join(VERDICTS)}")
        if not self.read_only:
            self.thread.send(self._judge, Judged(bytes.fromhex(key), verdict, why or None))

    # batches

    async def open_batch(self, entry: BatchEntry, rows: Sequence[BatchRow], cap: int | None) -> list[Claim]:
        """Put rows into a new batch, each as `claim` would; those that are `mine` are in it."""
        return await self.thread.do(OPENING, lambda db: batches.open_batch(db, self.owner, entry, rows, cap))

    async def batches(self) -> list[BatchEntry]:
        return await self.thread.run(lambda db: batches.batches(db, self.owner), write=False)

    async def batch_started(self, local: str, remote: str) -> None:
        await self.thread.run(lambda db: batches.started(db, local, remote))

    async def batch_requests(self, local: str) -> Mapping[str, tuple[str, str]]:
        return await self.thread.run(lambda db: batches.requests_of(db, local), write=False)

    async def collect(self, local: str, replies: Sequence[LedgerEntry], *, billed: bool = False) -> list[LedgerEntry]:
        """Store what a batch answered and remove it; `billed`: the rest may still cost money."""
        return await self.thread.run(lambda db: batches.collect(db, local, replies, billed=billed))

    # endpoints

    async def known_of(self, base_url: str) -> Mapping[tuple[str, str], str]:
        """Return what was learnt of an endpoint, by API and model."""
        return await self.thread.run(lambda db: endpoints.known(db, base_url), write=False)

    async def remember(self, base_url: str, api: str, model: str, text: str) -> None:
        await self.thread.run(lambda db: endpoints.remember(db, base_url, api, model, text))

    # the whole

    async def spending(self) -> Spending:
        return await self.thread.run(lambda db: Spending(*budget.totals(db), budget.uncertain(db)), write=False)

    async def statistics(self, model: str | None = None) -> list[statistics.Ratio]:
        """Return measured tokens by stage and turn: the basis for estimates of further calls."""
        return await self.thread.run(lambda db: statistics.ratios(db, model), write=False)
