"""One request to the server: claim it, reserve its cost, send it, store its reply; retry, and give up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from threadweaver.client import errors
from threadweaver.client.apis import RawReply
from threadweaver.client.rate_limit import RateLimiter
from threadweaver.client.requests import Reply, Request, reply_of
from threadweaver.client.session import Session
from threadweaver.client.transport import Transport

POLL_SECONDS = 0.1
"""Between looks at what other processes do; doubles to LONGEST_POLL."""
LONGEST_POLL = 1.0
SILENT_TRIES = 3
"""For a call to a server that has never answered in this run: nobody waits a minute for a wrong address."""

Attach = Callable[[Request, str, str], Awaitable[Reply | None]]
"""Waits for the reply to a request (with its label) that is in a batch; None where the batch gives none."""


@dataclass
class Call:
    """A request under way. `on_wire`: it was sent, so it may cost money and is not given up; `ticket`: that of its
    place among the calls in flight, while it has one.
    """

    label: str
    on_wire: bool = False
    ticket: float | None = None


class _Learnt(Exception):
    """The endpoint has refused a request that it accepts in another form."""


@dataclass
class _Faults:
    """How often a call failed: `limited` by refusals for being too fast, `other` by anything else."""

    limited: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.limited + self.other

    def add(self, error: errors.Retryable) -> None:
        if isinstance(error, errors.RateLimited):
            self.limited += 1
        else:
            self.other += 1


class Sender:
    """`attach` is asked for the reply to a request that another run has put into a batch."""

    def __init__(self, session: Session, attach: Attach) -> None:
        self.session = session
        self.limiter = RateLimiter(session.settings.workers)
        self._attach = attach
        self._heard = False  # the server has answered in this run
        self._gave_up_in_row = 0

    async def obtain(self, call: Call, request: Request) -> Reply:
        """Return the reply, tried for until there is one or no hope."""
        session = self.session
        faults, pause = _Faults(), POLL_SECONDS
        claimed = False
        try:
            transport = await session.transport()
            while True:
                call.ticket = await self.limiter.acquire(urgent=claimed)
                try:
                    session.raise_fatal()
                    worst = session.worst_case(request)
                    claim = await session.ledger.claim(request.key, worst, session.cap, again=claimed)
                    claimed = claimed or claim.state == "mine"
                    if claim.state == "mine":
                        reply = await self._send(transport, call, request, claim.reservation)
                        claimed = False  # the claim ended with the entry
                        return reply
                    self.limiter.unsent()
                except _Learnt:
                    pause = POLL_SECONDS
                except errors.Retryable as error:
                    pause = self._after(error, faults, call.label)
                finally:
                    self._leave(call)
                if claim.state == "stored" and claim.entry is not None:
                    return reply_of(claim.entry, from_ledger=True)
                if claim.state == "cap":
                    raise session.cap_error(request)
                if claim.state == "wait":
                    session.report_slow(request)
                if claim.state == "batch" and (reply := await self._attach(request, call.label, claim.batch)):
                    return reply
                await asyncio.sleep(pause)
                pause = pause if claim.state == "mine" else min(LONGEST_POLL, pause * 2)
        except errors.RunError as error:
            session.fatal(error)
            raise
        finally:
            if claimed:
                await session.ledger.release(0, key=request.key, billed=False)

    async def _send(self, transport: Transport, call: Call, request: Request, reservation: int) -> Reply:
        """Send once. Stores the reply, or ends the reservation as the error says."""
        ledger, tier = self.session.ledger, self.session.settings.service_tier
        self.session.tallies.of(call.label).sent += 1
        sent, ticket = time.time(), call.ticket
        call.on_wire = True
        ledger.in_doubt.add(reservation)
        dialect = self.session.dialect(request)
        try:
            raw, headers = await transport.ask(request, tier, dialect)
        except errors.NotAReply as error:  # it may be paid: kept, and not asked for again
            raw, headers = RawReply.unreadable(str(error)), {}
        except errors.ClientError as error:
            call.on_wire = False
            self._slow_down(ticket, error)
            await ledger.release(reservation, key=None, billed=error.billed)
            ledger.in_doubt.discard(reservation)
            if isinstance(error, errors.BadRequest) and self.session.learn(request, dialect, error):
                raise _Learnt from error
            raise
        self._heard, self._gave_up_in_row = True, 0
        self.limiter.succeeded(ticket, headers, raw.usage.input + raw.usage.output if raw.usage else 0)
        # The next call need not wait until this reply is on the disk.
        self._leave(call)
        entry = self.session.entry_of(request, call.label, raw, raw.tier or tier or "default", sent)
        stored = await ledger.record(entry, reservation)
        ledger.in_doubt.discard(reservation)
        await self.session.confirm(request, dialect)
        return reply_of(stored, from_ledger=False)

    def _leave(self, call: Call) -> None:
        """Free the place among the calls in flight, once."""
        if call.ticket is not None:
            self.limiter.release(call.ticket)
            call.ticket = None

    def _slow_down(self, ticket: float, error: errors.ClientError) -> None:
        if isinstance(error, errors.RateLimited):
            self.limiter.refused(ticket, error.headers, error.retry_after)
        elif isinstance(error, errors.Retryable):
            self.limiter.overloaded(ticket)

    def _after(self, error: errors.Retryable, faults: _Faults, label: str) -> float:
        """Return the seconds to wait after a fault. Raises GaveUp or ServerDown once the tries are used up."""
        faults.add(error)
        tally = self.session.tallies.of(label)
        tally.retried += 1
        tally.refused += isinstance(error, errors.RateLimited)
        retrying = self.session.settings.retrying
        self.session.mind_wait(error)
        silent = isinstance(error, errors.ConnectionFault) and not error.reached and not self._heard
        if faults.other < (SILENT_TRIES if silent else retrying.tries) and faults.limited < retrying.limited_tries:
            return self.session.backoff(faults.total - 1, error.retry_after)
        self._gave_up_in_row += 1
        if silent or self._gave_up_in_row >= retrying.down_after:
            raise errors.ServerDown(
                f"the model server does not answer ({error}): check that it runs, and run the same command again; "
                "everything paid is kept"
            ) from error
        raise errors.GaveUp(f"gave up after {faults.total} tries: {error}", error) from error
