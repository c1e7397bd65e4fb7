"""What all calls of a client share: its ledger, price and cap, usage, server, and the error that ended the run."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from threadweaver.client import bounds, dialect, errors, prices
from threadweaver.client.apis import RawReply
from threadweaver.client.credentials import Key, find_base_url, key_for
from threadweaver.client.dialect import Dialect
from threadweaver.client.requests import Request
from threadweaver.client.secrets import scrub
from threadweaver.client.settings import ClientSettings
from threadweaver.client.transport import Transport
from threadweaver.client.usage import Tallies, Usage, stage_of
from threadweaver.errors import UserError
from threadweaver.ledger import NANO, Ledger, LedgerEntry

TOLD_WAIT = 30.0
"""Seconds of a wait that is reported."""


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
        self._dialects: dict[tuple[str, str], Dialect] = {}
        self._kept: dict[tuple[str, str], Dialect] = {}  # as they are in the ledger
        self._told: set[str] = set()

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
                    made = await asyncio.to_thread(self._make_transport)
                    for spoken, text in (await self.ledger.known_of(made.base_url)).items():
                        self._kept[spoken] = self._dialects[spoken] = Dialect.parse(text)
                    self._transport = made
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

    # what the server accepts

    def dialect(self, request: Request) -> Dialect:
        """Return how this server wants a request. Under a cap, the limit of a reply is always sent."""
        known = self._dialects.get((request.api, request.model), dialect.PLAIN)
        if self.settings.stream and not known.stream:
            known = replace(known, stream=True)
        return replace(known, left_out=known.left_out - set(dialect.LIMITS)) if self.cap is not None else known

    def learn(self, request: Request, used: Dialect, error: errors.BadRequest) -> bool:
        """Whether to send a refused request again: this refusal, or one of another call, has taught another dialect."""
        if self.dialect(request) != used:
            return True
        learnt = dialect.learn(used, used.apply(request.body(self.settings.service_tier)), error.detail)
        if learnt is None or (self.cap is not None and learnt.unlimited):
            return False
        self._dialects[request.api, request.model] = learnt
        self.tell(f"{self._transport.base_url}: {dialect.difference(used, learnt)} from now on ({error.answered})")
        return True

    async def confirm(self, request: Request, used: Dialect) -> None:
        """Keep what a reply has shown to be right, for later runs."""
        spoken = request.api, request.model
        if used == dialect.PLAIN or self._kept.get(spoken, dialect.PLAIN) == used or self._dialects.get(spoken) != used:
            return
        self._kept[spoken] = used
        await self.ledger.remember(self._transport.base_url, *spoken, used.as_json())

    def tell(self, line: str) -> None:
        """Print a line for the user, once."""
        if line not in self._told:
            from tqdm import tqdm

            self._told.add(line)
            tqdm.write(line, file=sys.stderr)

    def scrub(self, text: str) -> str:
        return scrub(text, self._transport.key if self._transport else None)

    def backoff(self, tries: int, asked: float | None) -> float:
        """Return the seconds to wait: a little more than the server asks for, else doubling, half of it at random."""
        if asked is not None:
            return asked + random.uniform(0, min(1.0, 0.1 * asked + 0.01))
        retrying = self.settings.retrying
        whole = min(retrying.longest, retrying.first * 2 ** min(tries, 30))
        return whole / 2 + random.uniform(0, whole / 2)

    def mind_wait(self, error: errors.Retryable) -> None:
        """Report a long wait that the server asks for. Raises WaitTooLong for one above --longest-wait."""
        asked, longest = error.retry_after, self.settings.retrying.longest_asked
        if asked is None or asked < TOLD_WAIT:
            return
        shown = f"{asked:,.0f} s" if asked < 1e9 else "for ever"
        if asked > longest:
            raise errors.WaitTooLong(
                f"the server asks to wait {shown}, longer than --longest-wait {longest:g} ({error}): run the same "
                "command again then, or allow a longer wait; everything paid is kept"
            )
        self.tell(f"the server asks to wait {shown} ({error})")

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

        A reply that is truncated, empty or refused, or one to a part of the prompt, is rejected by that alone;
        completions may end in any way.
        """
        counted = self._counted(request, raw)
        usage = counted or Usage()
        rejected = raw.status if raw.status != "ok" and request.api != "completions" else None
        rejected = raw.why or (errors.PromptCut.code if bounds.was_cut(counted, request.characters) else rejected)
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
            cost=self._cost(request, counted, tier),
            tier=tier,
            sent=sent,
            done=now,
            extra=raw.extra,
            verdict="rejected" if rejected else None,
            why=rejected,
            judged=now if rejected else None,
        )

    def _counted(self, request: Request, raw: RawReply) -> Usage | None:
        """Return a server's count of tokens as far as it is possible; None where it gives none."""
        if raw.usage is None:
            if raw.doubt:
                self.tell(f"{raw.doubt}: counted as the most that is possible")
            return None
        most_out = request.most_output
        if raw.usage.output > most_out:  # the server minds no limit, or its count is wrong
            unlimited = self.dialect(request).unlimited
            most_out = bounds.MOST_TOKENS if unlimited else max(most_out, len(raw.text.encode("utf-8", "replace")))
        usage, doubt = bounds.bounded(raw.usage, request.most_input, most_out)
        if doubt and "counts" not in self._told:
            self._told.add("counts")  # every reply has another number
            self.tell(doubt)
        return usage

    def _cost(self, request: Request, usage: Usage | None, tier: str) -> int | None:
        if self.price is None:
            return None
        if usage is not None:
            return self.price.cost(usage, tier)
        # A server that does not count may have billed anything up to the worst case; a batch is half the price for
        # certain, for another tier there is only the server's word.
        tiers = {tier} if tier == "batch" else {tier, "default"}
        return max(self.price.worst_case(request, possible) for possible in tiers)
