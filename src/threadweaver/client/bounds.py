"""The most tokens that a request can cost, whatever its parameters ask for: what the cap reserves, and what a server's
count is held against.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from threadweaver.client.usage import Usage

ENVELOPE_TOKENS = 64  # a conversation's own markers; 8 per message come on top. OpenAI needs 3 and 4.
MOST_TOKENS = 10**7  # of one reply whose request has no limit
MOST = 10**9  # of any number among the parameters
_LIMIT = re.compile(r"max.*(?:token|length|len$)|_predict$|maxoutput")
_BUDGET = re.compile(r"budget|max.*(?:think|reason)")
_REPLIES = re.compile(
    r"^(?:n|best_?of|num_?return_?sequences|candidate_?count|n(?:um)?_?(?:choices|completions|generations))$"
)
CHARACTERS_PER_TOKEN = 8
"""A server that counts fewer tokens than this saw only a part of the prompt: text with formulas has 3 to 5."""
LEAST_CHARACTERS = 2000
"""Below this, the count says little."""
UNCAPPED = ("tools", "web_search_options", "plugins", "models", "previous_response_id", "conversation", "background")
"""Parameters whose price nobody knows beforehand: other models, tools that are billed by the call, stored input."""


def most_output(params: Mapping[str, Any]) -> int:
    """Return the most output tokens that these parameters allow: the largest limit and the budgets of thinking, times
    the replies.
    """
    if len(params) == 1:  # as most requests are
        return min(MOST, params.get("max_output_tokens", 0))
    limits, budgets, replies = [0], [0], [1]
    for name, value in _numbers(params):
        name = name.lower()
        if _REPLIES.match(name):
            replies.append(value)
        elif _BUDGET.search(name):
            budgets.append(value)
        elif _LIMIT.search(name):
            limits.append(value)
    return min(MOST, max(limits) + sum(budgets)) * min(1000, max(replies))


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Yield the numbers in parameters with their names, also those that are given as text."""
    if isinstance(value, Mapping):
        for inner, held in value.items():
            yield from _numbers(held, str(inner))
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _numbers(held, name)
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return
        if number > 0:
            yield name, math.ceil(min(number, MOST))


def size_of(params: Mapping[str, Any]) -> int:
    """Return the bytes of parameters as JSON: schemas and instructions are input too."""
    return len(json.dumps(params)) if params else 0


def bounded(usage: Usage, most_in: int, most_out: int) -> tuple[Usage, str]:
    """Return a server's count within what is possible, and what is wrong with it, if anything is."""
    if usage.input <= most_in and usage.output <= most_out:
        return usage, ""
    shown = ", ".join(
        f"{count:,} {name} tokens where at most {most:,} are possible"
        if count < 10**12
        else f"a huge number of {name} tokens"
        for name, count, most in (("input", usage.input, most_in), ("output", usage.output, most_out))
        if count > most
    )
    n_in, n_out = min(usage.input, most_in), min(usage.output, most_out)
    return replace(
        usage, input=n_in, cached=min(usage.cached, n_in), output=n_out, reasoning=min(usage.reasoning, n_out)
    ), f"the server counts {shown}: counted as the most that is possible"


def was_cut(usage: Usage | None, characters: int) -> bool:
    """Whether a server saw only a part of a prompt: some cut it to their context without an error."""
    if usage is None or not usage.input or characters < LEAST_CHARACTERS:
        return False
    return characters > CHARACTERS_PER_TOKEN * usage.input
