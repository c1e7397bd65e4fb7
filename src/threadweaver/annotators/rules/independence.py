"""Does a passage stand on one before it? The dependency evidence, read for a cut of a chain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from threadweaver.annotators.rules.chain import Chain, Span
from threadweaver.independence import CONFIDENT, Leak, leaks_of, pair_scores

BEARABLE = 0.75
"""Weak evidence between two passages, all taken together, that is still no dependence."""

CLOSING_KINDS = ("agreement", "joint result")
"""Looking back at the other threads in these ways closes a passage; anything else means it stands on them."""

FINAL = re.compile(r"\\boxed|final answer", re.IGNORECASE)
"""The chain's end: it can stand in no thread."""

_UNITS_AFTER = 3  # in which it shows whether the text works on with what a thread introduced
_HANDED = ("number", "symbol", "value", "relation", "expression", "application")
_HANDED_SCORE = 0.4
_TRACE = 0.15  # a piece of evidence below this tells nothing about where a passage begins to lean
_COMPARISON_CHARS = 170  # a unit no longer than this that looks back does nothing else
_COMPARISON_START = 60  # nor does one that looks back in its first words
_KEPT_SHARE = 0.6
_OPENING_WORD = 8  # offset up to which "Similarly" opens a passage
_FRACTION = re.compile(r"-?(\d+)/(\d+)")
_JOINED_CHARS = 80
_OPERAND = re.compile(r"\d+(?:[.,/]\d+)*")


def leans(chain: Chain, threads: Sequence[Span], span: Span) -> list[Leak]:
    """The evidence that the passage `span` stands on one of the threads before it."""
    key = (*threads, span)
    if key not in chain.evidence:
        passages = [chain.passage(thread) for thread in key]
        found = leaks_of(chain.context(threads[0].first), passages, [len(threads)])
        text = chain.text_of(span)
        known = chain.text[: chain.offsets(threads[0])[0]]
        chain.evidence[key] = [leak for leak in found if not _harmless(text, known, leak)]
    return chain.evidence[key]


def _harmless(text: str, known: str, leak: Leak) -> bool:
    """Whether a find is no evidence here: the word that opens a counterpart, a sum of the passage's own parts,
    a fraction that the text before the block holds in another notation."""
    if leak.kind == "number" and (parts := _FRACTION.fullmatch(leak.what)):
        return re.search(rf"(?<!\d){parts[1]}[^\d\n]{{1,9}}{parts[2]}(?!\d)", known) is not None
    if leak.kind == "likeness":
        return leak.used_at <= _OPENING_WORD
    return leak.kind == "joint result" and joins_own(text, leak.used_at)


def joins_own(text: str, at: int) -> bool:
    """Whether "Adding them up: 1/4 + 3/16 = …" takes together what the passage itself has worked out."""
    operands = _OPERAND.findall(text[at : at + _JOINED_CHARS].partition("=")[0])
    return len(operands) > 1 and all(
        re.search(rf"(?<![\w./]){re.escape(operand)}(?![\w/])", text[:at]) for operand in operands
    )


def first_lean(found: Sequence[Leak], bearable: float = BEARABLE) -> int | None:
    """Offset of the first evidence that makes a passage dependent; weak pieces count when they add up."""
    certain = [leak.used_at for leak in found if leak.score >= CONFIDENT]
    if certain:
        return min(certain)
    if any(score >= bearable for score in pair_scores(found).values()):
        return min(leak.used_at for leak in found if leak.score >= _TRACE)
    return None


def hands_over(chain: Chain, before: Span, span: Span, found: Sequence[Leak], source: int) -> bool:
    """Whether the last unit of the thread before says what the first unit of this one works with."""
    last = chain.units[before.last].offset - chain.units[before.first].offset
    first = len(chain.units[span.first].text)
    return before.last > before.first and any(
        leak.source == source
        and leak.kind in _HANDED
        and leak.score >= _HANDED_SCORE
        and leak.defined_at >= last
        and leak.used_at <= first
        for leak in found
    )


def works_on(chain: Chain, threads: Sequence[Span], kinds: Sequence[str]) -> bool:
    """Whether the text after the threads works on with what the last of them alone has introduced."""
    own = len(threads) - 1
    after = Span(threads[-1].last + 1, min(threads[-1].last + _UNITS_AFTER, len(chain.units) - 1))
    if after.first > after.last:
        return False
    found = leans(chain, threads, after)
    shared = {leak.what for leak in found if leak.source < own}
    scores = [leak.score for leak in found if leak.kind in kinds and leak.source == own and leak.what not in shared]
    return 1 - prod(1 - score for score in scores) >= CONFIDENT


def independent_part(
    chain: Chain, threads: Sequence[Span], span: Span, bearable: float = BEARABLE
) -> tuple[Span | None, bool]:
    """The passage, less a closing that looks back at the threads, and whether it is whole; None: it leans."""
    whole = True
    if hands_over(chain, threads[-1], span, leans(chain, threads, span), len(threads) - 1):
        return None, False
    while (at := first_lean(found := leans(chain, threads, span), bearable)) is not None:
        leak = next(leak for leak in found if leak.used_at == at)
        index = _unit_at(chain, span, at)
        if leak.kind not in CLOSING_KINDS or index == span.first or not _compares_only(chain, span, index, at):
            return None, False
        span, whole = Span(span.first, index - 1), False
    for index in range(span.first, span.last + 1):
        if FINAL.search(chain.units[index].text):
            return (Span(span.first, index - 1), False) if index > span.first else (None, False)
    return span, whole


def independent(chain: Chain, threads: Sequence[Span]) -> bool:
    """No thread leans on another."""
    return all(
        first_lean(leans(chain, threads[:position], threads[position])) is None for position in range(1, len(threads))
    )


def _unit_at(chain: Chain, span: Span, at: int) -> int:
    """The unit that holds offset `at` of the passage."""
    start = chain.units[span.first].offset
    return next(index for index in range(span.last, span.first - 1, -1) if chain.units[index].offset - start <= at)


def _compares_only(chain: Chain, span: Span, index: int, at: int) -> bool:
    """Whether the unit at which a passage looks back does little else: cutting there loses no step."""
    unit = chain.units[index]
    into = at - (unit.offset - chain.units[span.first].offset)
    kept = chain.chars(Span(span.first, index - 1))
    return (into <= _COMPARISON_START or len(unit.text) <= _COMPARISON_CHARS) and kept >= _KEPT_SHARE * chain.chars(
        span
    )
