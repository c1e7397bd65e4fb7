"""The client: one per process, shared by all samples. It asks the ledger first, then a batch or the server.

Below it: `session` (what all calls share), `sender` (one call), `batch` (the Batch API).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadweaver.client import errors
from threadweaver.client.batch import Batcher
from threadweaver.client.requests import Reply, Request, fault_of, reply_of
from threadweaver.client.sender import Call, Sender
from threadweaver.client.session import Session
from threadweaver.client.settings import ClientSettings
from threadweaver.client.usage import Tally
from threadweaver.errors import UserError
from threadweaver.ledger import NANO, Ledger, LedgerEntry


@dataclass
class _Flight:
    """A request under way, and how many wait for it."""

    call: Call
    task: asyncio.Task[Reply]
    askers: int = 0


class Client:
    """`async with Client(settings) as client: reply = await client.ask(request, label="step1/17")`.

    Errors of `ask` are `errors.SampleError` (this request has no reply) and `errors.RunError` or `LedgerFull`
    (UserErrors: the run ends; every later `ask` that would send a call raises the same).
    """

    def __init__(self, settings: ClientSettings, *, environment: Mapping[str, str] | None = None) -> None:
        self.session = Session(settings, environment)
        self.settings, self.price, self.cap = settings, self.session.price, self.session.cap
        self.began = time.time()
        self._batcher = Batcher(self.session)
        self._sender = Sender(self.session, self._batcher.attach)
        self._flights: dict[str, _Flight] = {}

    @property
    def ledger(self) -> Ledger:
        return self.session.ledger

    def check(self, label: str) -> None:
        """Raise UserError if nothing can be answered: no key (unless the ledger holds replies of this label), or,
        offline, no ledger. Nothing is called or written."""
        path = self.settings.ledger
        if self.settings.offline:
            self._refuse_missing(path)
            return
        try:
            self.session.key()
        except UserError:
            if path is None or not path.exists() or not Ledger.has_replies(path, label, self.settings.model):
                raise

    def _refuse_missing(self, path: Path | None) -> None:
        if path is not None and not path.exists():
            raise UserError(f"--offline needs the ledger {path}, which was not found: give --ledger PATH or import one")

    async def __aenter__(self) -> Client:
        self.session.ledger = await asyncio.to_thread(self._open_ledger)
        return self

    def _open_ledger(self) -> Ledger:
        path = self.settings.ledger
        if not self.settings.offline or path is None:
            return Ledger(path)
        self._refuse_missing(path)
        return Ledger.open_for_reading(path)

    async def __aexit__(self, *exc: object) -> None:
        """Give calls on the wire `drain` seconds, so that what is paid is kept; then write and close everything."""
        waiting = [flight.task for flight in self._flights.values() if not flight.call.on_wire]
        for task in waiting:
            task.cancel()
        sent = {flight.task for flight in self._flights.values() if flight.call.on_wire}
        if sent:
            _, late = await asyncio.wait(sent, timeout=self.settings.drain)
            for task in late:
                task.cancel()
            waiting += late
        waiting += self._batcher.stop()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self.session.close()

    # asking

    async def ask(self, request: Request, *, label: str = "") -> Reply:
        """Return the reply of the ledger or of the model: stored before it is returned, sent once however many ask."""
        flight = self._flights.get(request.key)
        joined = flight is not None
        if flight is None:
            flight = self._start(request, label)
        flight.askers += 1
        tally = self.session.tallies.of(label)
        try:
            reply = await asyncio.shield(flight.task)
        except errors.ClientError as error:
            tally.add_failure(error.code)
            raise
        finally:
            flight.askers -= 1
            if not flight.askers and not flight.call.on_wire:
                flight.task.cancel()
        reply = replace(reply, from_ledger=True) if joined else reply
        tally.add(reply.usage, reply.cost, from_ledger=reply.from_ledger, recorded=reply.recorded)
        if fault := fault_of(reply):
            tally.failed[fault.code] += 1
            raise fault
        return reply

    def judge(self, key: str, verdict: str, why: str = "", *, label: str = "") -> None:
        """Record what became of a reply: "accepted", "repaired" (a repair turn fixed it), "unused" (it should
        have repaired one that was better) or "rejected", with a code.

        A rejected reply comes back as rejected in later runs, without a call, unless `retry_failed`.
        """
        self.session.tallies.of(label).verdicts[f"{verdict} {why}".strip()] += 1
        self.ledger.judge(key, verdict, why)

    def _start(self, request: Request, label: str) -> _Flight:
        call = Call(label)
        flight = _Flight(call, asyncio.create_task(self._answer(call, request)))
        self._flights[request.key] = flight

        def ended(task: asyncio.Task[Reply]) -> None:
            self._flights.pop(request.key, None)
            if not task.cancelled():
                task.exception()  # retrieved, even if every asker was cancelled

        flight.task.add_done_callback(ended)
        return flight

    async def _answer(self, call: Call, request: Request) -> Reply:
        found = self.choose(request, await self.ledger.find(request.at(0).key))
        if isinstance(found, LedgerEntry):
            return reply_of(found, from_ledger=True)
        if self.settings.offline:
            raise errors.NotInLedger(
                f"not in the ledger {self.ledger.path}: request {found.key[:12]} "
                f"({call.label or 'unnamed'}, turn {found.turn}, attempt {found.attempt})"
            )
        if self.settings.batch is not None:
            self.session.raise_fatal()
            if reply := await self._batcher.obtain(found, call.label):
                return reply
        return await self._sender.obtain(call, found)

    def choose(self, request: Request, entries: list[LedgerEntry]) -> LedgerEntry | Request:
        """Return the last attempt that was not rejected; else, with `retry_failed`, a new one; else the rejection."""
        entries = [entry for entry in entries if entry.attempt >= request.attempt]
        if not entries:
            return request
        for entry in reversed(entries):
            if entry.verdict != "rejected":
                return entry
        last = entries[-1]
        # What was rejected in this run is not asked again in this run.
        if self.settings.retry_failed and (last.judged or last.done) < self.began:
            return request.at(last.attempt + 1)
        return last

    # totals

    def total(self, prefix: str = "") -> Tally:
        """Return the sum over a stage ("step1"), a sample ("step1/17") or everything."""
        return self.session.tallies.sum(prefix)

    def status(self, prefix: str = "") -> str:
        """Say in a few words how it goes: calls in flight or the wave, and what this run has paid."""
        tally = self.total(prefix)
        under_way = self._batcher.line() if self._batcher.used else f"{self._sender.limiter.in_flight} calls in flight"
        return f"{under_way}, ${tally.cost:.2f}" if tally.cost else under_way

    async def money_line(self) -> str:
        """Say what the ledger has cost so far, and what may come on top of that."""
        spending = await self.ledger.spending()
        line = f"${spending.spent / NANO:.4f} spent by this ledger"
        if spending.uncertain:
            line += f", up to ${spending.uncertain / NANO:.4f} more for calls that ended without a known outcome"
        return line if self.cap is None else f"{line}, of --max-cost {self.settings.max_cost:g}"

    def describe(self) -> dict[str, Any]:
        """Return what a manifest may hold of this client: no key, no path of it."""
        settings = self.settings
        return {
            "model": settings.model,
            "api": settings.api,
            "extra_body": dict(settings.extra_body),
            "output_limit": settings.output_limit,
        }
