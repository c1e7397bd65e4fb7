"""Choose the blocks of a chain: the set without overlap that shortens its critical path most.

A candidate's gain is the characters that its threads have beside the longest, less those of its outlines; a re-check
counts by a weight, a restatement after the final answer not at all. The best set of weighted intervals is exact, by
dynamic programming; ties are decided by position.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from threadweaver.trajectory.annotation import Range

OUTLINE = 120
"""Characters that an outline counts; a thread shorter than this costs more than it saves."""
RECHECK_WEIGHT = 0.5
_UNIT = 1000
"""Values are whole numbers of thousandths of a character, so that sums are exact."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Threads that may become a block, as line ranges without gaps."""

    number: int
    """Of the block in the annotation, from 1."""
    ranges: tuple[Range, ...]
    reason: str = ""
    kind: str = ""
    novelty: str = ""
    plans: tuple[tuple[int, str], ...] = ()
    """The first line of each annotated thread, and what the thread sets out to do."""
    value: int = 0
    """In thousandths of a character of the critical path; 0: it is not chosen."""

    @property
    def lines(self) -> Range:
        return Range(self.ranges[0].first, self.ranges[-1].last)

    def plan(self, span: Range) -> str:
        """Return what the lines of a thread set out to do: the plans of all that were joined in it."""
        return "; ".join(plan for first, plan in self.plans if plan and span.first <= first <= span.last)


def worth_of(
    lengths: Sequence[int], novelty: str, *, after_answer: bool, recheck_weight: float = RECHECK_WEIGHT
) -> int:
    """Return the value of a candidate with threads of these lengths, in thousandths of a character.

    Where the outlines cost all that is saved, 1 character is left.
    """
    if novelty == "restatement" and after_answer:
        return 0
    weight = recheck_weight if novelty in ("re-check", "restatement") else 1.0
    return round(weight * _UNIT) * max(1, sum(lengths) - max(lengths) - OUTLINE * len(lengths))


def choose(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the set of candidates without overlap that has the greatest sum of values, in the order of the text.

    Of several such sets it is the first by position: a candidate that begins earlier is taken before a later one.
    """
    ordered = sorted((item for item in candidates if item.value > 0), key=lambda item: (item.lines, item.number))
    firsts = [item.lines.first for item in ordered]
    best = [0] * (len(ordered) + 1)  # best[i]: the greatest sum of the candidates from i on
    following = [bisect_right(firsts, item.lines.last) for item in ordered]
    for at in range(len(ordered) - 1, -1, -1):
        best[at] = max(best[at + 1], ordered[at].value + best[following[at]])
    chosen, at = [], 0
    while at < len(ordered):
        if ordered[at].value + best[following[at]] >= best[at + 1]:
            chosen.append(ordered[at])
            at = following[at]
        else:
            at += 1
    return chosen


def first_come(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return what an annotation keeps by itself: each candidate that shares no line with one named before it."""
    kept: list[Candidate] = []
    for item in candidates:
        if item.value > 0 and not any(item.lines.overlaps(other.lines) for other in kept):
            kept.append(item)
    return sorted(kept, key=lambda item: item.lines)
