"""What all calls of a client share: its ledger, price and cap, usage, server, and the error that ended the run."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Mapping

from threadweaver.client import errors, prices
from threadweaver.client.apis import RawReply
from threadweaver.client.credentials import Key, find_base_url, key_for, scrub
from threadweaver.client.requests import Request
from threadweaver.client.settings import ClientSettings
from threadweaver.client.transport import Transport
from threadweaver.client.usage import Tallies, Usage, stage_of
from threadweaver.errors import UserError
from threadweaver.ledger import NANO, Ledger, LedgerEntry


class Session:
    """`ledger` is open from the client's entry to its exit. `ended` is why no call is sent any more."""

    ledger: Ledger

    def __init__(self, settings: ClientSettings, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.environment = environment
        self.tallies = Tallies()
        self.price = prices.price_of(
            settings.model, input_price=settings.in_cost_per_million, output_price=settings.out_cost_per_million
        )
        if settings.max_cost is not None and self.price is None and not settings.offline:
            raise UserError(f"--max-cost needs a price, and {prices.unknown(settings.model)}")
        self.cap = None if settings.max_cost is None else int(settings.max_cost * NANO)
        self.ended: errors.RunError | None = None
        self._key: Key | None = None
        self._slow_reported = False
        self._transport: Transport | None = None
        self._making = asyncio.Lock()

    async def close(self) -> None:
        try:
            if self._transport is not None:
                await self._transport.close()
        finally:
            await self.ledger.aclose()

    # the server

    async def transport(self) -> Transport:
        """Return the transport, made at the first call: a run that the ledger answers needs neither key nor SDK."""
        if self._transport is None:
            async with self._making:
                if self._transport is None:
                    # Importing the SDK takes 0.9 s, which the event loop must not wait for.
                    self._transport = await asyncio.to_thread(self._make_transport)
        return self._transport

    def key(self) -> Key:
        """Return the key, read once: it may come through a pipe. Raises UserError."""
        if self._key is None:
            base_url = find_base_url(self.settings.base_url, self.environment)
            self._key = key_for(base_url, self.settings.key_path, self.environment)
        return self._key

    def _make_transport(self) -> Transport:
        base_url = find_base_url(self.settings.base_url, self.environment)
        return Transport(base_url, self.key(), timeout=self.settings.timeout, connections=self.settings.workers)

    def scrub(self, text: str) -> str:
        return scrub(text, self._transport.key if self._transport else None)

    def backoff(self, tries: int, asked: float | None) -> float:
        """Return the seconds to wait: a little more than the server asks for, else doubling, half of it at random."""
        if asked is not None:
            return asked + random.uniform(0, min(1.0, 0.1 * asked + 0.01))
        retrying = self.settings.retrying
        whole = min(retrying.longest, retrying.first * 2 ** min(tries, 30))
        return whole / 2 + random.uniform(0, whole / 2)

    # the end of the run

    def fatal(self, error: errors.RunError) -> None:
        """End the run: from now on no call is sent, and every `ask` that would send one raises this."""
        self.ended = self.ended or error

    def raise_fatal(self) -> None:
        if self.ended is not None:
            raise self.ended

    # money

    def worst_case(self, request: Request, tier: str | None = None) -> int:
        """Nano-dollars, by default of whatever tier the server may answer in: it does not always grant a cheaper one,
        and may choose a dearer one. 0 where no price is known.
        """
        return 0 if self.price is None else self.price.worst_case(request, tier)

    def cap_error(self, request: Request) -> errors.CapReached:
        return errors.CapReached(
            f"this call may cost ${self.worst_case(request) / NANO:.4f}, more than is left of "
            f"--max-cost {self.settings.max_cost:g}: raise it to continue"
        )

    def report_slow(self, request: Request) -> None:
        """Say, once, that calls wait because the others have reserved what is left under the cap."""
        if not self._slow_reported:
            self._slow_reported = True
            print(
                f"--max-cost {self.settings.max_cost:g} slows this run down: what is left of it does not cover "
                f"{self.settings.workers} calls at once, each of which may cost up to "
                f"${self.worst_case(request) / NANO:.4f}, so some wait for others; a higher limit costs no more for the "
                "same calls",
                file=sys.stderr,
                flush=True,
            )

    # what is kept

    def entry_of(self, request: Request, label: str, raw: RawReply, tier: str, sent: float) -> LedgerEntry:
        """Return what the ledger keeps of a reply whose request was sent at `sent` (unix time).

        A reply that is truncated, empty or refused is rejected by that alone; completions may end in any way.
        """
        tier = str(tier)  # a server may report anything
        usage = raw.usage or Usage()
        rejected = raw.status if raw.status != "ok" and request.api != "completions" else None
        now = time.time()
        return LedgerEntry(
            key=request.key,
            base=request.at(0).key,
            attempt=request.attempt,
            api=request.api,
            model=request.model,
            stage=stage_of(label),
            turn=request.turn,
            request=request.canonical,
            reply=raw.text,
            status=raw.status,
            finish=raw.finish,
            input=usage.input,
            cached=usage.cached,
            output=usage.output,
            reasoning=usage.reasoning,
            cost=self._cost(request, raw.usage, tier),
            tier=tier,
            sent=sent,
            done=now,
            extra=raw.extra,
            verdict="rejected" if rejected else None,
            why=rejected,
            judged=now if rejected else None,
        )

    def _cost(self, request: Request, usage: Usage | None, tier: str) -> int | None:
        if self.price is None:
            return None
        if usage is not None:
            return self.price.cost(usage, tier)
        # A server that does not count may have billed anything up to the worst case; a batch is half the price for
        # certain, for another tier there is only the server's word.
        tiers = {tier} if tier == "batch" else {tier, "default"}
        return max(self.price.worst_case(request, possible) for possible in tiers)
