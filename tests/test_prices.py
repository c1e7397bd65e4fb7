"""What tokens cost: the library's prices, overridden by the user's file, then by flags; and unknown prices."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from genai_prices import Usage as Tokens
from genai_prices import calc_price

from project import ROOT
from threadweaver.client import Usage, prices
from threadweaver.client.prices import Price, Rates, price_of
from threadweaver.client.requests import Message, Request
from threadweaver.client.settings import ClientSettings
from threadweaver.errors import UserError

REQUEST = ClientSettings(output_limit=100, ledger=None).request([("user", "q" * 100)])


@pytest.fixture
def own(tmp_path):
    """Writes the user's own file."""

    def write(content: object) -> Path:
        path = tmp_path / "prices.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.mark.parametrize(
    ("model", "usage", "tier", "dollars"),
    [
        ("gpt-5", (1_000_000, 0, 0, 0), "default", 1.25),
        ("gpt-5", (1_000_000, 1_000_000, 0, 0), "default", 0.125),
        ("gpt-5", (1000, 400, 100, 50), "default", 0.0018),
        ("gpt-5", (1000, 400, 100, 50), "auto", 0.0018),
        ("gpt-5-2025-08-07", (0, 0, 1_000_000, 0), "default", 10.0),
        ("gpt-5", (0, 0, 1_000_000, 0), "batch", 5.0),
        ("gpt-5", (1000, 400, 100, 50), "batch", 0.0009),
        ("gpt-5", (0, 0, 1_000_000, 0), "flex", 5.0),
        ("gpt-5", (0, 0, 1_000_000, 0), "priority", 20.0),
        ("gpt-5-mini", (1_000_000, 0, 0, 0), "priority", 0.45),
        ("gpt-4o", (1_000_000, 1_000_000, 0, 0), "batch", 1.25),  # no discount on cached tokens
        ("gpt-4o", (1_000_000, 0, 0, 0), "flex", 5.0),  # it has no such tier: twice the default
        ("gpt-5", (1_000_000, 0, 0, 0), "scale", 2.5),
    ],
)
def test_the_prices_of_openai(model, usage, tier, dollars):
    assert price_of(model).cost(Usage(*usage), tier) == round(dollars * 1e9)


def test_the_worst_case_of_the_default_model():
    price = price_of("gpt-5")
    assert [price.worst_case(REQUEST, tier) for tier in ("default", "batch", "flex", "priority", "scale", None)] == [
        1_215_000,
        607_500,
        607_500,
        2_430_000,
        2_430_000,
        2_430_000,
    ]


@pytest.mark.parametrize(
    ("model", "rates", "ceiling"),
    [
        ("grok-4", Rates(3.0, 0.75, 15.0), 1.0),
        ("gemini-2.5-pro", Rates(1.25, 0.125, 10.0), 2.0),  # a long context costs twice as much to read
        ("deepseek-chat", Rates(0.27, 0.07, 1.1), 1.0),  # in the dear hours of the day
        ("claude-opus-4-1-20250805", Rates(15.0, 1.5, 75.0), 1.25),  # where its fresh input is written to a cache
        ("mistral-large-latest", Rates(2.0, 2.0, 6.0), 1.0),  # cached tokens at no price of their own
    ],
)
def test_a_call_costs_what_is_listed_and_a_cap_reckons_with_the_dearest(model, rates, ceiling):
    price = price_of(model)
    assert (replace(price.default, steps=()), price.ceiling) == (rates, ceiling)
    request = Request("responses", model, (Message("user", "x" * 1000),), {"max_output_tokens": 100})
    plain = Price(rates, {}).worst_case(request)
    assert price.worst_case(request) == pytest.approx(plain * ceiling, abs=1)


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.4", "gemini-2.5-pro", "claude-sonnet-4-5"])
@pytest.mark.parametrize("tokens", [(1_000, 400, 100), (200_000, 0, 5), (200_001, 0, 5), (300_000, 100_000, 30_000)])
def test_a_long_context_costs_what_the_library_says(model, tokens):
    names = ("input_tokens", "cache_read_tokens", "output_tokens")
    listed = calc_price(Tokens(**dict(zip(names, tokens, strict=True))), model).total_price
    price = price_of(model)
    assert price.cost(Usage(*tokens)) == math.ceil(listed * 10**9)
    worst = Request("responses", model, (Message("user", "x" * tokens[0]),), {"max_output_tokens": tokens[2]})
    assert price.cost(Usage(*tokens)) <= price.worst_case(worst)


