"""Leaks between siblings: evidence that one passage uses what another one introduced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from threadweaver.dependencies.mathscan import Facts, Places, Role, distinctness, scan, within
from threadweaver.dependencies.pointing import Pointer, pointers, sentence_at

# From this score on a leak is taken for certain: the two passages are not independent.
CERTAIN = 0.7

# A later sibling cannot have served an earlier one when the chain was written; what they share is a name.
_BACKWARD = 0.3
_EXPLAINED_WITHIN = 160   # characters after a first use in which "where m is …" may still explain it


@dataclass(frozen=True)
class Leak:
    """One piece of evidence that passage `target` leans on passage `source` (indices from 0).

    `defined_at` is an offset in the source passage, `used_at` one in the target passage.
    """

    source: int
    target: int
    kind: str
    what: str
    defined_at: int
    used_at: int
    score: float

    @property
    def certain(self) -> bool:
        return self.score >= CERTAIN


def leaks(context: str, passages: Sequence[str]) -> list[Leak]:
    """What the siblings use of one another, strongest first; what stands in `context` is no leak.

    `context` is the problem and the text before the block, `passages` the siblings in their order.
    """
    text, spans = context + "\n\n", []
    pieces = [text]
    at = len(text)
    for passage in passages:
        spans.append((at, at + len(passage)))
        pieces += [passage, "\n\n"]
        at += len(passage) + 2
    full = "".join(pieces)
    return leaks_between(full, scan(full), spans)


def pair_scores(found: Sequence[Leak]) -> dict[tuple[int, int], float]:
    """(source, target) → how surely the target leans on the source, all evidence taken together, in [0, 1]."""
    by_pair: dict[tuple[int, int], list[float]] = {}
    for leak in found:
        by_pair.setdefault((leak.source, leak.target), []).append(leak.score)
    return {pair: 1.0 - prod(1.0 - score for score in scores) for pair, scores in by_pair.items()}


def leaks_between(text: str, facts: Facts, spans: Sequence[tuple[int, int]], targets: Sequence[int] | None = None) -> list[Leak]:
    """As `leaks`, over ranges of one scanned text; everything before the first range is the context.

    `targets` limits the passages that are asked about (all of them by default).
    """
    found: list[Leak] = []
    for target in range(len(spans)) if targets is None else targets:
        found.extend(_shared_facts(text, facts, spans, target))
        if target:
            found.extend(_shared_nouns(text, spans, target))
            start, end = spans[target]
            for pointer in pointers(text[start:end]):
                found.extend(_resolve(text, facts, spans, target, pointer))
    return sorted(_strongest(found), key=lambda leak: (-leak.score, leak.target, leak.used_at, leak.source))


def _strongest(found: list[Leak]) -> Iterator[Leak]:
    """One leak for each use: overlapping phrases are one piece of evidence, not several."""
    best: dict[tuple[int, int, str, object], Leak] = {}
    for leak in found:
        place: object = leak.what if leak.kind in ("symbol", "number", "value", "label", "noun", "expression", "relation", "application") else leak.used_at // 40
        group = leak.kind if isinstance(place, str) else "phrase"
        key = (leak.source, leak.target, group, place)
        if key not in best or best[key].score < leak.score:
            best[key] = leak
    return iter(best.values())


def _shared_facts(text: str, facts: Facts, spans: Sequence[tuple[int, int]], target: int) -> Iterator[Leak]:
    """Names that the target holds and a sibling introduced, while the context knows nothing of them."""
    begin = spans[0][0]
    for kind, name in facts.names(*spans[target]):
        places = facts.places[kind, name]
        if kind != "label" and places[0][0] < begin:
            continue
        uses = within(places, *spans[target])
        for source, span in enumerate(spans):
            defined = within(places, *span) if source != target else []
            score = _SCORES[kind](name, defined, uses) if defined else 0.0
            if source > target:
                score *= _BACKWARD
            if score > 0.05:
                where = next((at for at, role in defined if role > Role.USE), defined[0][0])
                yield Leak(source, target, kind, name, where - span[0], uses[0][0] - spans[target][0], round(score, 3))


def _symbol_score(name: str, defined: Places, uses: Places) -> float:
    first = uses[0][0]
    strongest = max(role for _, role in defined)
    if uses[0][1] > Role.USE:
        # "S = 5N/4" where only the sibling says what S is.
        return 0.45 if strongest == Role.DEFINE and all(role < Role.DEFINE for _, role in uses) else 0.0
    if any(role == Role.DEFINE and at - first <= _EXPLAINED_WITHIN for at, role in uses):
        return 0.0
    if any(role == Role.INTRO and at - first <= _EXPLAINED_WITHIN for at, role in uses):
        return 0.2
    if strongest == Role.DEFINE:
        return 0.85
    if strongest == Role.INTRO:
        return 0.7
    return 0.1 if name in ("i", "j", "k", "n", "m", "e", "d", "x") else 0.4 if name[0].isupper() else 0.3


def _number_score(name: str, defined: Places, uses: Places) -> float:
    if uses[0][1] > Role.USE or all(role == Role.USE for _, role in defined):
        return 0.0
    return distinctness(name)


def _value_score(name: str, defined: Places, uses: Places) -> float:
    if uses[0][1] > Role.USE or all(role == Role.USE for _, role in defined):
        return 0.0
    return 0.75


def _application_score(name: str, defined: Places, uses: Places) -> float:
    if uses[0][1] > Role.USE or all(role == Role.USE for _, role in defined):
        return 0.0
    return 0.75


def _relation_score(name: str, defined: Places, uses: Places) -> float:
    if all(role == Role.USE for _, role in defined):
        return 0.0
    return 0.75 if uses[0][1] == Role.USE else 0.35


def _expression_score(name: str, defined: Places, uses: Places) -> float:
    if uses[0][1] > Role.USE or (len(defined) == 1 and len(name) < 8):
        return 0.0
    return 0.4 if len(name) >= 6 else 0.2


def _label_score(name: str, defined: Places, uses: Places) -> float:
    if any(role > Role.USE for _, role in uses) or all(role == Role.USE for _, role in defined):
        return 0.0
    return 0.6 if name.startswith(("way", "root", "solution", "question", "fact")) else 0.85


_SCORES = {"symbol": _symbol_score, "number": _number_score, "value": _value_score, "label": _label_score, "expression": _expression_score, "relation": _relation_score, "application": _application_score}

_DEFINITE = re.compile(r"\b(?:the|each|this|that|these|those|every|our|its?)\s+(?:(?P<first>[a-z]{3,})\s+)?(?P<noun>[a-z]{4,})\b")
_WORD = re.compile(r"[A-Za-z]{4,}")
# Words of any mathematical prose: to speak of "the equation" takes no sibling to have introduced it.
_COMMON = frozenset(
    """about above after again also alternatively another answer approach because before being both case cases check
    common complete computation condition conditions constant correct could denominator difference different
    digit distance double each either else equal equation equations exact example expression fact factor factors
    first following form fraction given hand have here idea into integer integers into just kind know last left
    length less like line main make maximum means method minimum more most much multiple need negative next number
    numbers numerator only options order original other others part parts point points positive possible power
    previous problem product question quotient rather ratio real reason remainder remaining rest result right
    same second side sides simple since single smaller solution solutions some step steps sum such sums term
    terms than that their them then there these they thing things third this those three times total true
    type unknown value values variable variables wait way ways well what when where which whole will with word
    work would wrong zero time start starting entire current actual final initial correct general formula
    statement calculation calculations work thought process confusion mistake error assumption situation
    standard usual concept definition question property properties rule coefficient coefficients""".split())


def _stem(word: str) -> str:
    word = word.lower()
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _shared_nouns(text: str, spans: Sequence[tuple[int, int]], target: int) -> Iterator[Leak]:
    """Things that the target speaks of as known ("each right triangle") and that a sibling brought in."""
    start, end = spans[target]
    passage = text[start:end]
    seen: set[str] = set()
    candidates: list[tuple[str, int]] = []
    for match in _DEFINITE.finditer(passage):
        stem = _stem(match["noun"])
        if stem in seen or match["noun"] in _COMMON or stem in _COMMON:
            continue
        seen.add(stem)
        if not re.search(rf"\b{stem}", passage[:match.start("noun")], re.IGNORECASE):
            candidates.append((stem, match.start()))
    if not candidates:
        return
    context = text[:spans[0][0]].lower()
    for stem, used_at in candidates:
        if stem in context:
            continue
        for source in range(target):
            where = re.search(rf"\b{stem}", text[slice(*spans[source])], re.IGNORECASE)
            if where:
                yield Leak(source, target, "noun", stem, where.start(), used_at, 0.35)


# These compare with something outside the passage, whatever they name of it.
_COMPARING = ("agreement", "joint result")


def _resolve(text: str, facts: Facts, spans: Sequence[tuple[int, int]], target: int, pointer: Pointer) -> Iterator[Leak]:
    """Finds what a phrase points at: the target's own text, the context, or a sibling before it."""
    start, end = spans[target]
    if _own_heading(text, start, pointer, end):
        return
    phrase = text[start + pointer.start:start + pointer.end]
    low, high = sentence_at(text, start + pointer.start)
    own, siblings, context = _witnesses(facts, spans, target, max(low, start), high)
    score = pointer.score
    sources = [target - 1]
    if siblings:
        sources, score = sorted(siblings), max(score, min(0.95, score + 0.3))
    elif pointer.kind in _COMPARING or pointer.opening:
        pass
    elif own:
        score *= 0.45
    elif context:
        score *= 0.7
    elif pointer.start > 900:
        score *= 0.85   # far into a passage there is much of its own to point at
    words = phrase.lower().split()
    if not siblings and "first" in words and target > 1:
        sources = [0]
    elif not siblings and ("both" in words or "all" in words):
        sources = list(range(target))
    for source in sources:
        if score > 0.05:
            yield Leak(source, target, pointer.kind, " ".join(phrase.split()), 0, pointer.start, round(score, 3))


