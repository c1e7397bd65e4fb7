"""How surely a name that two passages share makes the later one depend on the earlier."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from threadweaver.independence.evidence import NEGLIGIBLE
from threadweaver.independence.finds import Role, sentence_start
from threadweaver.independence.passage import Places
from threadweaver.independence.quantities import distinctness

_EXPLAINED_WITHIN = 160  # characters after a first use in which "where m is …" may still explain it
_DERIVED_LATE = 0.75  # of a passage: from there on it may have come to the relation by itself
_RELATION_EARLY = 0.6
_NOT_COMPUTED = 0.9  # of a number that the sibling mentions without a sign that it found it
_STATED = 0.8  # of a number that a sentence states as a result without working for it
_COMES_BY_IT = 0.3
_REACH = 160  # characters before a number in which its operands stand
_OPERANDS = 8
_DIGITS = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)")
_MENTIONED_THERE = 0.95  # of a formula that the sibling brings in without a sign that it came to it
_COMMON_LETTERS = frozenset("ijknmedx")


WORKING = re.compile(r"[+*/×·^√!]|-\s*\d|\\(?:frac|cdot|times|sqrt|sum|binom)")


class Shared(NamedTuple):
    """A name in two passages: its places in the one, its places in the other, and that one's measures."""

    name: str
    defined: Places
    uses: Places
    opening_end: int
    text: str  # of the later passage

    @property
    def found_there(self) -> bool:
        """Whether the earlier passage introduces it or comes to it as a result."""
        return any(role > Role.USE for _, role in self.defined)

    @property
    def first(self) -> int:
        return self.uses[0][0]

    @property
    def first_role(self) -> Role:
        return self.uses[0][1]

    @property
    def stated(self) -> bool:
        """Whether the later passage states it as a result without having worked for it in that sentence."""
        return WORKING.search(self.text, sentence_start(self.text, self.first), self.first) is None

    @property
    def opens(self) -> bool:
        return self.first <= self.opening_end


def _symbol(shared: Shared) -> float:
    name, uses = shared.name, shared.uses
    strongest = max(role for _, role in shared.defined)
    if shared.first_role > Role.USE:
        # "S = 5N/4" where only the sibling says what S is.
        return 0.45 if strongest == Role.DEFINE and all(role < Role.DEFINE for _, role in uses) else 0.0
    explained = max((role for at, role in uses if at - shared.first <= _EXPLAINED_WITHIN), default=Role.USE)
    if explained > Role.USE:
        return 0.0 if explained == Role.DEFINE else 0.2
    if strongest == Role.DEFINE:
        return 0.85
    if strongest == Role.INTRO:
        return 0.7
    return 0.1 if name in _COMMON_LETTERS else 0.4 if name[0].isupper() else 0.3


def _number(shared: Shared) -> float:
    if shared.first_role == Role.DEFINE:
        return 0.0
    score = distinctness(shared.name) * (1.0 if shared.found_there else _NOT_COMPUTED)
    if shared.first_role == Role.INTRO:
        score = _STATED * distinctness(shared.name) if shared.found_there and shared.stated else 0.0
    return score * _COMES_BY_IT if score > NEGLIGIBLE and comes_by_it(shared.name, shared.text, shared.first) else score


def comes_by_it(name: str, text: str, at: int) -> bool:
    """Whether a passage has its number at `at` from what stands before it there: sum, difference, product, quotient of
    two numbers before it ("756 in all, 336 adjacent, so 420 are left"), or inside a fraction it came to."""
    if not name.replace(".", "", 1).isdigit():
        return False
    if any(found != at for found in _standing(name, text, at)):
        return True
    wanted = float(name)
    low = max(0, at - _REACH)
    near = [float(number) for number in _DIGITS.findall(text[low:at].replace(",", ""))[-_OPERANDS:]]
    return any(
        abs(result - wanted) < 1e-6
        for place, one in enumerate(near)
        for other in near[place:]
        for result in (one + other, one - other, other - one, one * other, one / (other or 1.0), other / (one or 1.0))
    )


def _standing(name: str, text: str, before: int) -> Iterator[int]:
    at = text.find(name, 0, before)
    while at >= 0:
        if not text[max(0, at - 1) : at].isdigit() and not text[at + len(name) : at + len(name) + 1].isdigit():
            yield at
        at = text.find(name, at + 1, before)


def _known(shared: Shared) -> float:
    """Found there as a result or a left side, and here first as something given."""
    return 0.75 if shared.first_role == Role.USE and shared.found_there else 0.0


def _relation(shared: Shared) -> float:
    if not shared.found_there:
        return 0.0
    if shared.first_role == Role.USE:
        return 0.75
    return _RELATION_EARLY if shared.first < _DERIVED_LATE * len(shared.text) else 0.35


def _expression(shared: Shared) -> float:
    size = len(shared.name)
    score = 0.75 if size >= 12 else 0.65 if size >= 8 else 0.5 if size >= 6 else 0.2
    if not shared.found_there:
        return score * _MENTIONED_THERE if shared.first_role == Role.USE else 0.0
    if shared.first_role > Role.USE:
        return score * 0.6 if shared.opens else 0.0
    # short ones (x^2+y^2) come up by themselves
    return min(0.85 if size >= 12 else 0.68, score + 0.15) if shared.opens and size >= 8 else score


def _label(shared: Shared) -> float:
    if any(role > Role.USE for _, role in shared.uses) or not shared.found_there:
        return 0.0
    return 0.6 if shared.name.startswith(("way", "root", "solution", "question", "fact")) else 0.85


SCORES = {
    "symbol": _symbol,
    "number": _number,
    "value": _known,
    "application": _known,
    "relation": _relation,
    "expression": _expression,
    "label": _label,
}
