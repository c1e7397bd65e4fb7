"""Counterparts: "Similarly, …", a passage that does for another object what the one before it did."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.independence import independent_part
from threadweaver.annotators.rules.series import MAX_THREADS, last_end
from threadweaver.annotators.rules.shaping import accept

MAX_LEAN = 0.55  # weak evidence, all taken together, that two counterparts may share
MAX_RATIO = 3  # counterparts do the same work, so they are of like length
MAX_CHARS = 2000  # and short: a long one has other matter in it
_REACH = 12  # units back in which the counterpart of a "Similarly" is looked for
_TWIN_REACH = 8  # without that word
_MIN_LIKENESS = 0.3  # of the words of two openings
_MIN_TWIN_LIKENESS = 0.6  # of their tokens one by one
_OPENING_TOKENS = 8
_EARLY_TOKENS = 5  # the other object is named among them

_LIKEWISE = re.compile(
    r"^[\s*\-•]*(?:(?:and|now|then|next)[, ]+)?"
    r"(?:similarly|likewise|analogously|in the same (?:way|manner)|by the same (?:logic|reasoning"
    r"|method))\b(?!\s+to\b)[,:]?\s*",
    re.IGNORECASE,
)
_CONNECTIVES = re.compile(
    r"^[\s*\-•]*(?:(?:okay|ok|so|now|and|next|then|first|starting with|let's see|hence|thus|therefore"
    r"|for example|but)[,.:]*\s+){0,3}",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"[A-Za-z]+|\\[A-Za-z]+|\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[A-Za-z]{3,}")
# Before a unit like this a series has begun already: its twin would be cut in the middle.
_MISPLACED = re.compile(r":\s*$|^\s*\d{1,2}\.\s|^\W*(?:next|now|then|for)\b.{0,36}$", re.IGNORECASE)
_CONDITION = re.compile(r"^\W*(?:if|for|when|case|suppose)\b", re.IGNORECASE)
# Openings that begin any kind of sentence, and the second ones of pairs.
_NO_TWIN = frozenset(
    "if let consider so but wait since then therefore thus hence because right rhs denominator second sum "
    "total result answer we i it this that yes no".split()
)
_THIN = frozenset(
    (
        "the for and now let consider since then that this with wait but from have are was were which when "
        "where what there "
    ).split()
)
_SLOT_WORDS = frozenset(
    """first second third fourth fifth last left right top bottom upper lower one two three four five six
    odd even smaller larger bigger big small horizontal vertical row column rows columns numerator
    denominator positive negative zero maximum minimum base height length width red blue green white
    black yellow heads tails units tens hundreds thousands inner outer real imaginary north south east
    west monday tuesday wednesday thursday friday lhs rhs sine cosine""".split()
)


def counterpart_blocks(chain: Chain) -> list[Block]:
    """Blocks of counterparts, from the left, none overlapping another."""
    found: list[Block] = []
    openings = [_TOKEN.findall(_CONNECTIVES.sub("", unit.text[:140]))[:_OPENING_TOKENS] for unit in chain.units]
    taken = -1
    for index in range(1, len(chain.units)):
        if index <= taken or chain.opens_way(index):
            continue
        start = _counterpart(chain, openings, index, taken + 1)
        if start is None:
            continue
        block = accept(chain, "counterpart", _collect(chain, openings, Span(start, index - 1)))
        if block and _comparable(chain, block.threads):
            found.append(block)
            taken = block.threads[-1].last
    return found


def _collect(chain: Chain, openings: Sequence[list[str]], first: Span) -> list[Span]:
    """The passage and its counterparts, one directly after the other."""
    threads = [first]
    while len(threads) < MAX_THREADS:
        start = threads[-1].last + 1
        if len(threads) > 1 and (
            start >= len(chain.units) or _counterpart(chain, openings, start, threads[-1].first) != threads[-1].first
        ):
            break
        end = last_end(chain, start, threads[-1:])
        if end is None or not _comparable(chain, [threads[-1], Span(start, end)]):
            break
        span, _ = independent_part(chain, threads, Span(start, end), MAX_LEAN)
        if span is None:
            break
        threads.append(span)
    return threads


def _comparable(chain: Chain, threads: Sequence[Span]) -> bool:
    sizes = chain.sizes(threads)
    return max(sizes) <= min(MAX_RATIO * min(sizes), MAX_CHARS)


def _counterpart(chain: Chain, openings: Sequence[list[str]], index: int, floor: int) -> int | None:
    """The unit before `index`, not before `floor`, that opens its counterpart."""
    text = chain.units[index].text
    if not _LIKEWISE.match(text):
        return _twin(chain, openings, index, floor)
    words = _opening_words(_LIKEWISE.sub("", text))
    best, best_score = None, _MIN_LIKENESS
    for candidate in range(index - 1, max(floor, index - _REACH) - 1, -1):
        other = _opening_words(_CONNECTIVES.sub("", chain.units[candidate].text))
        common = len(words & other)
        score = common / max(1, min(len(words), len(other)))
        if common >= 2 and score > best_score:
            best, best_score = candidate, score
    return best


def _opening_words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text[:110])}


def _twin(chain: Chain, openings: Sequence[list[str]], index: int, floor: int) -> int | None:
    """The unit whose opening says the same of another object, without a word like "similarly"."""
    tokens = openings[index]
    if len(tokens) < 4 or tokens[0].lower() in _NO_TWIN:
        return None
    for candidate in range(index - 1, max(floor, index - _TWIN_REACH) - 1, -1):
        other = openings[candidate]
        if other[:1] == tokens[:1] and _alike(tokens, other) and not _cut_amid(chain, candidate, index):
            return candidate
    return None


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """The same words round another object: a number, a symbol, a name, the other of a pair."""
    if len(other) < 4 or one[:_EARLY_TOKENS] == other[:_EARLY_TOKENS]:
        return False
    pairs = list(zip(one, other, strict=False))
    same = [left for left, right in pairs if left == right]
    return (
        len(same) >= _MIN_TWIN_LIKENESS * len(pairs)
        and any(len(word) > 2 and word.isalpha() and word.lower() not in _THIN for word in same)
        and all(_names_object(left) and _names_object(right) for left, right in pairs if left != right)
    )


def _names_object(token: str) -> bool:
    return (
        token[0].isdigit() or token[0] == "\\" or len(token) == 1 or token[0].isupper() or token.lower() in _SLOT_WORDS
    )


def _cut_amid(chain: Chain, start: int, index: int) -> bool:
    """Whether the passages would begin after their own headings."""
    if index - start > 1 and _CONDITION.match(chain.units[index - 1].text):
        return True
    return any(_MISPLACED.search(chain.units[unit].text) for unit in range(max(start, index - 2), index))
