"""How fast to call: as fast as the server accepts, under a ceiling of calls in flight.

Two limits work together. Calls in flight: START at first, doubled every tenth of a second until the server objects (a
refusal comes back in tens of ms, a reply in seconds: waiting for replies would double the time of a stage with one
round of calls), then additive growth and multiplicative cuts on 5xx and time-outs. Calls per second: unlimited until
the first 429, then what the server was seen to accept, probed upwards slowly; and bounded by what the x-ratelimit
headers say is left and how fast it comes back.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

START = 32  # calls in flight at first
RAMP_SECONDS = 0.1  # between doublings
CUT = 0.7  # calls in flight after a sign of overload
WINDOW = 1.0  # seconds over which refusals are counted
PROBE = 1.008  # growth of the rate per window, near where it was last refused: probing costs under 1 % of calls
CATCH_UP = 1.1  # the same far from there
PLENTY = 1.5  # the same while headers say that more than half is left
STEP = 0.3  # least growth, calls per second: refusals at any rate (1 in 40, say) must not stop it
ROUGH = 0.2  # a window with more of its calls refused shows that the rate was too high, not what would be right
SLOWEST = 0.2  # calls per second; only a Retry-After can make it slower
LONG_WAIT = 2.0  # a Retry-After above this many seconds is meant for everybody, not for one call

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float | None:
    """Return the seconds of "6m0s", "1s", "20ms", "1h2m3.5s" or a bare number; None for anything else."""
    text = text.strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        parts = _DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            return None
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class Allowance:
    """What the headers say of one resource: `remaining` of `limit` is left, and all is back after `reset` seconds."""

    limit: float
    remaining: float
    reset: float

    @property
    def share(self) -> float:
        return self.remaining / self.limit

    @property
    def rate(self) -> float | None:
        """Units per second to use: 8 % below what comes back when nothing is left, above it when much is.

        It settles with a fifth left, which absorbs bursts. The slope is small because headers are as old as the reply
        they came with: with replies of 2 s and a reserve of 1 s, a slope of 1 swings between full and empty.
        """
        if self.share > 0.5 or self.reset <= 0:
            return None
        return (self.limit - self.remaining) / self.reset * (0.92 + 0.4 * self.share)


def read_allowance(headers: Mapping[str, str], resource: str) -> Allowance | None:
    """Read the headers of "requests" or "tokens"; None where one of the three is missing or not understood."""
    values = [headers.get(f"x-ratelimit-{part}-{resource}") for part in ("limit", "remaining", "reset")]
    if None in values:
        return None
    limit, remaining, reset = (parse_duration(str(value)) for value in values)
    if not limit or remaining is None or reset is None:
        return None
    return Allowance(limit, min(remaining, limit), reset)


class RateLimiter:
    """`ticket = await acquire()` before a call, `release(ticket)` after it; between them report how it went, with
    `succeeded`, `refused`, `overloaded` or `unsent`.
    """

    def __init__(self, ceiling: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ceiling = max(1, ceiling)
        self.limit = float(min(START, self.ceiling))
        self.rate: float | None = None  # calls per second
        self.in_flight = 0
        self._clock = clock
        self._waiters: deque[asyncio.Future[float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._ramping = True
        self._next_ramp = 0.0
        self._last_cut = -1.0
        self._pause_until = 0.0
        self._credit, self._credit_at = 1.0, 0.0
        self._window_start = self._window_end = self._window_rate = 0.0
        self._sends = self._refusals = 0
        self._refused_rate: float | None = None
        self._recent: deque[float] = deque(maxlen=4096)
        self._known: dict[str, tuple[float, float, float]] = {}  # resource -> (sent, until, calls per second)
        self._tokens_per_call = 0.0
        self._plenty_until = 0.0
        self._lag = 0.2  # seconds that a refusal takes to come back, the longest recently

    # for callers

    async def acquire(self, *, urgent: bool = False) -> float:
        """Wait for a place; the ticket is the time of sending. `urgent` calls (retries) go first."""
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        (self._waiters.appendleft if urgent else self._waiters.append)(waiter)
        self._pump()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release(waiter.result())
            raise

    def release(self, ticket: float) -> None:
        self.in_flight -= 1
        self._pump()

    def unsent(self) -> None:
        """The place was not used for a call."""
        self._sends = max(0, self._sends - 1)
        self._credit += 1

    def succeeded(self, ticket: float, headers: Mapping[str, str], tokens: int) -> None:
        if tokens:
            self._tokens_per_call += (tokens - self._tokens_per_call) * (0.05 if self._tokens_per_call else 1.0)
        if not self._ramping and self.in_flight >= self.limit - 1:
            self.limit = min(self.ceiling, self.limit + max(1.0, 0.05 * self.limit) / self.limit)
        self._hear(ticket, headers)

    def refused(self, ticket: float, headers: Mapping[str, str], retry_after: float | None) -> None:
        """Note a 429: fewer calls per second from now on."""
        now = self._clock()
        self._lag = min(10.0, max(0.9 * self._lag, now - ticket))
        self._hear(ticket, headers)
        if retry_after is not None and retry_after > LONG_WAIT:
            self._pause_until = max(self._pause_until, now + retry_after)
        if self.rate is None:
            while self._recent and self._recent[0] < now - WINDOW:
                self._recent.popleft()
            # Those in flight count as accepted. That is too many, which the next windows halve away within seconds;
            # starting from too few would take minutes.
            self._set_rate(now, max(len(self._recent) / WINDOW, self.in_flight, 8.0), rough=True)
            self._credit = 0.0
        elif self._window_start <= ticket < self._window_end:
            self._refusals += 1

    def overloaded(self, ticket: float) -> None:
        """Note a 5xx, a time-out or a lost connection: fewer in flight; one cut for all calls of one moment."""
        self._ramping = False
        if ticket > self._last_cut:
            self._last_cut = self._clock()
            self.limit = max(1.0, CUT * min(self.limit, max(1, self.in_flight)))

    # rates

    def _hear(self, ticket: float, headers: Mapping[str, str]) -> None:
        now = self._clock()
        for resource in ("requests", "tokens"):
            allowance = read_allowance(headers, resource)
            if allowance is None or ticket < self._known.get(resource, (0.0, 0.0, 0.0))[0]:
                continue
            rate = allowance.rate
            if rate is not None and resource == "tokens":
                rate = rate / self._tokens_per_call if self._tokens_per_call else None
            if rate is None:
                self._known.pop(resource, None)
                if resource == "requests" and allowance.share > 0.5:
                    self._plenty_until = now + 2 * WINDOW
            else:
                self._known[resource] = (ticket, now + max(1.0, allowance.reset), max(SLOWEST, rate))

    def _allowed_rate(self, now: float) -> float | None:
        rates = [rate for _, until, rate in self._known.values() if until > now]
        if self.rate is not None:
            rates.append(self.rate)
        return min(rates) if rates else None

    def _set_rate(self, now: float, rate: float, *, rough: bool) -> None:
        self.rate = max(SLOWEST, rate)
        self._refused_rate = None if rough else self.rate
        self._open_window(now)

    def _open_window(self, now: float) -> None:
        # Four calls at least, or one refusal more or less would say nothing.
        self._window_start, self._window_end = now, now + max(WINDOW, 4 / (self.rate or 4))
        self._window_rate = self._allowed_rate(now) or 0.0
        self._sends = self._refusals = 0

    def _weigh(self, now: float) -> None:
        """After a window, and the time that its refusals need to come back: cut to what was accepted, or probe."""
        if self.rate is None or now < self._window_end + 1.5 * self._lag:
            return
        rate = self._window_rate
        used = self._sends >= 0.8 * rate * (self._window_end - self._window_start)
        if self._refusals:
            # A rate that was not used for lack of places in flight says little about what the server accepts.
            share = min(0.9 if used else 0.5, self._refusals / max(1, self._sends))
            self._set_rate(now, rate * (1 - share), rough=share > ROUGH)
            return
        if used:
            near = self._refused_rate is not None and 0.9 <= self.rate / self._refused_rate <= 1.1
            growth = PLENTY if now < self._plenty_until else PROBE if near else CATCH_UP
            self.rate += max(STEP, self.rate * (growth - 1))
        self._open_window(now)

    # handing out places

    def _pump(self) -> None:
        now = self._clock()
        self._weigh(now)
        self._ramp(now)
        while self._waiters:
            if self._waiters[0].done():
                self._waiters.popleft()
                continue
            if self.in_flight >= int(self.limit):
                if self._ramping and self.limit < self.ceiling:
                    self._wake(self._next_ramp - now)
                return
            if now < self._pause_until:
                self._wake(self._pause_until - now)
                return
            if (wait := self._wait_for_credit(now)) > 0:
                self._wake(wait)
                return
            self.in_flight += 1
            self._recent.append(now)
            if self._window_start <= now < self._window_end:
                self._sends += 1
            self._waiters.popleft().set_result(now)

    def _ramp(self, now: float) -> None:
        if self._ramping and self._waiters and self.in_flight >= int(self.limit) and now >= self._next_ramp:
            if self._next_ramp:
                self.limit = min(float(self.ceiling), self.limit * 2)
            self._next_ramp = now + RAMP_SECONDS

    def _wait_for_credit(self, now: float) -> float:
        rate = self._allowed_rate(now)
        if rate is None:
            self._credit_at = now
            return 0.0
        # What a late timer missed may be caught up: on a busy machine timers are late by 100 ms and more.
        self._credit = min(max(1.0, rate * 0.25), self._credit + (now - self._credit_at) * rate)
        self._credit_at = now
        if self._credit < 1:
            return (1 - self._credit) / rate
        self._credit -= 1
        return 0.0

    def _wake(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.001, seconds)
        if self._timer is not None and not self._timer.cancelled() and loop.time() < self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._pump()
