"""Where the last thread of a block ends: with its own work, neither short of it nor beyond it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from threadweaver.annotators.rules.chain import Chain, Span
from threadweaver.annotators.rules.heads import Head
from threadweaver.annotators.rules.independence import FINAL, leans
from threadweaver.annotators.rules.skeletons import BLANKS, NAMES_NEXT
from threadweaver.independence import MATHEMATICAL

MIN_KEPT = 0.6  # of a last thread's characters, when its closing about the whole goes
MAX_ADDED = 2  # units by which a last thread is lengthened to its end
_HELD = 0.4  # evidence from this score on shows that the text works with what a thread brought in
_LEADING = r"^[\s*#>\-•]*(?:(?:so|and|now|okay|ok|well|yes)[,.]*\s+){0,2}"
# Right after a block: words that finish the computation of its last thread.
_FINISHES = re.compile(
    rf"{_LEADING}(?:so|thus|therefore|hence|which|this (?:gives|means|is|leads|implies)|in this case"
    r"|that(?:'s|\s+(?:gives|is|means|leaves|makes|would|seems|was|leads|implies|looks|matches|doesn't"
    r"|can't))"
    r"|match(?:es|ing)|giving|leading|none of|not\b|it (?:seems|doesn't|is|works|matches)|same\b|dividing"
    r"|simplify"
    r"|expand|multiply|cancel|plug|rearrang|subtract|solving|square|compute\b|continuing)",
    re.IGNORECASE,
)
_TAKES_BACK = re.compile(
    r"^[\s*#>\-•]*(?:(?:so|and|okay|no|hmm)[,.]*\s+)?(?:wait|hold on|hmm|but|no[,.]|yes[,.]|actually"
    r"|however|oh)\b",
    re.IGNORECASE,
)
GATHERS = re.compile(
    r"\b(?:in total|altogether|overall|in (?:all|both|either|any) (?:of these )?cases?|all (?:the )?cases"
    r"|(?:we )?(?:now )?have (?:the )?(?:a )?(?:system|two|three|four) |(?:two|three|four) equations"
    r"|system of"
    r"|each (?:residue|class|case)|both (?:of )?(?:these|them|cases|equations|conditions|methods|ways|sums"
    r"|values"
    r"|are|give|have)|all (?:of )?(?:these|them|three|four)|none of (?:these|them)|neither|combin(?:e|ing)"
    r"|put(?:ting)? (?:it|this|these|them|everything|all)|everything|either way|compar(?:e|ing)|in summary"
    r"|to summari[sz]e|the (?:remaining|third) angle|so far|respectively"
    r"|(?:formula|pattern|method) (?:works|holds)|so,? all \d)\b"
    r"|\b(?:so|thus|therefore|hence),? (?:the )?(?:answer|minimal|smallest|largest|greatest|final|least)\b",
    re.IGNORECASE,
)
# Right after a block: what takes its threads together, or leaves them behind.
_TAKES_TOGETHER = re.compile(
    r"\b(?:total|all|both|each|every|overall|system|combin\w+|add(?:ing)?|sum(?:ming)?|(?:two|three|four"
    r"|five|six|\d)"
    r" (?:\w+ )?(?:cases|equations|values|possibilities|numbers|roots|points|terms|parts|options|results"
    r"|sums|conditions"
    r"|orders|pairs|examples|solutions)|these|them|difference|compar\w+|equate|answer|final|either|neither"
    r"|cases"
    r"|original|summary|lcm|results?|everything|list|back|formula|check)\b",
    re.IGNORECASE,
)
_SUMMARY = re.compile(r"\brespectively\b|\bboth\b|\ball (?:three|four|five|six)\b|\beach\b", re.IGNORECASE)
_LISTS_BOTH = re.compile(r"\b(?:are|pairs|values)\b[^.\n]{1,80}\band\b", re.IGNORECASE)
_SUMS_UP = re.compile(
    r"(?:[^.\n]|\.\d){0,120}\b(?:in total|altogether|total (?:number|count|is|of)|the sum of|differences?\b"
    r"|both\b|respectively"
    r"|all (?:the )?(?:two|three|four|five|six|cases)\b|(?:two|three|four) (?:\w+ )?(?:equations"
    r"|congruences|cases|values))|"
    rf"{_LEADING}(?:therefore,?\s+|thus,?\s+|hence,?\s+)?(?:to find (?:the )?total|(?:the )?total\b"
    rf"|in total|adding|summing"
    r"|combining|sum\b|(?:we )?(?:now )?have (?:a |the )?(?:system|two|three|four)|the (?:two|three"
    r"|four) cases|from (?:both|these))",
    re.IGNORECASE,
)
_SAME = re.compile(
    rf"{_LEADING}(?:same\b|match|which|this (?:matches|agrees)|(?:that|it) (?:matches|agrees))", re.IGNORECASE
)
_DEPENDS = re.compile(r"^[\s*#>\-•]*(?:if|since|when|because|where|then|hence)\b", re.IGNORECASE)
LIKEWISE = re.compile(
    r"^[\s*#>\-•]*(?:(?:and|now|then|next|also)[, ]+)?(?:similarly|likewise|analogously|next|finally,? for"
    r"|then,? for"
    r"|the (?:next|third|fourth|fifth|last)|third|fourth|in the same)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"(?:^|[.!?:,;]\s+|\n\s*|⇒|=> ?)(?:so|thus|therefore|hence|this (?:gives|means|is|corresponds|confirms)"
    r"|which (?:is|gives"
    r"|means)|number|total|correct|not|no\b|there (?:are|is)|we (?:get|have|find|obtain)|the (?:number|sum"
    r"|product|order"
    r"|count|remainder|value|result|area|digit|probability)|these|that)\b[^\n]*$"
    r"|\b(?:correct|impossible|contradiction|consistent|works|valid|fails|possible)\b[^\n]{0,30}$",
    re.IGNORECASE,
)
_MIN_LIKENESS = 0.5
_MIRROR_LIKENESS = 0.6
_OWN_FIGURE = 0.5
_LONG_FIGURE = re.compile(r"\d{3,}(?:[.,/]\d+)*")
_TOKEN = re.compile(r"[A-Za-z]{2,}|\\[A-Za-z]+|[=≡≈]")
_SHAPE_CHARS = 16
_ALIKE_CHARS = 160
_ANY_NAME = re.compile(r"\d+(?:[.,/]\d+)*|(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_CONNECTIVE = re.compile(
    r"^[\s*#>\-•]*(?:(?:so|now|and|next|then|first|similarly|likewise|finally)[,:]?\s+)+", re.IGNORECASE
)


def ended(chain: Chain, threads: list[Span], lengthen: bool) -> list[Span] | None:
    """The last thread without a closing about the whole, and with the lines that finish its own work."""
    *others, last = threads
    earlier = any(GATHERS.search(chain.text_of(span)) for span in others)
    for index in range(last.first, last.last + 1) if not earlier else ():
        if GATHERS.search(chain.units[index].text):
            kept = index > last.first and chain.chars(Span(last.first, index - 1)) >= MIN_KEPT * chain.chars(last)
            last = Span(last.first, index - 1)
            if not kept:
                return None
            break
    most = last.last + (MAX_ADDED if lengthen else 0)
    while not closed(chain, [*others, last]):
        after = last.last + 1
        if after > most or after + 1 >= len(chain.units) or _goes_on(chain, [*others, last]):
            return None
        if not _may_join(chain, others, after):
            return None
        last = Span(last.first, after)
    return [*others, last]


def closed(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether the last thread has come to its end, and the text after it is about something else."""
    *others, last = threads
    end, after = chain.units[last.last].text, last.last + 1
    if after < len(chain.units) and _next_member(chain, threads):
        return True
    if after >= len(chain.units) or _goes_on(chain, threads):
        return False
    own, foreign = _held(chain, threads, Span(after, after))
    opening = chain.units[after].text[:220]
    named = _own_figure(chain, threads, opening)
    own = max(own, _OWN_FIGURE) if named else own
    if (own <= foreign or len(threads) > 2) and _mirrored(chain, threads) and not _SAME.match(opening):
        return True
    if FINAL.search(opening) or _SUMS_UP.match(opening):
        return True
    together = bool(_TAKES_TOGETHER.search(opening) or _LISTS_BOTH.search(opening))
    if named and own > foreign and not together:
        return False
    if _SAME.match(opening):
        return chain.opens_way(last.first)  # a way that has come to its result is compared with another
    if _FINISHES.match(opening) and not together and not (foreign and foreign >= own):
        follows = after + 1 < len(chain.units) and FINAL.search(chain.units[after + 1].text)
        return bool(follows)
    if (own >= 0.5 and not together and not foreign) or (_DEPENDS.match(opening) and not foreign and not together):
        return False
    return (
        (own > 0 and foreign > 0)
        or bool(_CONCLUDES.search(end.rstrip()))
        or any(alike(end, chain.units[other.last].text) for other in others)
    )


