"""What tokens cost: flags over the user's own file over `genai-prices`, which lists the providers' prices offline.

A model is priced by its name alone, wherever it is served: a server of one's own whose model is called gpt-5 is priced
as OpenAI's gpt-5. A dated name takes the price of the name without the date where it has none of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadweaver.client.requests import Request
from threadweaver.client.usage import Usage
from threadweaver.errors import UserError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

OWN_PRICES = Path(__file__).parents[3] / "data" / "prices.json"
"""The user's own prices, in USD per million tokens; cached_input and the factors of tiers may be left out:
{"my-model": {"input": 0.2, "cached_input": 0.02, "output": 0.8, "batch_factor": 0.5, "flex_factor": 0.5}}
"""
UNKNOWN_TIER = 2.0  # times the default price where a tier has none: "priority" costs 1.7 to 2.5 times as much
OUTPUT = ("output_mtok", "output_reasoning_mtok")
UNCOUNTED = ("requests_kcount", "output_citation_mtok")  # what some models bill and no usage reports


@dataclass(frozen=True)
class Rates:
    """USD per million tokens. `steps`: more input tokens than this in one call, and all of it costs these rates."""

    input: float
    cached_input: float
    output: float
    steps: tuple[tuple[int, Rates], ...] = ()

    def at(self, tokens: float) -> Rates:
        """Return the rates of a call with so many input tokens."""
        return next((rates for above, rates in reversed(self.steps) if tokens > above), self)

    def times(self, factor: float) -> Rates:
        steps = tuple((above, rates.times(factor)) for above, rates in self.steps)
        return Rates(self.input * factor, self.cached_input * factor, self.output * factor, steps)

    def scaled(self, old: Rates, new: Rates) -> Rates:
        """Return these rates for a default price of `new`, where it was `old`."""

        def scale(rate: float, old: float, new: float) -> float:
            return new * (rate / old if old else UNKNOWN_TIER)

        return Rates(
            scale(self.input, old.input, new.input),
            scale(self.cached_input, old.cached_input, new.cached_input),
            scale(self.output, old.output, new.output),
            tuple((above, rates.scaled(old, new)) for above, rates in self.steps),
        )

    def of(self, fresh: int, cached: int, output: int) -> float:
        """Return micro-dollars for so many tokens."""
        return fresh * self.input + cached * self.cached_input + output * self.output


@dataclass(frozen=True)
class Price:
    """The rates of the default tier, and those of others by their names ("batch", "flex").

    `ceiling` is how many times these a call may cost, for the cap alone: some models have dearer steps for a large
    context, and a price for input that is written to a cache. The latter is in no `cost`: usages do not report it, and
    only a server that is asked to write bills it.
    """

    default: Rates
    tiers: Mapping[str, Rates]
    ceiling: float = 1.0

    def rates(self, tier: str) -> Rates:
        """Return the rates of a tier; twice the default where they are not known, so that a cap holds whatever tier a
        server answers with.
        """
        return self.default if tier in ("default", "auto") else self.tiers.get(tier, self.default.times(UNKNOWN_TIER))

    def cost(self, usage: Usage, tier: str = "default", calls: int = 1) -> int:
        """Return nano-dollars, rounded up; `usage` is that of so many calls of one size."""
        rates = self.rates(tier).at(usage.input / max(1, calls))
        return math.ceil(round(rates.of(usage.input - usage.cached, usage.cached, usage.output) * 1000, 6))

    def worst_case(self, request: Request, tier: str | None = "default") -> int:
        """Return nano-dollars; no call costs more: a token per byte, nothing cached, output up to every limit.

        `tier` None: in whatever tier the server may answer.
        """
        possible = (
            [self.rates(tier)] if tier else [self.default, self.default.times(UNKNOWN_TIER), *self.tiers.values()]
        )
        dearest = max(
            request.most_input * max(rates.input, rates.cached_input) + request.most_output * rates.output
            for rates in possible
        )
        return math.ceil(dearest * self.ceiling * 1000)


def price_of(
    model: str, *, input_price: float | None = None, output_price: float | None = None, own: Path = OWN_PRICES
) -> Price | None:
    """Return the price of a model, None if none is known: flags (USD per million tokens) over the user's file over
    `genai-prices`. Without a known share, cached tokens cost as much as fresh ones.
    """
    undated = re.sub(r"-\d{4}-?\d\d-?\d\d$", "", model)
    owned = _owned(own)
    known = owned.get(model) or owned.get(undated) or _listed(model) or _listed(undated)
    if input_price is None and output_price is None:
        return known
    if known is None:
        if input_price is None or output_price is None:
            raise UserError(unknown(model))
        rates = Rates(input_price, input_price, output_price)
        return Price(rates, {"batch": rates.times(0.5)})
    old = known.default
    price_in = old.input if input_price is None else input_price
    share = old.cached_input / old.input if old.input else 1.0
    asked = Rates(price_in, price_in * share, old.output if output_price is None else output_price)
    new = replace(asked, steps=old.scaled(old, asked).steps)
    return Price(new, {tier: rates.scaled(old, new) for tier, rates in known.tiers.items()}, known.ceiling)


def unknown(model: str) -> str:
    """Say that a model has no price, and what to do."""
    return (
        f"no price is known of {model}: give both --in_cost_per_million and --out_cost_per_million, or put "
        f'"{model}": {{"input": …, "output": …}} into {OWN_PRICES} (USD per million tokens)'
    )


# ---- the user's own file


def _owned(path: Path) -> dict[str, Price]:
    """Return the prices of the user's file by model. Raises UserError that names the entry at fault."""
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the prices in {path} cannot be read ({error}): fix the file") from error
    if not isinstance(entries, dict):
        raise UserError(f"{path} is not a JSON object of prices by model: fix the file")
    return {model: _own_price(path, model, entry) for model, entry in entries.items() if not model.startswith("//")}


