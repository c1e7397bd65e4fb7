"""An instruction that precedes the problem in every row of a set."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ENDS = re.compile(r"[.:!?\n]\s+")
_TELLS = re.compile(
    r"boxed|step by step|your (?:final )?(?:answer|response|reasoning)|solve the following|respond|think", re.I
)
_ENOUGH = 20
"""From so many different problems on, any sentence that they all begin with is an instruction."""
_FEWEST = 2


def shared_instruction(problems: Sequence[str]) -> str:
    """Return the whole sentences with which all these problems begin, "" if there are none.

    Of a few problems only what tells a model how to answer counts: two problems may both begin with "Let n be even."
    """
    different = set(problems)
    if len(different) < _FEWEST:
        return ""
    first, last = min(different), max(different)
    at = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    shared = first[:at]
    ends = [match.end() for match in _ENDS.finditer(shared)]
    if not ends or any(not problem[ends[-1] :].strip() for problem in different):
        return ""
    found = shared[: ends[-1]]
    return found if len(different) >= _ENOUGH or _TELLS.search(found) else ""
