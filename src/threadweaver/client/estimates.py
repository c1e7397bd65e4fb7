"""What a call would cost, without making it: measured on the ledger's own replies where it has any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from threadweaver.client.prices import Price
from threadweaver.client.requests import Reply, Request
from threadweaver.client.usage import Usage, repair_of
from threadweaver.ledger.statistics import Ratio

BYTES_PER_TOKEN = 3.3  # measured on real chains (English with LaTeX) with a 150,000-token vocabulary
OUTPUT_SHARE = 0.25  # output tokens per input token where nothing has been measured: an assumption, reported as one
REPLY_BYTES_PER_TOKEN = 3.3


@dataclass(frozen=True)
class Estimate:
    """Sums over calls. `paid` calls are in the ledger already and cost nothing; `basis` says what the rest is
    based on.
    """

    calls: int = 0
    paid: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    reply_bytes: int = 0
    basis: frozenset[str] = frozenset()

    def __add__(self, other: Estimate) -> Estimate:
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        return Estimate(
            self.calls + other.calls,
            self.paid + other.paid,
            self.usage + other.usage,
            cost,
            self.reply_bytes + other.reply_bytes,
            self.basis | other.basis,
        )

    def times(self, factor: float) -> Estimate:
        """Scale to so many samples of the same kind."""

        def scaled(number: int) -> int:
            return round(number * factor)

        usage = Usage(
            *(scaled(n) for n in (self.usage.input, self.usage.cached, self.usage.output, self.usage.reasoning))
        )
        return Estimate(
            scaled(self.calls),
            scaled(self.paid),
            usage,
            None if self.cost is None else self.cost * factor,
            scaled(self.reply_bytes),
            self.basis,
        )


@dataclass(frozen=True)
class Planned:
    """What `ask` would do: `reply` if it is paid for, else None and in `estimate` what it would cost."""

    reply: Reply | None
    estimate: Estimate


class Planner:
    """Estimate single calls from sums over earlier ones."""

    def __init__(self, ratios: Sequence[Ratio], price: Price | None, tier: str) -> None:
        self.ratios = ratios
        self.price = price
        self.tier = tier

    def estimate(self, request: Request, stage: str) -> Estimate:
        """Estimate a call from those of the same turn of the stage, else those of the stage, scaled by size."""
        turn = request.turn
        same_stage = [ratio for ratio in self.ratios if ratio.stage == stage and ratio.model == request.model]
        same_turn = [ratio for ratio in same_stage if ratio.turn == turn]
        # one sentence for all turns of a stage: there are many turns, and the reader learns nothing from them
        basis = f"measured on {sum(ratio.calls for ratio in same_stage)} replies of {stage}"
        for ratios, how in ((same_turn, "turn by turn"), (same_stage, "all turns alike")):
            if found := self._measured(request, ratios, f"{basis}, {how}"):
                return found
        return self._assumed(request)

    def repairs(self, stage: str, turns: int, conversations: int) -> Estimate:
        """Estimate the repair turns that so many conversations of `turns` turns will need, by the share seen so far."""
        repairs = [ratio for ratio in self.ratios if ratio.stage == repair_of(stage)]
        ended = sum(ratio.calls for ratio in self.ratios if ratio.stage == stage and ratio.turn == turns)
        if not ended or not repairs or not conversations:
            return Estimate()

        def expected(name: str) -> int:
            return round(sum(getattr(ratio, name) for ratio in repairs) * conversations / ended)

        usage = Usage(*(expected(name) for name in ("input", "cached", "output", "reasoning")))
        basis = f"{sum(ratio.calls for ratio in repairs)} repairs in {ended} conversations of {stage}"
        return self._priced(usage, expected("reply_bytes"), basis, expected("calls"))

    def following(self, stage: str, first: str, first_bytes: int) -> Estimate | None:
        """Estimate a stage by the size of the first turns in an earlier stage `first`, `first_bytes` in all.

        None where the ledger does not hold both.
        """
        sizes = [ratio.request_bytes for ratio in self.ratios if ratio.stage == first and ratio.turn == 1]
        ratios = [ratio for ratio in self.ratios if ratio.stage in (stage, repair_of(stage))]
        if not sum(sizes) or not ratios:
            return None
        factor = first_bytes / sum(sizes)
        sums = (sum(getattr(ratio, name) for ratio in ratios) for name in ("input", "cached", "output", "reasoning"))
        calls = sum(ratio.calls for ratio in ratios)
        basis = f"measured on {calls} replies of {stage}, by the size of the chains"
        return self._priced(Usage(*sums), 0, basis, calls).times(factor)

    def at_this_tier(self, usage: Usage) -> float | None:
        """Return what a paid reply would cost now, in USD: it may have been paid at another tier."""
        nano = self.price.cost(usage, self.tier) if self.price else None
        return None if nano is None else nano / 1e9

    def _measured(self, request: Request, ratios: Iterable[Ratio], basis: str) -> Estimate | None:
        ratios = list(ratios)
        size = sum(ratio.request_bytes for ratio in ratios)
        if not size:
            return None

        def expected(name: str) -> int:
            return round(sum(getattr(ratio, name) for ratio in ratios) / size * request.bytes)

        usage = Usage(*(expected(name) for name in ("input", "cached", "output", "reasoning")))
        return self._priced(usage, expected("reply_bytes"), basis)

    def _assumed(self, request: Request) -> Estimate:
        tokens = round(request.bytes / BYTES_PER_TOKEN)
        output = min(round(tokens * OUTPUT_SHARE), request.params["max_output_tokens"])
        reply_bytes = round(output * REPLY_BYTES_PER_TOKEN)
        return self._priced(
            Usage(tokens, 0, output, 0),
            reply_bytes,
            f"assumed: {OUTPUT_SHARE:g} tokens out per token in, nothing cached",
        )

    def _priced(self, usage: Usage, reply_bytes: int, basis: str, calls: int = 1) -> Estimate:
        nano = self.price.cost(usage, self.tier, calls) if self.price else None
        return Estimate(calls, 0, usage, None if nano is None else nano / 1e9, reply_bytes, frozenset((basis,)))
