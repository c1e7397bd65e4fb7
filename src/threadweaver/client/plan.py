"""What a call would cost, without making it: measured on the ledger's own replies where it has any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from threadweaver.client.prices import Price
from threadweaver.client.requests import Reply, Request, Usage
from threadweaver.ledger.statistics import Ratio

BYTES_A_TOKEN = 3.3  # measured on real chains (English with LaTeX) with a 150,000-token vocabulary
OUTPUT_SHARE = (
    0.25  # output tokens an input token, where nothing has been measured: an assumption, and said to be one
)
REPLY_BYTES_A_TOKEN = 3.3


@dataclass(frozen=True)
class Estimate:
    """Sums over calls. `paid` calls are in the ledger already and cost nothing; `basis` says what the rest
    stands on.
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
        """For so many samples of the same kind."""

        def scaled(number: int) -> int:
            return round(number * factor)

        usage = Usage(
            *(
                scaled(n)
                for n in (self.usage.input, self.usage.cached, self.usage.output, self.usage.reasoning)
            )
        )
        return Estimate(
            scaled(self.calls),
            scaled(self.paid),
            usage,
            None if self.cost is None else self.cost * factor,
            scaled(self.reply_bytes),
            self.basis,
        )

    def line(self) -> str:
        """One line for people."""
        cost = "no price known" if self.cost is None else f"${self.cost:.2f}"
        text = f"{self.calls} calls to make, {self.paid} paid already"
        if self.calls:
            text += (
                f", {self.usage.input:,} tokens in ({self.usage.cached:,} cached), {self.usage.output:,} out"
                f", {cost}"
                f" ({'; '.join(sorted(self.basis))})"
            )
        return text


@dataclass(frozen=True)
class Planned:
    """What `ask` would do: `reply` is there if it is paid for; else `estimate` says what it would cost."""

    reply: Reply | None
    estimate: Estimate


class Planner:
    """Estimates single calls from sums over earlier ones."""

    def __init__(self, ratios: Sequence[Ratio], price: Price | None, tier: str) -> None:
        self.ratios = ratios
        self.price = price
        self.tier = tier

    def estimate(self, request: Request, stage: str) -> Estimate:
        """A call of this size in this stage: the same turn of the stage, else the stage, else anything of the
        model.
        """
        turn = request.turn
        same_stage = [ratio for ratio in self.ratios if ratio.stage == stage and ratio.model == request.model]
        same_turn = [ratio for ratio in same_stage if ratio.turn == turn]
        for ratios, basis in ((same_turn, f"{stage}, turn {turn}"), (same_stage, stage)):
            if found := self._measured(request, ratios, basis):
                return found
        return self._assumed(request)

    def _measured(self, request: Request, ratios: Iterable[Ratio], basis: str) -> Estimate | None:
        ratios = list(ratios)
        size = sum(ratio.request_bytes for ratio in ratios)
        if not size:
            return None
        calls = sum(ratio.calls for ratio in ratios)

        def expected(name: str) -> int:
            return round(sum(getattr(ratio, name) for ratio in ratios) / size * request.bytes)

        usage = Usage(*(expected(name) for name in ("input", "cached", "output", "reasoning")))
        return self._priced(usage, expected("reply_bytes"), f"measured on {calls} replies of {basis}")

    def _assumed(self, request: Request) -> Estimate:
        tokens = round(request.bytes / BYTES_A_TOKEN)
        output = min(round(tokens * OUTPUT_SHARE), request.params["max_output_tokens"])
        reply_bytes = round(output * REPLY_BYTES_A_TOKEN)
        return self._priced(
            Usage(tokens, 0, output, 0),
            reply_bytes,
            f"assumed: {OUTPUT_SHARE:g} tokens out a token in, nothing cached",
        )

    def _priced(self, usage: Usage, reply_bytes: int, basis: str) -> Estimate:
        nano = self.price.cost(usage, self.tier) if self.price else None
        return Estimate(1, 0, usage, None if nano is None else nano / 1e9, reply_bytes, frozenset((basis,)))
