"""Ways beside one another: what came before an "Alternatively, …", and what it opens."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.independence import (
    CLOSING_KINDS,
    FINAL,
    first_lean,
    independent_part,
    leans,
    works_on,
)
from threadweaver.annotators.rules.series import DOUBTS, MAX_THREADS
from threadweaver.annotators.rules.shaping import ANNOUNCES, accept
from threadweaver.annotators.rules.ways import BREAKS_OFF, came_to_something, closing_sentence, same_end, settles

MIN_CHARS = 220
MAX_CHARS = 4500
MAX_LEAN = 0.55  # weak evidence, all taken together, that two ways may share
_MAX_RATIO = 4  # of the first way to the second, in characters
_MIN_RATIO = 0.3
_CLOSE_CHARS = 300  # at a paragraph's end

# What ends a way of its own: a look back, a new doubt, a conclusion about the whole.
_ENDS = re.compile(
    r"^[\s*#\-]*(?:(?:so|thus|therefore|hence|okay|ok|but|and|hmm|well|yes|now)[,.]*\s+){0,2}"
    r"(?:wait|hold on|in (?:either|both|any) (?:case|way)|either way|both|overall|in conclusion|in summary"
    r"|to summari[sz]e"
    r"|after (?:all|consider)|i(?:'m| am) (?:confident|pretty|fairly|now|convinced|sure)|i think (?:that's"
    r"|the answer|it's|i)"
    r"|given (?:all|that both)|no matter|regardless|the answer|it (?:seems|all)|that (?:seems|confirms"
    r"|matches|also)"
    r"|this (?:confirms|matches|also|agrees)|which (?:matches|confirms)|everything|all (?:methods"
    r"|approaches|three|of)"
    r"|let me (?:recap|double|verify|confirm|check|summari[sz]e|go back|just|recheck|think again|re-)"
    r"|let's (?:verify|double|confirm|check|recap|go back|recheck)|just to|to (?:make sure|be sure|double"
    r"|verify|confirm)"
    r"|going back|as (?:before|above)|same)"
    r"|^\s*---|^\s*#{1,4}\s|^\s*\*\*",
    re.IGNORECASE,
)
_STARTS = re.compile(
    r"^[\s*#]*(?:(?:okay|ok|alright|now|hmm|well|wait|but)[,.]*\s+){0,2}"
    r"(?:first|let me|let's|let us|one (?:way|approach|method|idea)|maybe|perhaps|we (?:can|need|know"
    r"|could|want)"
    r"|i (?:know|need|can|should|could|remember|recall|want|might)|to (?:find|solve|get|start|compute"
    r"|determine|begin|count|tackle|do)"
    r"|given|starting|the problem|consider|suppose|alternatively|another|method|approach|step 1|looking"
    r"|what if|my (?:first|initial))\b",
    re.IGNORECASE,
)
_LEADS_ON = re.compile(r"[:,]\s*$")
# "Alternatively, maybe I misunderstood the formula" is no way of its own: it mends the one before.
_REPAIRS = re.compile(
    r"\b(?:mis(?:took|underst\w+|interpret\w*|read|remember\w*|appl\w+|calculat\w+)|mistaken?|wrong"
    r"|incorrect\w*|error|typo"
    r"|over(?:look|count|think|complicat)\w*|(?:the|this|that) (?:formula|expression)|fix|adjust|correct "
    r"it)\b"
    r"|^\W*alternatively,?\s+(?:[\\$(\d]|\w\s*[=(^])",
    re.IGNORECASE,
)
_REPAIR_CHARS = 170
# A way that came to something or broke off: its last paragraph says so.
_CLOSED = re.compile(
    r"^[\s*]*(?:so|thus|therefore|hence|which|this (?:gives|means|confirms|is))\b|,\s(?:so|hence|thus"
    r"|therefore)\b[^,]*$"
    r"|\b(?:confirm|correct|works|holds|match|answer|impossible|no solution|not helpful|helpful"
    r"|complicated|messy|stuck|not sure"
    r"|unclear|dead end|does(?:n't| not) (?:help|work|seem|make)|contradict|consistent|valid|indeed"
    r"|difficult|hard|tedious"
    r"|not (?:possible|allowed|useful|straightforward))\w*\b",
    re.IGNORECASE,
)
_ITEM_NUMBER = re.compile(r"^\s*(\d{1,2})\.\s", re.MULTILINE)


def method_blocks(chain: Chain) -> list[Block]:
    """Blocks of ways, from the left, none overlapping another."""
    found: list[Block] = []
    taken = -1
    for head in range(len(chain.units)):
        if head <= taken or not chain.opens_way(head) or not _begins_way(chain, head):
            continue
        last = _way_end(chain, head)
        first = _first_way(chain, Span(head, last), taken + 1) if last is not None else None
        if first is None:
            continue
        block = accept(chain, "method", _collect(chain, first))
        if block and _is_choice(chain, block.threads):
            found.append(block)
            taken = block.threads[-1].last
    return found


def _collect(chain: Chain, first: Span) -> list[Span]:
    """The first way and the ways that follow it, one directly after the other."""
    threads, whole = [first], True
    while whole and len(threads) < MAX_THREADS and chain.opens_way(start := threads[-1].last + 1):
        end = _way_end(chain, start)
        if end is None:
            break
        span, whole = independent_part(chain, threads, Span(start, end), MAX_LEAN)
        if span is None:
            break
        threads.append(span)
    return threads


def _begins_way(chain: Chain, head: int) -> bool:
    """Whether the unit opens a way of its own, after one that had come to something or had broken off."""
    before = head - 1
    while before > 0 and ANNOUNCES.match(chain.units[before].text):
        before -= 1
    closed = before >= 0 and (
        _CLOSED.search(chain.units[before].text[-_CLOSE_CHARS:]) or came_to_something(chain.units[before].text)
    )
    return bool(closed) and not _REPAIRS.search(chain.units[head].text[:_REPAIR_CHARS])


def _way_end(chain: Chain, head: int) -> int | None:
    """The last unit of the way that `head` opens; None where no natural end is near, or it is too short."""
    for index in range(head + 1, len(chain.units)):
        unit, before = chain.units[index], chain.units[index - 1].text
        ended = chain.opens_way(index)
        if not ended and (FINAL.search(unit.text) or _ENDS.match(unit.text)):
            if _LEADS_ON.search(before) and not DOUBTS.match(unit.text):
                return None
            # A doubt ends a way only after it had come to something.
            ended = not DOUBTS.match(unit.text) or (
                bool(_CLOSED.search(before[-_CLOSE_CHARS:])) and not _LEADS_ON.search(before)
            )
        if ended:
            return index - 1 if chain.chars(Span(head, index - 1)) >= MIN_CHARS else None
        if chain.chars(Span(head, index)) > MAX_CHARS:
            return None
    return None


def _first_way(chain: Chain, second: Span, floor: int) -> Span | None:
    """The longest passage before `second` that starts afresh and that `second` leans on in nothing."""
    size = chain.chars(second)
    starts: list[int] = []
    for index in range(second.first - 1, floor - 1, -1):
        chars = chain.chars(Span(index, second.first - 1))
        if chars > min(MAX_CHARS, _MAX_RATIO * size):
            break
        if chars >= max(MIN_CHARS, _MIN_RATIO * size) and _starts_afresh(chain, index):
            starts.append(index)
        if chain.opens_way(index):
            starts = starts[-1:] if starts[-1:] == [index] else starts
            break
    earliest = 0
    for index in sorted(starts):
        if chain.units[index].offset < earliest:
            continue
        span = Span(index, second.first - 1)
        found = [leak for leak in leans(chain, [span], second) if leak.kind not in CLOSING_KINDS]
        if first_lean(found, MAX_LEAN) is None:
            return span
        # What is certainly used must stand before the block: no start up to there will do.
        certain = [leak.defined_at for leak in found if leak.certain]
        earliest = chain.units[index].offset + max(certain, default=0) + 1
    return None


def _starts_afresh(chain: Chain, index: int) -> bool:
    led_on = index > 0 and _LEADS_ON.search(chain.units[index - 1].text)
    return bool(_STARTS.match(chain.units[index].text)) and not led_on


def _is_choice(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether these are ways beside one another, each with an end, and not one way told on."""
    texts = [chain.text_of(span) for span in threads]
    return (
        all(settles(text) for text in texts)
        and (any(BREAKS_OFF.search(closing_sentence(text)) for text in texts) or same_end(texts))
        and not any(_renumbers(text) for text in texts[1:])
        and not works_on(chain, threads, ("symbol", "number", "value"))
    )


def _renumbers(text: str) -> bool:
    """Whether a passage goes on with a list that began before it."""
    first = _ITEM_NUMBER.search(text)
    return first is not None and int(first[1]) > 1