def _own_price(path: Path, model: str, entry: Any) -> Price:
    if not isinstance(entry, dict) or not {"input", "output"} <= entry.keys():
        raise UserError(f"the price of {model} in {path} needs the numbers input and output: fix the file")
    for name, value in entry.items():
        if name not in ("input", "cached_input", "output") and not name.endswith("_factor"):
            raise UserError(
                f"the price of {model} in {path} has input, cached_input, output, batch_factor or the like, not {name}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
            raise UserError(f"the {name} of {model} in {path} is negative or not a number: fix the file")
    rates = Rates(entry["input"], entry.get("cached_input", entry["input"]), entry["output"])
    factors = {name.removesuffix("_factor"): value for name, value in entry.items() if name.endswith("_factor")}
    return Price(rates, {tier: rates.times(factor) for tier, factor in factors.items()})


# ---- genai-prices


def _listed(model: str) -> Price | None:
    """Return the price that the library lists. None also for what is billed by more than tokens in and out."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        found = calc_price(Tokens(), model).model
    except LookupError:
        return None
    default = _rates(found)
    tiers: dict[str, Rates] = {}
    for variant in found.price_variants or ():
        tier = "batch" if variant.when == {"processing": "batch"} else variant.when.get("service_tier")
        in_force = variant.constraint is None or variant.constraint.active(datetime.now(UTC))
        if (
            tier not in (None, "default")
            and len(variant.when) == 1
            and in_force
            and (rates := _rates(found, variant.when))
        ):
            tiers[tier] = rates
    return Price(default, tiers, _ceiling(found, default)) if default else None


def _rates(model: ModelInfo, tier: Mapping[str, str] | None = None) -> Rates | None:
    """Return the rates of a model at the dearest hour of the day. None also for what is billed by more than these."""
    fresh, output = list(_steps(model, tier, "input_mtok")), list(_steps(model, tier, *OUTPUT))
    if not fresh or not output or any(_steps(model, tier, *UNCOUNTED)):
        return None
    parts = (fresh, list(_steps(model, tier, "cache_read_mtok")) or fresh, output)
    starts = sorted({start for part in parts for steps in part for start in steps})

    def rates(start: int, steps: tuple[tuple[int, Rates], ...] = ()) -> Rates:
        return Rates(*(max(_rate_at(start, of_hour) for of_hour in part) for part in parts), steps)

    return rates(0, tuple((start, rates(start)) for start in starts if start))


def _rate_at(start: int, steps: Mapping[int, float]) -> float:
    return steps[max(other for other in steps if other <= start)]


def _ceiling(model: ModelInfo, rates: Rates) -> float:
    """Return how many times its rates a call may cost: with the largest context, all fresh input written to a cache."""
    units = {"input_mtok": rates.input, "cache_write_mtok": rates.input, "output_mtok": rates.output}
    return max(
        (max(steps.values()) / usual for unit, usual in units.items() if usual for steps in _steps(model, None, unit)),
        default=1.0,
    )


def _steps(model: ModelInfo, tier: Mapping[str, str] | None, *units: str) -> Iterator[dict[int, float]]:
    """Yield the rates of these units for every hour of the day, by the input tokens above which they hold; most have
    one, above 0.
    """
    now = datetime.now(UTC)
    for hour in range(24):
        price = model.get_prices(now.replace(hour=hour), tier)
        for unit in units:
            if (found := getattr(price, unit)) is not None:
                dearer = {step.start: float(step.price) for step in getattr(found, "tiers", ())}
                yield {0: float(getattr(found, "base", found)), **dearer}