def _own_figure(chain: Chain, threads: Sequence[Span], text: str) -> bool:
    """Whether a text holds a figure that stands in the last thread alone."""
    before = chain.text[: chain.offsets(threads[-1])[0]]
    own = set(_LONG_FIGURE.findall(chain.text_of(threads[-1])))
    return any(figure in own and figure not in before for figure in _LONG_FIGURE.findall(text))


def _mirrored(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether all threads end with the same words, after as many paragraphs."""
    ends = [chain.units[span.last].text for span in threads]
    lengths = {span.last - span.first for span in threads}
    return len(lengths) == 1 and all(
        alike(ends[-1], end, _MIRROR_LIKENESS) and shape(ends[-1]) == shape(end) for end in ends[:-1]
    )


def alike(one: str, other: str, least: float = _MIN_LIKENESS) -> bool:
    """Whether two closing paragraphs say the same of different things."""
    first, second = set(_TOKEN.findall(one[-_ALIKE_CHARS:])), set(_TOKEN.findall(other[-_ALIKE_CHARS:]))
    return len(first & second) >= least * max(len(first | second), 3)


def _goes_on(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether the text after the block takes the last thread back, or has another member of the series."""
    after = threads[-1].last + 1
    text = chain.units[after].text
    if LIKEWISE.match(text) or _returns(chain, threads):
        return True
    if _TAKES_BACK.match(text) and not _only_turns(chain, threads):
        return True
    if (
        _FINISHES.match(text)
        and not _SUMMARY.search(text[:_ALIKE_CHARS])
        and any(
            alike(text[:_ALIKE_CHARS], chain.units[index].text[:_ALIKE_CHARS])
            for span in threads[:-1]
            for index in range(span.first + 1, span.last + 1)
        )
    ):
        return True
    own_shape = shape(text)
    return len(own_shape) >= _SHAPE_CHARS // 2 and any(
        own_shape == shape(chain.units[index].text)
        for span in threads
        for index in (span.first, min(span.first + 1, span.last))
    )