_HEADING_GOES_ON = re.compile(r"[\s*]*(?:[:.,\n]|is\b|would be\b|to\b|\w+ing\b|when\b|where\b|if\b|$)")


def _own_heading(text: str, start: int, pointer: Pointer, end: int) -> bool:
    """"Second method: …" at its very beginning names the passage itself."""
    if pointer.start > 24 or "earlier" in text[start + pointer.start:start + pointer.end].lower():
        return False
    named = pointer.kind in ("earlier passage", "the other", "anaphor")
    return named and bool(_HEADING_GOES_ON.match(text, start + pointer.end, end))


def _witnesses(facts: Facts, spans: Sequence[tuple[int, int]], target: int, low: int, high: int) -> tuple[bool, set[int], bool]:
    """Where the distinct values of the sentence [low, high) stood before it: own text, which siblings, the context."""
    own, context, siblings = False, False, set()
    for kind, name in facts.names(low, high):
        if kind not in ("value", "number") or (kind == "number" and distinctness(name) < 0.2):
            continue
        places = facts.places[kind, name]
        if within(places, spans[target][0], low):
            own = True
        elif places[0][0] < spans[0][0]:
            context = True
        else:
            siblings |= {index for index in range(target) if within(places, *spans[index])}
    return own, siblings, context