def test_the_step_of_a_context_holds_for_tiers_flags_and_calls_alike():
    usage = Usage(300_000, 0, 10_000)
    price = price_of("gemini-2.5-pro")
    assert price.cost(usage) == (300_000 * 2.5 + 10_000 * 15) * 1000
    assert price.cost(usage, "batch") == price.cost(usage) / 2
    assert price_of("gemini-2.5-pro", input_price=2.5).cost(usage) == (300_000 * 5 + 10_000 * 15) * 1000
    assert price.cost(usage, calls=2) == (300_000 * 1.25 + 10_000 * 10) * 1000, "two calls of half the size"


@pytest.mark.parametrize("model", ["unheard-of", "Qwen/Qwen3-8B", "gpt-5-unheard-of", "", "sonar", "whisper-1"])
def test_what_has_no_price_of_tokens_is_unknown(model):
    assert price_of(model) is None


def test_the_users_own_prices_win_over_the_library(own):
    path = own(
        {
            "//": "mine",
            "gpt-5": {"input": 1, "output": 2},
            "m": {"input": 3, "cached_input": 1, "output": 4, "batch_factor": 0.1},
        }
    )
    assert price_of("gpt-5", own=path).default == Rates(1, 1, 2)
    assert price_of("gpt-5-2025-08-07", own=path).default == Rates(1, 1, 2)
    assert price_of("gpt-5", own=path).cost(Usage(1_000_000), "flex") == 2 * 10**9, "no tier but those of the file"
    assert price_of("m-2031-12-24", own=path).cost(Usage(1_000_000, 500_000, 0), "batch") == 0.2 * 10**9
    assert price_of("gpt-5-mini", own=path) == price_of("gpt-5-mini")


def test_flags_win_over_both(own):
    path = own({"m": {"input": 2, "cached_input": 1, "output": 4, "batch_factor": 0.5}})
    assert price_of("m", input_price=8, own=path).default == Rates(8, 4, 4)
    assert price_of("m", input_price=8, own=path).cost(Usage(1_000_000), "batch") == 4 * 10**9
    assert price_of("gpt-5", input_price=2.5).default == Rates(2.5, 0.25, 10)
    assert price_of("gpt-5", output_price=20).cost(Usage(0, 0, 1_000_000), "flex") == 10**10
    both = price_of("unheard-of", input_price=2, output_price=3)
    assert both.cost(Usage(1_000_000, 500_000)) == 2 * 10**9 and both.cost(Usage(1_000_000), "batch") == 10**9
    with pytest.raises(UserError, match=r"give both --in_cost_per_million and .* into .*data/prices\.json"):
        price_of("unheard-of", input_price=2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read"),
        ([], "not a JSON object"),
        ({"m": {"input": 1}}, "price of m in .* needs the numbers input and output"),
        ({"m": 3}, "price of m in .* needs the numbers"),
        ({"m": {"input": 1, "output": -1}}, "output of m"),
        ({"m": {"input": "1", "output": 1}}, "input of m"),
        ({"m": {"input": 1, "output": float("inf")}}, "output of m"),
        ({"m": {"input": 1, "output": 1, "cached": 1}}, "not cached"),
    ],
)
def test_a_fault_in_the_users_file_is_named(own, content, says):
    with pytest.raises(UserError, match=says):
        price_of("gpt-5", own=own(content))


def test_the_users_file_is_beside_the_ledger():
    assert prices.OWN_PRICES == ROOT / "data" / "prices.json"
