"""A block read once more as a whole: does every thread begin, work and end by itself?

What the search has found is independent; here it is asked whether the cuts are right. Better no block than
one that breaks off a computation, starts with the end of another one, or adds nothing to its context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod

from threadweaver.annotators.rules.chain import BLANKS, Block, Chain, Span
from threadweaver.annotators.rules.independence import FINAL, first_lean, leans

MIN_STEPS = 2
"""Relations that a thread must work out and that neither the context nor an earlier thread holds."""
MIN_WAY_STEPS = 3
MIN_NEW_SHARE = 0.4  # of a thread's relations
MIN_NEW_WAY_SHARE = 0.6
MIN_KEPT = 0.6  # of a last thread's characters, when its closing about the whole goes
MAX_ADDED = 3  # units by which a last thread is lengthened to its end
_HELD = 0.4  # evidence from this score on shows that the text works with what a thread brought in

_LEADING = r"^[\s*#>\-•]*(?:(?:so|and|but|now|okay|ok|hmm|well|wait|then|yes)[,.]*\s+){0,3}"
# The end of what came before, not the beginning of something.
_TAIL = re.compile(
    r"^[\s*#>\-•]*(?:so,?\s+(?:that|this|it|they|these|those|then|the figure|we (?:get|have|now))\b"
    r"|(?:so,?\s+)?that(?:'s|\s+(?:gives|is|means|leaves|makes|would|seems|was))|which\b|this (?:is|gives|means)\b"
    r"|thus\b|hence\b|therefore\b|rounding|rounded|same\b|these\b|those\b|it'?s? )",
    re.IGNORECASE,
)
# Right after a block: words that finish the computation of its last thread.
_FINISHES = re.compile(
    rf"{_LEADING}(?:so|thus|therefore|hence|which|this (?:gives|means|is|leads|implies)|in this case"
    r"|that(?:'s|\s+(?:gives|is|means|leaves|makes|would|seems|was|leads|implies|looks|matches|doesn't|can't))"
    r"|match(?:es|ing)|giving|leading|none of|not\b|it (?:seems|doesn't|is|works|matches)|same\b|dividing|simplify"
    r"|expand|multiply|cancel|plug|rearrang|subtract|solving|square|compute\b|continuing)",
    re.IGNORECASE,
)
_TAKES_BACK = re.compile(
    r"^[\s*#>\-•]*(?:(?:so|and|okay|no|hmm)[,.]*\s+)?(?:wait|hold on|hmm|but|no[,.]|yes[,.]|actually|however|oh)\b",
    re.IGNORECASE,
)
_GATHERS = re.compile(
    r"\b(?:in total|altogether|overall|in (?:all|both|either|any) (?:of these )?cases?|all (?:the )?cases"
    r"|(?:now )?(?:we )?(?:now )?have (?:the )?(?:system|two|three|four) |(?:two|three|four) equations|system of"
    r"|each (?:residue|class|case|of (?:these|them|the))|both (?:of )?(?:these|them|cases|equations|conditions"
    r"|methods|ways|sums|values|are|give|have)|all (?:of )?(?:these|them|three|four)|none of (?:these|them)"
    r"|neither|combin(?:e|ing)|put(?:ting)? (?:it|this|these|them|everything|all)|everything|either way"
    r"|compar(?:e|ing)|in summary|to summari[sz]e|the (?:remaining|third) angle|so far)\b",
    re.IGNORECASE,
)
# A thread that ends like this promises what stands elsewhere.
_OPEN_END = re.compile(
    r"[?:,=+*/(\[{-]\s*$|\b(?:and|or|so|then|is|of|to)\s*$"
    r"|(?:^|[.!?:,]\s+|\n)[^.!?\n]{0,30}\b(?:let me|let's|let us|i'll|i will|i need to|i should|we need (?:to|another)"
    r"|we want|i want|going to|we (?:should|must|have to) (?:find|check|consider|look)|maybe|perhaps|i wonder"
    r"|need to (?:check|find|compute|verify|consider))\b[^\n]{0,160}$"
    r"|\b(?:let's|let me) (?:see|try|check|test|formali[sz]e|consider|compute|find|verify|confirm|think)\b[^.!?\n]*[.!]?\s*$",
    re.IGNORECASE,
)
_RECALLS = re.compile(
    r"\b(?:as (?:i |we |you )?(?:mentioned|said|noted|stated)|(?:mentioned|found|did|computed|calculated|got|had"
    r"|saw|thought|established|as|than|from) (?:earlier|before|above|previously)|(?:earlier|previous) (?:\w+ )?(?:i|we|result"
    r"|calculation|computation|method|approach|answer)|to recap|recap\b|same (?:as|result|answer)"
    r"|already (?:\w+ ){0,2}(?:found|computed|calculated|did|know)|again,? (?:so|which|this|that)|instead of that)\b",
    re.IGNORECASE,
)
_RELATION = re.compile(
    r"[=≈≡≥≤∈]|\\(?:approx|equiv|implies|geq?|leq?|in|Rightarrow|cdot|times|mid|neq?)\b|⇒"
    r"|\b(?:is|are|gives?|leaves?|equals?|makes|times|appears?)\s+(?:only |about |also )?-?\$?\d"
)
_AROUND = 9  # characters on either side of a sign that tell one relation from another
_LONG_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
_DERIVES = re.compile(r"(?:[=≈≡]|\b(?:is|gives?|about|approximately|equals))[\s$\\(*]*$", re.IGNORECASE)
_MIN_DIGITS = 4
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))


def vetted(chain: Chain, block: Block) -> Block | None:
    """The block, its last thread ended where it should be; None where a strict reader would find a fault."""
    threads = _ended(chain, list(block.threads))
    if threads is None or _cuts_series(chain, threads):
        return None
    ways = block.kind == "method"
    texts = [chain.text_of(span) for span in threads]
    sound = (
        not any(_TAIL.match(text) for text in texts)
        and not any(_OPEN_END.search(text[-260:].rstrip()) or not _balanced(text) for text in texts)
        and not (ways and any(_RECALLS.search(text) for text in texts))
        and not any(_RECALLS.search(text) for text in texts[1:])
        and not _borrows_number(chain, threads, texts)
        and _works(chain, threads, texts, ways)
    )
    return Block(block.kind, tuple(threads)) if sound else None


def _ended(chain: Chain, threads: list[Span]) -> list[Span] | None:
    """The last thread without a closing about the whole, and with the lines that finish its own work."""
    *others, last = threads
    earlier = any(_GATHERS.search(chain.text_of(span)) for span in others)
    for index in range(last.first, last.last + 1) if not earlier else ():
        if _GATHERS.search(chain.units[index].text):
            kept = index > last.first and chain.chars(Span(last.first, index - 1)) >= MIN_KEPT * chain.chars(last)
            return [*others, Span(last.first, index - 1)] if kept else None
    for _ in range(MAX_ADDED):
        after = last.last + 1
        if after >= len(chain.units) or not _carries_on(chain, [*others, last], after):
            break
        if not _may_join(chain, others, after):
            return None
        last = Span(last.first, after)
    after = last.last + 1
    if after < len(chain.units) and (
        _TAKES_BACK.match(chain.units[after].text) or _carries_on(chain, [*others, last], after)
    ):
        return None
    return [*others, last]


def _carries_on(chain: Chain, threads: Sequence[Span], index: int) -> bool:
    """Whether a unit after the block goes on with the last thread alone."""
    unit = chain.units[index]
    if FINAL.search(unit.text) or _GATHERS.search(unit.text[:200]):
        return False
    own, others = _held(chain, threads, Span(index, index))
    if _FINISHES.match(unit.text):
        return not others or own > others
    return own >= 0.5 and not others


def _held(chain: Chain, threads: Sequence[Span], span: Span) -> tuple[float, float]:
    """How surely a passage works with what the last thread brought in, and with what another did."""
    found = [leak for leak in leans(chain, threads, span) if leak.score >= _HELD]
    own = [leak.score for leak in found if leak.source == len(threads) - 1]
    others = [leak.score for leak in found if leak.source < len(threads) - 1]
    return 1 - prod(1 - score for score in own), 1 - prod(1 - score for score in others)


def _may_join(chain: Chain, others: Sequence[Span], index: int) -> bool:
    """Whether a unit after the block may become the end of its last thread."""
    text = chain.units[index].text
    if chain.units[index].head is not None or _GATHERS.search(text) or FINAL.search(text):
        return False
    return first_lean(leans(chain, others, Span(index, index))) is None


def _cuts_series(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether a member of the threads' own series stands right before the block or right after it."""
    heads = [chain.head(span.first) for span in threads]
    key = heads[0].key if heads[0] else None
    if key is None or key == "method" or any(head is None or head.key != key for head in heads[1:]):
        return False
    slots = {chain.head(i).slot for s in threads for i in range(s.first, s.last + 1) if chain.head(i)}
    near = [threads[0].first - 1, threads[-1].last + 1]
    grouped = any(
        head is not None and head.key == key
        for span in threads for head in map(chain.head, range(span.first + 1, span.last + 1))
    )  # fmt: skip
    if grouped:
        near += [threads[0].first - 2, threads[-1].last + 2, threads[-1].last + 3]
    return any(
        0 <= i < len(chain.units) and (head := chain.head(i)) is not None and head.key == key and head.slot not in slots
        for i in near
    )  # fmt: skip


