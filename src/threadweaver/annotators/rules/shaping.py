"""From candidate threads to a block: announcements to the thread they announce, short members together, balance."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.independence import FINAL, independent
from threadweaver.markup import TAG_SHAPED

MIN_INFORMATION = 200
"""Characters of all threads minus the longest: the extractor drops blocks with less."""
MIN_THREAD_CHARS = 90
MIN_BALANCE = 0.22
"""Of the longest thread's characters, for each thread."""
SMALL_THREAD_CHARS = 160
MAX_GROUPS = 4

ANNOUNCES = re.compile(
    r"^.{0,150}:\s*$"
    r"|^.{0,80}\b(?:another|different|alternative|second|other) (?:\w+ )?(?:way|approach|method|idea|angle|perspective)s?\b.{0,60}$"
    r"|^.{0,20}\blet me (?:double[- ]?)?(?:check|verify|confirm)\b.{0,50}$",
    re.IGNORECASE)
"""A line that only announces what comes after it."""

_HEADING_CHARS = 80


def accept(chain: Chain, kind: str, threads: Sequence[Span]) -> Block | None:
    """A block of these threads if they have substance and balance, less members at the end if need be."""
    kept = _with_announcements(chain, threads)
    if kind != "method":
        kept = _grouped(chain, kept)
    while len(kept) >= 2:
        sizes = chain.sizes(kept)
        fits = (
            sum(sizes) - max(sizes) >= MIN_INFORMATION
            and min(sizes) >= max(MIN_THREAD_CHARS, MIN_BALANCE * max(sizes))
            and kept[-1].last < len(chain.units) - 1   # what follows the block must be able to go on
        )
        if fits and not any(_unfit(chain, span) for span in kept) and independent(chain, kept):
            return Block(kind, tuple(kept))
        kept.pop()
    return None


def _unfit(chain: Chain, span: Span) -> bool:
    """The final answer, or something shaped like a tag, cannot stand in a thread."""
    text = chain.text_of(span)
    return bool(FINAL.search(text) or TAG_SHAPED.search(text))


def _with_announcements(chain: Chain, threads: Sequence[Span]) -> list[Span]:
    """A closing line of one thread that only announces the next ("Now for the second:") goes to the next."""
    moved = list(threads)
    for position in range(1, len(moved)):
        before, here = moved[position - 1], moved[position]
        text, head, own = chain.units[before.last].text, chain.head(before.last), chain.head(here.first)
        opens = (
            head is not None and own is not None and head.key != own.key
            and len(text) <= _HEADING_CHARS and "\n" not in text
        )  # fmt: skip
        if before.last > before.first and (opens or ANNOUNCES.match(text)):
            moved[position - 1] = Span(before.first, before.last - 1)
            moved[position] = Span(before.last, here.last)
    return moved


def _grouped(chain: Chain, threads: Sequence[Span]) -> list[Span]:
    """Many short members of a series become a few threads of several members each, of balanced length."""
    sizes = chain.sizes(threads)
    if len(threads) < 4 or min(sizes) >= SMALL_THREAD_CHARS:
        return list(threads)
    total = sum(sizes)
    count = max(2, min(MAX_GROUPS, total // (2 * SMALL_THREAD_CHARS), len(threads) // 2))
    groups: list[Span] = []
    filled, first = 0, 0
    for position, size in enumerate(sizes):
        filled += size
        if len(groups) < count - 1 and filled >= total * (len(groups) + 1) / count - size / 3:
            groups.append(Span(threads[first].first, threads[position].last))
            first = position + 1
    if first < len(threads):
        groups.append(Span(threads[first].first, threads[-1].last))
    return groups