def _only_turns(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether a "Wait, …" after a series turns to something else: its last member ended like the others."""
    heads, after = [chain.head(span.first) for span in threads], threads[-1].last + 1
    if any(head is None or head.kind == "method" for head in heads):
        return False
    name, text = heads[0].key.split()[-1], chain.units[after].text
    again = (
        re.search(rf"(?<!\w){re.escape(name)}\s*=\s*(?P<value>[\w.]*)", text) if heads[0].kind == "instance" else None
    )
    if again and again["value"].isdigit() and again["value"] not in {head.slot for head in heads}:
        again = None  # the next value of the series
    end = chain.units[threads[-1].last].text
    own, foreign = _held(chain, threads, Span(after, after))
    return (
        not again and (not own or foreign > 0) and any(alike(end, chain.units[span.last].text) for span in threads[:-1])
    )


def shape(text: str) -> str:
    """The opening of a paragraph with every number and single letter alike."""
    opening = _ANY_NAME.sub("#", _CONNECTIVE.sub("", text[:90])).translate(BLANKS)
    return opening[:_SHAPE_CHARS]


def _returns(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether the text after the block comes back to the case of the last thread alone."""
    after = threads[-1].last + 1
    span = Span(after, min(after + 2, len(chain.units) - 1))
    cited = {leak.source for leak in leans(chain, threads, span) if leak.kind == "label"}
    return cited == {len(threads) - 1}


def members(chain: Chain, span: Span, key: str) -> list[Head]:
    heads = (chain.head(index) for index in range(span.first, span.last + 1))
    return [head for head in heads if head is not None and head.key == key]


def _held(chain: Chain, threads: Sequence[Span], span: Span) -> tuple[float, float]:
    """How surely a passage works with what the last thread brought in, and with what another did."""
    found = [leak for leak in leans(chain, threads, span) if leak.score >= _HELD]
    own = [leak.score for leak in found if leak.source == len(threads) - 1]
    others = [leak.score for leak in found if leak.source < len(threads) - 1]
    return 1 - prod(1 - score for score in own), 1 - prod(1 - score for score in others)


def _may_join(chain: Chain, others: Sequence[Span], index: int) -> bool:
    """Whether a unit after the block may become the end of its last thread."""
    text = chain.units[index].text
    if chain.units[index].head is not None or FINAL.search(text) or not _FINISHES.match(text):
        return False
    if _TAKES_TOGETHER.search(text[:220]) or GATHERS.search(text) or _LISTS_BOTH.search(text):
        return False
    if FINAL.search(chain.units[index + 1].text):
        return False
    return not any(leak.certain and leak.kind in MATHEMATICAL for leak in leans(chain, others, Span(index, index)))


def _next_member(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether the next case of the series follows the block: then the last thread ends as the others do."""
    if _opens_alike(chain, threads):
        return True
    heads = [chain.head(span.first) for span in threads]
    own, after = heads[-1], chain.head(threads[-1].last + 1)
    if own is None or after is None or own.kind not in ("label", "item") or after.key != own.key:
        return False
    whole = not grouped(chain, threads) and all(head is not None and head.key == own.key for head in heads)
    return whole and after.slot not in {head.slot for head in heads}


def _opens_alike(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether the text goes on with another passage that opens as the last thread does, and nothing within it."""
    last, after = threads[-1], chain.skeleton(threads[-1].last + 1)
    own, texts = chain.skeleton(last.first), [chain.units[i].text for i in (last.first, last.last + 1)]
    if all(map(NAMES_NEXT.match, texts)) and shape(texts[0]) == shape(texts[1]):
        return True
    if own is None or after is None or own[0] != after[0] or own[1] == after[1]:
        return False
    return all(
        (inner := chain.skeleton(index)) is None or inner[0] != own[0]
        for span in threads
        for index in range(span.first + 1, span.last + 1)
    )


def grouped(chain: Chain, threads: Sequence[Span]) -> bool:
    """Whether a thread holds several members of the series."""
    heads = [chain.head(span.first) for span in threads]
    return any(
        head is not None and len(members(chain, span, head.key)) > 1 for head, span in zip(heads, threads, strict=True)
    )
