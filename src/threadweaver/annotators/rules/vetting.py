"""A block read once more as a whole: does every thread begin, work and end by itself?

What the search has found is independent; here it is asked whether the cuts are right. Better no block than
one that breaks off a computation, starts with the end of another one, or adds nothing to its context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from threadweaver.annotators.rules.chain import Block, Chain, Span
from threadweaver.annotators.rules.endings import GATHERS, LIKEWISE, alike, closed, ended, grouped, members, shape
from threadweaver.annotators.rules.independence import independent
from threadweaver.annotators.rules.repeats import given_figures
from threadweaver.annotators.rules.shaping import MIN_CASE_CHARS, MIN_THREAD_CHARS, has_substance
from threadweaver.annotators.rules.skeletons import BLANKS
from threadweaver.annotators.rules.ways import closing_sentence

_LEAST = {
    "item": (1, 0.25),
    "label": (2, 0.25),
    "instance": (2, 0.4),
    "counterpart": (2, 0.4),
    "repeat": (1, 0.25),
    "method": (3, 0.6),
}
"""Relations that a thread must work out anew, and their share in all it has; headings vouch for much."""
MAX_SHIFT = 12  # units after its first end in which the end of a last thread is looked for
MAX_STRETCH = 2  # of its longest sibling's characters
# The end of what came before, not the beginning of something.
_TAIL = re.compile(
    r"^[\s*#>\-•]*(?:so,?\s+(?:that|this|it|they|these|those|then|the figure|we (?:get|have|now))\b"
    r"|(?:so,?\s+)?that(?:'s|\s+(?:gives|is|means|leaves|makes|would|seems|was))|which\b|this (?:is|gives"
    r"|means)\b"
    r"|thus\b|hence\b|therefore\b|then,?\s+(?!for\b)|rounding|rounded|same\b|these\b|those\b|it'?s? )",
    re.IGNORECASE,
)
_NAMES_WAY = re.compile(
    r"\b(?:us(?:e|ing)|methods?|approach|formula|theorem|by \w+ing|treat|interpret\w*|figure|draw|model"
    r"|generating|algebra"
    r"|geometr\w+|coordinates|induction)\b",
    re.IGNORECASE,
)
_NAMING_CHARS = 160
# A way that is another reading of what is given: readings stand beside one another whatever comes after them.
_READS = re.compile(
    r"\b(?:maybe|perhaps|if|suppose|possib\w+|assum\w+|consider\w*|mean\w*|interpret\w*"
    r"|refer\w*)\b.{0,90}\b(?:problem|figure|question"
    r"|diagram|code|graph|expression|squares?|triangle|angle|points?|sides?|given|term|expansion"
    r"|polynomial)\b"
    r"|\b(?:problem|figure|question|diagram|code)\b.{0,60}\b(?:is|means|refers|asks|says|wants|shows"
    r"|implies|intend\w*)\b",
    re.IGNORECASE,
)
# A thread that ends like this promises what stands elsewhere.
_OPEN_END = re.compile(
    r"[?:,=+*/(\[{-]\s*$|\b(?:and|or|so|then|is|of|to)\s*$"
    r"|\b(?:let me|let's(?! (?:call|denote|name|label))|let us|i'll|i will|i need to|i should|we need (?:to|another)|we want|i want"
    r"|going to|maybe"
    r"|perhaps|i wonder|need to (?:check|find|compute|verify|consider)|keep in mind"
    r"|(?:should|must|have to) (?:find|check|consider|look))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\\$(\[])|\n")
_RECALLS = re.compile(
    r"\b(?:as (?:i |we |you )?(?:mentioned|said|noted|stated)|(?:mentioned|found|did|computed|calculated"
    r"|got|had"
    r"|saw|thought|established|as|than|from) (?:earlier|before|above|previously)|(?:earlier"
    r"|previous) (?:\w+ )?(?:i|we|result"
    r"|calculation|computation|method|approach|answer)|to recap|recap\b|same (?:as|result|answer)"
    r"|already (?:\w+ ){0,2}(?:found|computed|calculated|did|know)|again,? (?:so|which|this|that)"
    r"|instead of that)\b",
    re.IGNORECASE,
)
_RELATION = re.compile(
    r"[=≈≡≥≤∈]|\\(?:approx|equiv|implies|geq?|leq?|in|Rightarrow|cdot|times|mid|neq?)\b|⇒"
    r"|\b(?:is|are|gives?|leaves?|equals?|makes|times|appears?)\s+(?:only |about |also )?-?\$?\d"
)
_AROUND = 9  # characters on either side of a sign that tell one relation from another
_LONG_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
_DERIVES = re.compile(
    r"[-+*/×·^÷)}\d]\s*[-+*/×·^÷][^=≈≡\n]{1,40}(?:[=≈≡]|\b(?:is|gives?|about|approximately"
    r"|equals))[\s$\\(*]*$",
    re.IGNORECASE,
)
_MIN_DIGITS = 4
_RECALLED_CHARS = 9  # of a formula, blanks apart, that tell it
_FIGURE = re.compile(r"\d+(?:[.,/]\d+)*")
_LONG_WAY = 500  # characters in which a way is told even if it is not named
_RESULT_CHARS = 40
_BARE_CHARS = 50  # a last line no longer than this that only names the next object
_CLOSING_CHARS = 400
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))


def vetted(chain: Chain, block: Block) -> Block | None:
    """The block, its last thread ended where it should be; None where a strict reader would find a fault.

    Where only the last thread is at fault, the block may stand without it.
    """
    fewest = len(block.threads) if block.kind == "method" else 2
    for count in range(len(block.threads), fewest - 1, -1):
        found = _sound(chain, Block(block.kind, block.threads[:count]))
        if found is not None and has_substance(
            chain, found.threads, MIN_CASE_CHARS if len(found.threads) > 2 else MIN_THREAD_CHARS
        ):
            return found
    return None if block.kind in ("method", "repeat") else _other_end(chain, block)


def _other_end(chain: Chain, block: Block) -> Block | None:
    """The block with its last thread ended elsewhere: where it says what its siblings say at their ends."""
    *others, last = block.threads
    most = MAX_STRETCH * max(chain.sizes(others))
    for end in range(last.first, min(last.last + MAX_SHIFT, len(chain.units) - 2) + 1):
        threads = [*others, Span(last.first, end)]
        if end == last.last or chain.chars(threads[-1]) > most:
            continue
        if not any(alike(chain.units[end].text, chain.units[span.last].text) for span in others):
            continue
        if closed(chain, threads) and has_substance(chain, threads) and independent(chain, threads):
            found = _sound(chain, Block(block.kind, tuple(threads)))
            if found is not None and found.threads[-1] == threads[-1]:
                return found
    return None


def _sound(chain: Chain, block: Block) -> Block | None:
    readings = block.kind == "method" and all(
        _READS.search(chain.text_of(span)[:_NAMING_CHARS]) for span in block.threads
    )
    threads = list(block.threads) if readings else ended(chain, list(block.threads), block.kind != "repeat")
    if (
        threads is None
        or _crosses_cases(chain, block.kind, threads)
        or _cuts_series(chain, threads)
        or _unlike(chain, threads)
        or _mixed(chain, threads)
    ):
        return None
    texts = [chain.text_of(span) for span in threads]
    ways = block.kind == "method"
    if LIKEWISE.match(texts[0]) and shape(texts[0]) != shape(texts[1]):
        return None
    if readings:
        return block if not any(map(_TAIL.match, texts)) and _works(chain, threads, texts, "instance") else None
    named = all(_NAMES_WAY.search(text[:_NAMING_CHARS]) for text in texts)
    if ways and not named and not _same_result(chain, threads, texts):
        return None
    if not all(map(_is_whole, texts)) or any(_recalls(chain, threads, text) for text in texts[1:]):
        return None
    if not ways and any(hands_figure(one, two) for one, two in pairwise(texts)):
        return None
    if _borrows_number(chain, threads, texts) or not _works(chain, threads, texts, block.kind):
        return None
    return Block(block.kind, tuple(threads))


def _same_result(chain: Chain, threads: Sequence[Span], texts: Sequence[str]) -> bool:
    """Whether every thread sets out anew and all come, at length, to one figure."""
    results = {(_FIGURE.findall(closing_sentence(text)) or [""])[-1] for text in texts}
    return (
        all(chain.opens_way(span.first) for span in threads)
        and len(results) == 1
        and len(results.pop()) > 1
        and min(chain.sizes(threads)) >= _LONG_WAY
    )


def _recalls(chain: Chain, threads: Sequence[Span], text: str) -> bool:
    """Whether a thread brings up what was found before, unless the formula it brings up stands in the context."""
    known = chain.squeezed_to(threads[0].first)
    for match in _RECALLS.finditer(text):
        formula = _squeeze(re.sub(r"^[\s:.;]+", "", text[match.end() : match.end() + 60].lstrip(", ")))
        if "=" not in formula or formula[:_RECALLED_CHARS] not in known:
            return True
    return False


def hands_figure(first: str, second: str) -> bool:
    """Whether a passage sets out from the figure that the one before it came to: steps of one computation."""
    results = _FIGURE.findall(first[-_RESULT_CHARS:])[-1:]
    return bool(results) and len(results[0]) > 2 and results[0] in given_figures(second)


def _is_whole(text: str) -> bool:
    """Whether a thread neither begins with the end of something nor ends with the beginning of something."""
    last = text[text.rfind("\n", 0, len(text.rstrip())) + 1 :]
    closing = _SENTENCE.split(text.rstrip()[-_CLOSING_CHARS:])[-1]
    bare = len(last) < _BARE_CHARS and not _RELATION.search(last) and LIKEWISE.match(last)
    return not _TAIL.match(text) and not bare and not _OPEN_END.search(closing) and _balanced(text)


def _crosses_cases(chain: Chain, kind: str, threads: Sequence[Span]) -> bool:
    """Whether a case of the text begins in the middle of a thread that is told by its likeness to others."""
    return kind in ("counterpart", "repeat") and any(
        (head := chain.head(index)) is not None and head.kind == "label" and not head.key.startswith("ordinal")
        for span in threads
        for index in range(span.first + 2, span.last + 1)
    )


def _unlike(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether values tried one by one are of different kinds, or one of them builds on an earlier one."""
    heads = [chain.head(span.first) for span in threads]
    if any(head is None or not head.key.startswith("instance ") for head in heads):
        return False
    signs = {re.sub(r"[\w\s.,/^{}()$*+-]", "", head.shown) for head in heads}
    kinds = {head.slot.lstrip("-")[:1].isdigit() for head in heads}
    if len(kinds) > 1 or (len(signs) > 1 and len({head.slot for head in heads}) > 1):
        return True
    name = re.escape(heads[0].key.partition(" ")[2])
    for position in range(1, len(threads)):
        text = chain.text_of(threads[position])
        slots = {head.slot for span in threads[:position] for head in members(chain, span, heads[0].key)}
        own = {head.slot for head in members(chain, threads[position], heads[0].key)}
        if any(re.search(rf"(?<!\w){name}\s*=\s*{re.escape(slot)}(?![\d.])", text) for slot in slots - own):
            return True
    return False


