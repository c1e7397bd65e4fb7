"""Leaks between siblings: evidence that one passage uses what another one introduced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod

from threadweaver.independence.anaphora import go_back
from threadweaver.independence.context import Context
from threadweaver.independence.continuing import goes_on
from threadweaver.independence.evidence import MATHEMATICAL, NEGLIGIBLE, Leak
from threadweaver.independence.finds import Role
from threadweaver.independence.given import coined_names, taken_as_given
from threadweaver.independence.nouns import shared_nouns
from threadweaver.independence.passage import Passage, Places
from threadweaver.independence.resolving import resolve
from threadweaver.independence.scores import SCORES, Shared

DEPENDENT_PAIR = 0.6
"""From this pair score on a passage is taken to depend on the other, all evidence together.

Measured by tests/bench/leaks.py on the pairs that the scores were set with: 58 of 68 dependent pairs are found, 8 of
129 independent ones flagged; 2,003 of 2,070 planted dependences are found, 8 of 345 look-alikes flagged.
"""

# A later sibling cannot have served an earlier one when the chain was written; what they share is a name.
_BACKWARD = 0.3
_HEADED_BEFORE = 0.5  # a label that the context has introduced too: the cases were listed before they were taken up
# Two names are two signs; a passage that says "both cases" three times has said it once.
_BY_THEMSELVES = MATHEMATICAL | {"noun", "continuation", "conclusion"}
_AND_AGAIN = 0.5
_FORMULAS = ("expression", "relation", "value", "application")
_LETTER = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
_OWN_LETTERS = 0.3
_ROW = 16  # characters
_PARALLEL = 0.5
_NAME_KINDS = frozenset(("symbol", "number", "value", "relation", "application", "expression", "label", "noun"))


def leaks(context: str, passages: Sequence[str]) -> list[Leak]:
    """What the siblings use of one another, strongest first; what stands in `context` is no leak.

    `context` is the problem and the text before the block, `passages` the siblings in their order.
    """
    return leaks_of(Context(context), [Passage.read(text) for text in passages])


def leaks_of(context: Context, passages: Sequence[Passage], targets: Sequence[int] | None = None) -> list[Leak]:
    """As `leaks`, for passages already read; `targets` limits the passages that are asked about."""
    found: list[Leak] = []
    for target in range(len(passages)) if targets is None else targets:
        found.extend(_shared_names(context, passages, target))
        if target:
            found.extend(shared_nouns(context, passages, target))
            found.extend(coined_names(context, passages, target))
            found.extend(taken_as_given(context, passages, target))
            found.extend(_gone_back(context, passages, target))
            found.extend(goes_on(context, passages, target))
            found.extend(resolve(context, passages, target))
    return sorted(_strongest(found), key=lambda leak: (-leak.score, leak.target, leak.used_at, leak.source, leak.what))


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


def _gone_back(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    if passages[target].phrases:
        return go_back(context, [passage.lower for passage in passages[:target]], passages[target].phrases, target)
    return iter(())


def pair_scores(found: Sequence[Leak]) -> dict[tuple[int, int], float]:
    """(source, target) → how surely the target leans on the source, all evidence together, in [0, 1]."""
    by_pair: dict[tuple[int, int], list[float]] = {}
    pointing: dict[tuple[int, int], int] = {}
    for leak in sorted(found, key=lambda leak: -leak.score):
        pair, score = (leak.source, leak.target), leak.score
        if leak.kind not in _BY_THEMSELVES:
            score *= _AND_AGAIN ** pointing.get(pair, 0)
            pointing[pair] = pointing.get(pair, 0) + 1
        by_pair.setdefault(pair, []).append(score)
    return {pair: 1.0 - prod(1.0 - score for score in scores) for pair, scores in by_pair.items()}


def _strongest(found: Sequence[Leak]) -> Iterator[Leak]:
    """One leak for each use: overlapping phrases are one piece of evidence, not several."""
    best: dict[tuple[int, int, object], Leak] = {}
    for leak in found:
        place: object = (leak.kind, leak.what) if leak.kind in _NAME_KINDS else leak.used_at // 40
        key = (leak.source, leak.target, place)
        if key not in best or best[key].score < leak.score:
            best[key] = leak
    return iter(best.values())


def _shared_names(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Names that the target holds and a sibling introduced, while the context knows nothing of them."""
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