def _balanced(text: str) -> bool:
    """Whether every formula and every bracket of a thread is closed ("1)" and "[0, 1)" are let pass)."""
    if text.count("$") % 2 or text.count("\\[") != text.count("\\]") or text.count("\\(") != text.count("\\)"):
        return False
    return all(text.count(opening) <= text.count(closing) for opening, closing in _PAIRS[::2])


def _borrows_number(chain: Chain, threads: Sequence[Span], texts: Sequence[str]) -> bool:
    """Whether a thread takes up a long number that an earlier one came to and that it does not come to itself."""
    context = chain.context(threads[0].first)
    for position in range(1, len(texts)):
        for match in _LONG_NUMBER.finditer(texts[position]):
            raw = match[0].rstrip(",")
            name = raw.replace(",", "")
            if len(name.replace(".", "").strip("0")) < _MIN_DIGITS or context.holds(("number", name), raw):
                continue
            before = texts[position][: match.start()]
            if raw not in before and any(raw in text for text in texts[:position]) and not _DERIVES.search(before[-30:]):
                return True
    return False


def _works(chain: Chain, threads: Sequence[Span], texts: Sequence[str], ways: bool) -> bool:
    """Whether each thread works something out that stands neither in the context nor in an earlier thread."""
    known = chain.squeezed_to(threads[0].first)
    for text in texts:
        relations = set(_relations(text))
        new = [relation for relation in relations if relation not in known]
        least, share = (MIN_WAY_STEPS, MIN_NEW_WAY_SHARE) if ways else (MIN_STEPS, MIN_NEW_SHARE)
        if len(new) < least or len(new) < share * len(relations):
            return False
        known += _squeeze(text)
    return True


def _relations(text: str) -> Iterator[str]:
    """The relations of a text, each as the sign with a few characters round it, blanks apart."""
    for match in _RELATION.finditer(text):
        left = _squeeze(text[max(0, match.start() - 3 * _AROUND) : match.start()])[-_AROUND:]
        yield left + _squeeze(text[match.start() : match.end() + 3 * _AROUND])[: _AROUND + 1]


def _squeeze(text: str) -> str:
    return text.translate(BLANKS)
