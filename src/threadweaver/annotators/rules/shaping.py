"""From candidate threads to a block: announcements where they belong, short members together, balance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.independence import FINAL, independent
from threadweaver.annotators.rules.skeletons import NAMES_NEXT
from threadweaver.trajectory.markup import TAG_SHAPED

MIN_INFORMATION = 200
"""Characters of all threads minus the longest: the extractor drops blocks with less."""
MIN_THREAD_CHARS = 90
MIN_CASE_CHARS = 75
"""The same where three or more stand side by side."""
MIN_BALANCE = 0.18
"""Of the longest thread's characters, for each thread."""
MAX_DOUBTS = 9
"""Words of doubt ("wait", "perhaps") in 1,000 characters of a thread; above that nothing is worked out."""
MIN_MEMBER_CHARS = 45
"""Of members put together in threads: shorter ones are a list that has no parts."""
SMALL_THREAD_CHARS = 160
MAX_GROUPS = 4
MAX_THREADS = 12

ANNOUNCES = re.compile(
    r"^.{0,150}:\s*$"
    r"|^.{0,80}\b(?:another|different|alternative|second|other) (?:\w+ )?(?:way|approach|method|idea|angle"
    r"|perspective)s?\b.{0,60}$"
    r"|^.{0,20}\blet me (?:double[- ]?)?(?:check|verify|confirm)\b.{0,50}$",
    re.IGNORECASE,
)
"""A line that only announces what comes after it."""

_HEADING_CHARS = 80
_DOUBTS = re.compile(r"\b(?:wait|hmm+|hold on|maybe|perhaps|not sure|might|may be|i think)\b", re.IGNORECASE)


def accept(chain: Chain, kind: str, threads: Sequence[Span]) -> Block | None:
    """A block of these threads if they have substance and balance, less members at the end if need be."""
    kept = _rounded_off(chain, _with_announcements(chain, threads))
    if kind != "method":
        kept = _grouped(chain, kind, kept)
    while len(kept) >= 2:
        fits = (
            has_substance(chain, kept, MIN_CASE_CHARS if len(kept) > 2 else MIN_THREAD_CHARS)
            and kept[-1].last < len(chain.units) - 1  # what follows the block must be able to go on
        )
        if (
            fits
            and len(kept) <= MAX_THREADS
            and not any(_unfit(chain, span) for span in kept)
            and (kept == list(threads[: len(kept)]) or independent(chain, kept))
        ):
            return Block(kind, tuple(kept))
        kept.pop()
    return None


def has_substance(chain: Chain, threads: Sequence[Span], least: int = MIN_THREAD_CHARS) -> bool:
    """Whether threads are long enough and of like length, so that running them side by side saves something."""
    sizes = chain.sizes(threads)
    return sum(sizes) - max(sizes) >= MIN_INFORMATION and min(sizes) >= max(least, MIN_BALANCE * max(sizes))


# The end of a passage that promises more: the rest of it would stand outside the block.
_HANGS = re.compile(
    r"(?:[:?]|\b(?:wait|hold on|hmm|let'?s(?! (?:call|denote|name|label))|let me)\b[^.!?]{0,60}[.!?]*)\s*$",
    re.IGNORECASE,
)
_LEADS_ON = re.compile(r":\s*$")
_CONCLUDES = re.compile(r"^[\s*]*(?:so|thus|therefore|hence|ok|okay|i think|i'm|everything|all)\b", re.IGNORECASE)
_KEPT_SHARE = 0.6
_MAX_ROUNDED = 3  # units taken off a last thread


def _rounded_off(chain: Chain, threads: Sequence[Span]) -> list[Span]:
    """The last thread without a promise of more, and without the conclusion where only the answer follows."""
    *others, last = threads
    whole = chain.chars(last)
    for _ in range(_MAX_ROUNDED):
        text = chain.units[last.last].text
        answer_next = last.last + 1 < len(chain.units) and FINAL.search(chain.units[last.last + 1].text)
        if not _HANGS.search(text) and not (answer_next and _CONCLUDES.match(text)):
            return [*others, last]
        if last.first == last.last or chain.chars(Span(last.first, last.last - 1)) < _KEPT_SHARE * whole:
            return others if _HANGS.search(text) else [*others, last]
        if _LEADS_ON.search(text) and len(others) > 1:
            return others  # cut in the middle of a computation: the thread is not whole
        last = Span(last.first, last.last - 1)
    return [*others, last]


def _unfit(chain: Chain, span: Span) -> bool:
    """The final answer, something shaped like a tag, or mere wavering: what cannot be a thread."""
    text = chain.text_of(span)
    doubts = len(_DOUBTS.findall(text))
    return bool(FINAL.search(text) or TAG_SHAPED.search(text)) or (
        1000 * doubts > MAX_DOUBTS * len(text) and doubts > 2
    )


def _with_announcements(chain: Chain, threads: Sequence[Span]) -> list[Span]:
    """A closing line of one thread that only announces the next ("Now for the second:") goes to the next."""
    moved, named = list(threads), 0
    for position in range(1, len(moved)):
        before, here = moved[position - 1], moved[position]
        text, head, own = chain.units[before.last].text, chain.head(before.last), chain.head(here.first)
        opens = head is not None and (own is None or head.key != own.key) and _only_opens(head.kind, text)
        names = NAMES_NEXT.match(text) is not None
        if before.last > before.first and (opens or names or ANNOUNCES.match(text)):
            moved[position - 1] = Span(before.first, before.last - 1)
            moved[position] = Span(before.last, here.last)
            named += names
    first = moved[0].first
    if named and first and NAMES_NEXT.match(chain.units[first - 1].text):
        moved[0] = Span(first - 1, moved[0].last)
    return moved


def _only_opens(kind: str, text: str) -> bool:
    """Whether a unit is a heading alone: "Third term: (1/9)·L" without a word of what follows from it."""
    bare = text.strip()
    if len(bare) > _HEADING_CHARS or "\n" in bare or kind == "method":
        return False
    return not bare.endswith(".") or (kind == "label" and ". " not in bare)


def _grouped(chain: Chain, kind: str, threads: Sequence[Span]) -> list[Span]:
    """Many short members of a series become a few threads of several members each, of balanced length."""
    sizes = chain.sizes(threads)
    total = sum(sizes)
    if len(threads) < 4 or min(sizes) >= SMALL_THREAD_CHARS:
        return list(threads)
    # Short ones among long ones stay as they are, and so do those that the text itself calls cases.
    natural = kind in ("label", "item") or len(threads) <= MAX_GROUPS or total >= SMALL_THREAD_CHARS * len(threads)
    if natural and len(threads) <= MAX_THREADS and has_substance(chain, threads, MIN_CASE_CHARS):
        return list(threads)
    count = max(2, min(MAX_GROUPS, total // (2 * SMALL_THREAD_CHARS), len(threads) // 2))
    if total < MIN_MEMBER_CHARS * len(threads):
        return []
    filled = list(accumulate(sizes))
    shares = (total * group / count for group in range(1, count))
    lasts = sorted({min(range(len(threads) - 1), key=lambda at: abs(filled[at] - share)) for share in shares})
    firsts = [0, *(last + 1 for last in lasts)]
    return [
        Span(threads[first].first, threads[last].last)
        for first, last in zip(firsts, [*lasts, len(threads) - 1], strict=True)
    ]
