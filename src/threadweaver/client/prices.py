"""What tokens cost. Prices come from `prices.json` beside this package's parent, which users may edit, and
from flags.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from threadweaver.client.requests import Request, Usage
from threadweaver.errors import UserError

PRICES = Path(__file__).parent.parent / "prices.json"
ENVELOPE_TOKENS = 64  # a conversation's own markers; 8 a message come on top. OpenAI needs 3 and 4.
UNKNOWN_TIER = 2.0  # times the default price where a tier has none: "priority" costs 1.7 to 2 times as much
KNOWN = ("input", "cached_input", "output")


@dataclass(frozen=True)
class Price:
    """USD per million tokens; `factors` by tier ("batch", "flex")."""

    input: float
    cached_input: float
    output: float
    factors: Mapping[str, float]

    def factor(self, tier: str) -> float:
        """What multiplies the price in this tier; twice the default price where that is not known, so that a cap
        holds whatever tier a server answers with.
        """
        return 1.0 if tier in ("default", "auto") else self.factors.get(tier, UNKNOWN_TIER)

    def cost(self, usage: Usage, tier: str = "default") -> int:
        """Nano-dollars, rounded up."""
        per_million = (
            (usage.input - usage.cached) * self.input + usage.cached * self.cached_input + usage.output * self.output
        )
        return math.ceil(round(per_million * self.factor(tier) * 1000, 6))

    def worst_case(self, request: Request, tier: str | None = "default") -> int:
        """Nano-dollars; no call costs more: a token a byte, nothing cached, output up to the limit.

        `tier` None: in whatever tier the server may answer.
        """
        tokens = request.bytes + ENVELOPE_TOKENS + 8 * len(request.messages)
        dollars = tokens * max(self.input, self.cached_input) + request.params["max_output_tokens"] * self.output
        dearest = max(1.0, UNKNOWN_TIER, *self.factors.values())
        return math.ceil(dollars * (dearest if tier is None else self.factor(tier)) * 1000)


def load(path: Path = PRICES) -> dict[str, Price]:
    """The price file. Raises UserError that names the entry at fault."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the prices in {path} cannot be read ({error}): mend the file") from error
    return {model: _price(path, model, entry) for model, entry in entries.items() if not model.startswith("//")}


def _price(path: Path, model: str, entry: Mapping[str, object]) -> Price:
    try:
        values = [float(entry[name]) for name in KNOWN]  # type: ignore[arg-type]
        factors = {
            name.removesuffix("_factor"): float(value)
            for name, value in entry.items()  # type: ignore[arg-type]
            if name.endswith("_factor")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the price of {model} in {path} needs the numbers {', '.join(KNOWN)} ({error!r})") from error
    if not all(math.isfinite(value) and value >= 0 for value in (*values, *factors.values())):
        raise UserError(f"the price of {model} in {path} is negative or no number")
    return Price(*values, factors)


def price_of(
    model: str,
    *,
    input_price: float | None = None,
    output_price: float | None = None,
    table: Mapping[str, Price] | None = None,
) -> Price | None:
    """The price of a model: flags over the file. Without a known share, cached tokens cost as much as fresh
    ones.
    """
    table = load() if table is None else table
    known = table.get(model) or table.get(re.sub(r"-\d{4}-\d\d-\d\d$", "", model))
    if input_price is None and output_price is None:
        return known
    if known is None:
        if input_price is None or output_price is None:
            raise UserError(
                f"{model} is not in prices.json: give both --in_cost_per_million and --out_cost_per_million"
            )
        return Price(input_price, input_price, output_price, {"batch": 0.5})
    share = known.cached_input / known.input if known.input else 1.0
    price_in = known.input if input_price is None else input_price
    return replace(
        known,
        input=price_in,
        cached_input=price_in * share,
        output=known.output if output_price is None else output_price,
    )
