"""Leaks between siblings: evidence that one passage uses what another one introduced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from threadweaver.independence.context import Context
from threadweaver.independence.continued import continued_equation, gathered_results
from threadweaver.independence.evidence import NEGLIGIBLE, Leak
from threadweaver.independence.finds import Role
from threadweaver.independence.passage import Passage, Places
from threadweaver.independence.scores import SCORES, Shared

# A later sibling cannot have served an earlier one when the chain was written; what they share is a name.
_BACKWARD = 0.3
_HEADED_BEFORE = 0.5  # a label that the context has introduced too: the cases were listed before they were taken up
_FORMULAS = ("expression", "relation", "value", "application")
_LETTER = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
_OWN_LETTERS = 0.3
_ROW = 16  # characters
_PARALLEL = 0.5


def leaks(context: str, passages: Sequence[str]) -> list[Leak]:
    """Return what the siblings use of one another, strongest first; what `context` holds is no leak.

    `context` is the problem and the text before the block, `passages` the siblings in their order.
    """
    return leaks_of(Context(context), [Passage.read(text) for text in passages])


def leaks_of(context: Context, passages: Sequence[Passage], targets: Sequence[int] | None = None) -> list[Leak]:
    """Return the same as `leaks`, for passages already read; `targets` limits the passages that are asked about."""
    found: list[Leak] = []
    for target in range(len(passages)) if targets is None else targets:
        found.extend(_shared_names(context, passages, target))
        if target:
            found.extend(gathered_results(context, passages, target))
            found.extend(continued_equation(context, passages, target))
    return sorted(found, key=lambda leak: (-leak.score, leak.target, leak.used_at, leak.source, leak.what))


def _in_own_letters(passage: Passage, formula: str, before: int) -> bool:
    """Whether a letter of a formula is one that the passage has defined for itself ahead of it."""
    return any(
        at < before and role == Role.DEFINE
        for letter in set(_LETTER.findall(formula))
        for at, role in passage.places.get(("symbol", letter), ())[:2]
    )


def _in_parallel(source: str, defined: Places, target: str, used: int) -> bool:
    """Whether both passages come to a number in the same words: two rows of one table of trials."""
    before = target[target.rfind("\n", 0, used) + 1 : used][-_ROW:]
    return len(before) >= _ROW and any(source[max(0, at - _ROW) : at] == before for at, _ in defined[:4])


def _shared_names(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Find names that the target holds and a sibling introduced, while the context knows nothing of them."""
    passage = passages[target]
    for key, uses in passage.places.items():
        kind, name = key
        for source, other in enumerate(passages):
            defined = other.places.get(key) if source != target else None
            if not defined:
                continue
            score = SCORES[kind](Shared(name, defined, uses, passage.opening_end, passage.text))
            if source > target:
                score *= _BACKWARD
            if kind in _FORMULAS and _in_own_letters(passage, name, uses[0][0]):
                score *= _OWN_LETTERS
            elif kind == "number" and _in_parallel(other.text, defined, passage.text, uses[0][0]):
                score *= _PARALLEL
            if score <= NEGLIGIBLE:
                continue
            if kind == "symbol" and len(name) > 1 and name.isupper() and all(map(context.holds_point, name)):
                continue
            if context.holds(key, passage.raw[key]):
                if kind != "label":
                    continue
                score *= _HEADED_BEFORE
            where = next((at for at, role in defined if role > Role.USE), defined[0][0])
            yield Leak(source, target, kind, name, where, uses[0][0], round(score, 3))