def _mixed(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether cases of different series stand side by side, or many members hold a word about the whole."""
    keys = {head.key for span in threads if (head := chain.head(span.first)) and head.kind == "label"}
    if len(keys) > 1:
        return True
    return grouped(chain, threads) and any(GATHERS.search(chain.text_of(span)) for span in threads)


def _cuts_series(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether members of the series are left outside, of one told value by value or in groups."""
    heads = [chain.head(span.first) for span in threads]
    key = heads[0].key if heads[0] else None
    if key is None or key == "method" or any(head is None or head.key != key for head in heads[1:]):
        return False
    in_groups = grouped(chain, threads)
    if heads[0].kind in ("label", "item") and not in_groups:
        return False
    slots = {head.slot for span in threads for head in members(chain, span, key)}
    near = [threads[0].first - 1, threads[-1].last + 1]
    if in_groups:
        near += [threads[0].first - 2, threads[-1].last + 2, threads[-1].last + 3]
    return any(
        (head := chain.head(i)) is not None and head.key == key and head.slot not in slots for i in near if i >= 0
    )


def _balanced(text: str) -> bool:
    """Whether every formula and every bracket of a thread is closed ("1)" and "[0, 1)" are let pass)."""
    if text.count("$") % 2 or text.count("\\[") != text.count("\\]") or text.count("\\(") != text.count("\\)"):
        return False
    return all(text.count(opening) <= text.count(closing) for opening, closing in _PAIRS[::2])


def _borrows_number(chain: Chain, threads: Sequence[Span], texts: Sequence[str]) -> bool:
    """Whether a thread takes up a long number that an earlier one, and not it, came to."""
    context = chain.context(threads[0].first)
    for position in range(1, len(texts)):
        for match in _LONG_NUMBER.finditer(texts[position]):
            raw = match[0].rstrip(",")
            name = raw.replace(",", "")
            if len(name.replace(".", "").strip("0")) < _MIN_DIGITS or context.holds(("number", name), raw):
                continue
            before = texts[position][: match.start()]
            if (
                raw not in before
                and any(raw in text for text in texts[:position])
                and not _DERIVES.search(before[-70:])
            ):
                return True
    return False


def _works(chain: Chain, threads: Sequence[Span], texts: Sequence[str], kind: str) -> bool:
    """Whether each thread works something out that stands neither in the context nor in an earlier thread."""
    known = chain.squeezed_to(threads[0].first)
    for text in texts:
        relations = set(_relations(text))
        new = [relation for relation in relations if relation not in known]
        least, share = _LEAST[kind]
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
