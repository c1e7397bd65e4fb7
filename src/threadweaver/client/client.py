"""The client: one a process, shared by all samples. Ledger first; then one call for one request, paced and
retried.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from threadweaver.client import errors, prices
from threadweaver.client.apis import RawReply
from threadweaver.client.credentials import find_base_url, key_for, scrub
from threadweaver.client.entries import entry_of
from threadweaver.client.rate_limit import RateLimiter
from threadweaver.client.requests import Reply, Request, reply_of
from threadweaver.client.settings import ClientSettings
from threadweaver.client.usage import Tallies, Tally, stage_of
from threadweaver.errors import UserError
from threadweaver.ledger import NANO, Claim, Ledger, LedgerEntry

if TYPE_CHECKING:
    from threadweaver.client.batch import Batcher
    from threadweaver.client.transport import Transport

POLL_SECONDS = 0.1  # between looks at what others do; doubles to 1 s


@dataclass
class _Flight:
    """A request under way and how many wait for it. `on_wire`: sent, so it may cost money and is not given
    up; `in_place`: one of the calls in flight.
    """

    task: asyncio.Task[Reply]
    askers: int = 0
    on_wire: bool = False
    in_place: bool = False


class Client:
    """`async with Client(settings) as client: reply = await client.ask(request, label="step1/17")`.

    Errors of `ask` are `errors.SampleError` (this request has no reply) and `errors.RunError` or `LedgerFull`
    (UserErrors: the run ends; every later `ask` that would send raises the same).
    """

    def __init__(self, settings: ClientSettings, *, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.environment = environment
        self.tallies = Tallies()
        self.pacer = RateLimiter(settings.workers)
        self.price = prices.price_of(
            settings.model, input_price=settings.in_cost_per_million, output_price=settings.out_cost_per_million
        )
        if settings.max_cost is not None and self.price is None and not settings.offline:
            raise UserError(f"--max-cost needs a price, and {prices.unknown(settings.model)}")
        self.cap = None if settings.max_cost is None else int(settings.max_cost * NANO)
        self.began = time.time()
        self._flights: dict[str, _Flight] = {}
        self.ended: errors.RunError | None = None  # why no call is sent any more
        self._gave_up_in_row = 0
        self._heard = False  # any reply of the server in this run
        self._transport: Transport | None = None
        self._making = asyncio.Lock()
        self._batcher: Batcher | None = None

    async def __aenter__(self) -> Client:
        path = self.settings.ledger
        if self.settings.offline and path is not None:
            if not path.exists():
                raise UserError(
                    f"--offline needs the ledger {path}, which is not there: give --ledger PATH or import one"
                )
            self.ledger = await asyncio.to_thread(Ledger.open_for_reading, path)
        else:
            self.ledger = await asyncio.to_thread(Ledger, path)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Calls on the wire get `drain` seconds, so that what is paid is kept; then everything is written and
        closed.
        """
        waiting = [flight.task for flight in self._flights.values() if not flight.on_wire]
        for task in waiting:
            task.cancel()
        sent = {flight.task for flight in self._flights.values() if flight.on_wire}
        if sent:
            _, late = await asyncio.wait(sent, timeout=self.settings.drain)
            for task in late:
                task.cancel()
            waiting += late
        if self._batcher is not None:
            waiting += self._batcher.stop()
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._transport is not None:
            await self._transport.close()
        await self.ledger.aclose()

    # asking

    async def ask(self, request: Request, *, label: str = "") -> Reply:
        """The reply of the ledger, or of the model: stored before it is returned, sent once
        however many ask.
        """
        flight = self._flights.get(request.key)
        joined = flight is not None
        if flight is None:
            flight = self._start(request, label)
        flight.askers += 1
        try:
            reply = await asyncio.shield(flight.task)
        except errors.ClientError as error:
            tally = self.tallies.of(label)
            tally.asked += 1
            tally.failed[error.code] += 1
            raise
        finally:
            flight.askers -= 1
            if not flight.askers and not flight.on_wire:
                flight.task.cancel()
        reply = replace(reply, from_ledger=True) if joined else reply
        self.tallies.of(label).add(reply)
        return reply

    def judge(self, key: str, verdict: str, why: str = "", *, label: str = "") -> None:
        """Records what became of a reply: "accepted", "repaired" (a repair turn mended it) or "rejected" with
        a code.

        A rejected reply comes back as rejected in later runs, unasked, unless `retry_failed`.
        """
        self.tallies.of(label).verdicts[f"{verdict} {why}".strip()] += 1
        self.ledger.judge(key, verdict, why)

    def _start(self, request: Request, label: str) -> _Flight:
        async def run() -> Reply:
            return await self._answer(flight, request, label)

        flight = _Flight(asyncio.create_task(run()))
        self._flights[request.key] = flight

        def ended(task: asyncio.Task[Reply]) -> None:
            self._flights.pop(request.key, None)
            if not task.cancelled():
                task.exception()  # heard, even if every asker was cancelled

        flight.task.add_done_callback(ended)
        return flight

    async def _answer(self, flight: _Flight, request: Request, label: str) -> Reply:
        records = await self.ledger.find(request.at(0).key)
        found = self.choose(request, records)
        if isinstance(found, LedgerEntry):
            return reply_of(found, from_ledger=True)
        if self.settings.offline:
            raise errors.NotInLedger(
                f"not in the ledger {self.ledger.path}: request {found.key[:12]} "
                f"({label or 'unnamed'}, turn {found.turn}, attempt {found.attempt})"
            )
        if self.settings.batch is not None:
            self._raise_fatal()
            if reply := await self.batcher.obtain(found, label):
                return reply
        return await self._obtain(flight, found, label)

    def choose(self, request: Request, records: list[LedgerEntry]) -> LedgerEntry | Request:
        """The last attempt that was not rejected; else, with `retry_failed`, a new one; else the
        rejection.
        """
        records = [record for record in records if record.attempt >= request.attempt]
        if not records:
            return request
        for record in reversed(records):
            if record.verdict != "rejected":
                return record
        last = records[-1]
        # What was rejected in this run is not asked again in this run.
        if self.settings.retry_failed and (last.judged or last.done) < self.began:
            return request.at(last.attempt + 1)
        return last

    # sending

    async def _obtain(self, flight: _Flight, request: Request, label: str) -> Reply:
        """Claims, reserves, sends and retries until there is a reply or no hope."""
        tally = self.tallies.of(label)
        faults = limited = 0
        claimed = False
        pause = POLL_SECONDS
        try:
            transport = await self.transport()
            while True:
                ticket = await self.pacer.acquire(urgent=claimed)
                flight.in_place = True
                try:
                    self._raise_fatal()
                    claim = await self._claim(request, again=claimed)
                    claimed = claimed or claim.state == "mine"
                    if claim.state == "mine":
                        tally.sent += 1
                        reply = await self._send(transport, flight, request, label, claim.reservation, ticket)
                        claimed = False  # the claim ended with the record
                        return reply
                    self.pacer.unsent()
                except errors.Retryable as error:
                    faults += not isinstance(error, errors.RateLimited)
                    limited += isinstance(error, errors.RateLimited)
                    tally.retried += 1
                    tally.refused += isinstance(error, errors.RateLimited)
                    self._give_up_at(error, faults, limited)
                    pause = self.backoff(faults + limited - 1, error.retry_after)
                finally:
                    self._leave(flight, ticket)
                if claim.state == "stored" and claim.record is not None:
                    return reply_of(claim.record, from_ledger=True)
                if claim.state == "cap":
                    raise self.cap_error(request)
                if claim.state == "batch" and (reply := await self.batcher.attach(request, label, claim.batch)):
                    return reply
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 2) if claim.state != "mine" else pause
        except errors.RunError as error:
            self.fatal(error)
            raise
        finally:
            if claimed:
                await self.ledger.release(0, key=request.key, billed=False)

    async def _claim(self, request: Request, *, again: bool) -> Claim:
        # At the dearest tier's price: a server does not always grant a cheaper one, and may choose a dearer one.
        return await self.ledger.claim(request.key, self.worst_case(request), self.cap, again=again)

    async def _send(
        self, transport: Transport, flight: _Flight, request: Request, label: str, reservation: int, ticket: float
    ) -> Reply:
        """One call. Stores its reply, or ends the reservation as the error says."""
        sent = time.time()
        flight.on_wire = True
        self.ledger.in_doubt.add(reservation)
        try:
            answer, headers = await transport.post(request, self.settings.service_tier)
        except errors.ClientError as error:
            flight.on_wire = False
            self._tell_pacer(ticket, error)
            await self.ledger.release(reservation, key=None, billed=error.billed)
            self.ledger.in_doubt.discard(reservation)
            raise
        self._heard, self._gave_up_in_row = True, 0
        self.pacer.succeeded(ticket, headers, answer.usage.input + answer.usage.output if answer.usage else 0)
        # The next call need not wait until this reply is on the disk.
        self._leave(flight, ticket)
        record = self.record_of(request, label, answer, answer.tier or self.settings.service_tier or "default", sent)
        stored = await self.ledger.record(record, reservation)
        self.ledger.in_doubt.discard(reservation)
        return reply_of(stored, from_ledger=False)

    def _leave(self, flight: _Flight, ticket: float) -> None:
        """Gives the place among the calls in flight back, once."""
        if flight.in_place:
            flight.in_place = False
            self.pacer.release(ticket)

    def _tell_pacer(self, ticket: float, error: errors.ClientError) -> None:
        if isinstance(error, errors.RateLimited):
            self.pacer.refused(ticket, error.headers, error.retry_after)
        elif isinstance(error, errors.Retryable):
            self.pacer.overloaded(ticket)

    def _give_up_at(self, error: errors.Retryable, faults: int, limited: int) -> None:
        """Raises once the tries are used up; a server that never answered is not tried for a minute."""
        retrying = self.settings.retrying
        silent = isinstance(error, errors.ConnectionFault) and not error.reached and not self._heard
        if faults < (3 if silent else retrying.tries) and limited < retrying.limited_tries:
            return
        self._gave_up_in_row += 1
        if silent or self._gave_up_in_row >= retrying.down_after:
            raise errors.ServerDown(
                f"the model server does not answer ({error}): check that it runs, and run the same "
                "command again; everything paid is kept"
            ) from error
        raise errors.GaveUp(f"gave up after {faults + limited} tries: {error}", error) from error

    def cap_error(self, request: Request) -> errors.CapReached:
        return errors.CapReached(
            f"this call may cost ${self.worst_case(request) / NANO:.4f}, more than is left of "
            f"--max-cost {self.settings.max_cost:g}: raise it to go on"
        )

    def _raise_fatal(self) -> None:
        if self.ended is not None:
            raise self.ended

    def fatal(self, error: errors.RunError) -> None:
        """From now on no call is sent: every `ask` that would raises this."""
        self.ended = self.ended or error

    def backoff(self, tries: int, asked: float | None) -> float:
        """Seconds to wait: what the server asks for and a little more, else doubling, half of it
        at random.
        """
        if asked is not None:
            return asked + random.uniform(0, min(1.0, 0.1 * asked + 0.01))
        retrying = self.settings.retrying
        whole = min(retrying.longest, retrying.first * 2 ** min(tries, 30))
        return whole / 2 + random.uniform(0, whole / 2)

    # what others of this package need

    async def transport(self) -> Transport:
        """Made at the first call: a run that is answered by the ledger needs neither key nor SDK."""
        if self._transport is None:
            async with self._making:
                if self._transport is None:
                    # Importing the SDK takes 0.9 s, which the event loop must not wait for.
                    self._transport = await asyncio.to_thread(self._make_transport)
        return self._transport

    def _make_transport(self) -> Transport:
        from threadweaver.client.transport import Transport

        base_url = find_base_url(self.settings.base_url, self.environment)
        key = key_for(base_url, self.settings.key_path, self.environment)
        return Transport(base_url, key, timeout=self.settings.timeout, connections=self.settings.workers)

    @property
    def batcher(self) -> Batcher:
        if self._batcher is None:
            from threadweaver.client.batch import Batcher

            self._batcher = Batcher(self)
        return self._batcher

    def worst_case(self, request: Request, tier: str | None = None) -> int:
        """Nano-dollars, by default of whatever tier the server may answer in; 0 where no price is known."""
        if self.price is None:
            return 0
        return self.price.worst_case(request, tier)

    def record_of(self, request: Request, label: str, answer: RawReply, tier: str, sent: float) -> LedgerEntry:
        """What the ledger keeps of a reply that was sent for at `sent` (unix time)."""
        return entry_of(self.price, request, stage_of(label), answer, tier, sent)

    # totals

    def total(self, prefix: str = "") -> Tally:
        """Of a stage ("step1"), a sample ("step1/17") or everything."""
        return self.tallies.sum(prefix)

    def status(self, prefix: str = "") -> str:
        """A few words on how it goes: calls under way or the wave, and what this run has paid."""
        tally = self.total(prefix)
        under_way = self._batcher.line() if self._batcher else f"{self.pacer.in_flight} calls in flight"
        return f"{under_way}, ${tally.cost:.2f}" if tally.cost else under_way

    async def money_line(self) -> str:
        """What the ledger has cost so far, and what may come on top of that."""
        spending = await self.ledger.spending()
        line = f"${spending.spent / NANO:.4f} spent by this ledger"
        if spending.uncertain:
            line += f", up to ${spending.uncertain / NANO:.4f} more for calls that ended nobody knows how"
        return line if self.cap is None else f"{line}, of --max-cost {self.settings.max_cost:g}"

    def scrub(self, text: str) -> str:
        return scrub(text, self._transport.key if self._transport else None)

    def describe(self) -> dict[str, Any]:
        """What a manifest may say of this client: no key, no path of it."""
        settings = self.settings
        return {
            "model": settings.model,
            "api": settings.api,
            "extra_body": dict(settings.extra_body),
            "output_limit": settings.output_limit,
        }
