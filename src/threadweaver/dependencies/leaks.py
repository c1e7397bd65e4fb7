"""Leaks between siblings: evidence that one passage uses what another one introduced."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from threadweaver.dependencies.context import Context
from threadweaver.dependencies.finds import Role
from threadweaver.dependencies.nouns import shared_nouns
from threadweaver.dependencies.passage import Passage, Places
from threadweaver.dependencies.pointing import Pointer, sentence_at
from threadweaver.dependencies.quantities import distinctness

CERTAIN = 0.7
"""From this score on a leak is taken for certain: the two passages are not independent."""

SUBSTANCE = frozenset({"symbol", "number", "value", "application", "relation", "expression", "label"})
"""Evidence that a passage holds mathematics of the other; other kinds are wording, which rewriting can mend."""

_NEGLIGIBLE = 0.05
# A later sibling cannot have served an earlier one when the chain was written; what they share is a name.
_BACKWARD = 0.3
_EXPLAINED_WITHIN = 160  # characters after a first use in which "where m is …" may still explain it
_NAME_KINDS = frozenset(
    ("symbol", "number", "value", "relation", "application", "expression", "label", "noun")
)


@dataclass(frozen=True, slots=True)
class Leak:
    """One piece of evidence that passage `target` leans on passage `source` (indices from 0).

    `defined_at` is an offset in the source passage, `used_at` one in the target passage.
    `score` is in [0, 1].
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
    return leaks_of(Context(context), [Passage.read(text) for text in passages])


def leaks_of(
    context: Context, passages: Sequence[Passage], targets: Sequence[int] | None = None
) -> list[Leak]:
    """As `leaks`, for passages already read; `targets` limits the passages that are asked about."""
    found: list[Leak] = []
    for target in range(len(passages)) if targets is None else targets:
        found.extend(_shared_names(context, passages, target))
        if target:
            found.extend(
                Leak(source, target, "noun", stem, defined_at, used_at, score)
                for source, stem, defined_at, used_at, score in shared_nouns(context, passages, target)
            )
            for pointer in passages[target].found_pointers:
                found.extend(_resolve(context, passages, target, pointer))
    return sorted(
        _strongest(found), key=lambda leak: (-leak.score, leak.target, leak.used_at, leak.source, leak.what)
    )


def pair_scores(found: Sequence[Leak]) -> dict[tuple[int, int], float]:
    """(source, target) → how surely the target leans on the source, all evidence together, in [0, 1]."""
    by_pair: dict[tuple[int, int], list[float]] = {}
    for leak in found:
        by_pair.setdefault((leak.source, leak.target), []).append(leak.score)
    return {pair: 1.0 - prod(1.0 - score for score in scores) for pair, scores in by_pair.items()}


def _strongest(found: Sequence[Leak]) -> Iterator[Leak]:
    """One leak for each use: overlapping phrases are one piece of evidence, not several."""
    best: dict[tuple[int, int, object], Leak] = {}
    for leak in found:
        place: object = (leak.kind, leak.what) if leak.kind in _NAME_KINDS else leak.used_at // 40
        key = (leak.source, leak.target, place)
        if key not in best or best[key].score < leak.score:
            best[key] = leak
    return iter(best.values())


def _shared_names(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Names that the target holds and a sibling introduced, while the context knows nothing of them."""
    for key, uses in passages[target].places.items():
        kind, name = key
        for source, passage in enumerate(passages):
            defined = passage.places.get(key) if source != target else None
            score = _SCORES[kind](name, defined, uses) if defined else 0.0
            if score and kind == "relation" and uses[0][0] < _DERIVED_LATE * len(passages[target].text):
                score = max(score, _RELATION_EARLY)
            if source > target:
                score *= _BACKWARD
            if score <= _NEGLIGIBLE or (kind != "label" and context.holds(key, passage.raw[key])):
                continue
            where = next((at for at, role in defined if role > Role.USE), defined[0][0])
            yield Leak(source, target, kind, name, where, uses[0][0], round(score, 3))


def _symbol_score(name: str, defined: Places, uses: Places) -> float:
    first = uses[0][0]
    strongest = max(role for _, role in defined)
    if uses[0][1] > Role.USE:
        # "S = 5N/4" where only the sibling says what S is.
        return 0.45 if strongest == Role.DEFINE and all(role < Role.DEFINE for _, role in uses) else 0.0
    explained = max((role for at, role in uses if at - first <= _EXPLAINED_WITHIN), default=Role.USE)
    if explained > Role.USE:
        return 0.0 if explained == Role.DEFINE else 0.2
    if strongest == Role.DEFINE:
        return 0.85
    if strongest == Role.INTRO:
        return 0.7
    return 0.1 if name in _COMMON_LETTERS else 0.4 if name[0].isupper() else 0.3


_DERIVED_LATE = 0.75  # of a passage: from there on it may have come to the relation by itself
_RELATION_EARLY = 0.6
_NOT_COMPUTED = 0.9  # of a number that the sibling mentions without a sign that it found it
_COMMON_LETTERS = frozenset("ijknmedx")


def _used_as_known(defined: Places, uses: Places) -> bool:
    """Found there as a result or a left side, and here first as something given."""
    return uses[0][1] == Role.USE and any(role > Role.USE for _, role in defined)


def _number_score(name: str, defined: Places, uses: Places) -> float:
    if uses[0][1] > Role.USE:
        return 0.0
    return distinctness(name) * (1.0 if any(role > Role.USE for _, role in defined) else _NOT_COMPUTED)


def _known_score(name: str, defined: Places, uses: Places) -> float:
    return 0.75 if _used_as_known(defined, uses) else 0.0


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


_SCORES = {
    "symbol": _symbol_score, "number": _number_score, "value": _known_score, "application": _known_score,
    "relation": _relation_score, "expression": _expression_score, "label": _label_score,
}  # fmt: skip

# These compare with something outside the passage, whatever they name of it.
_COMPARING = ("agreement", "joint result")
_FAR_INSIDE = 900  # characters into a passage from which on it has much of its own to point at


def _resolve(context: Context, passages: Sequence[Passage], target: int, pointer: Pointer) -> Iterator[Leak]:
    """Finds what a phrase points at: the target's own text, the context, or a sibling before it."""
    passage = passages[target]
    if _own_heading(passage.text, pointer):
        return
    phrase = passage.text[pointer.start : pointer.end]
    own, siblings, known = _witnesses(context, passages, target, pointer.start)
    opening = pointer.start <= passage.opening_end
    score = pointer.opening if opening else pointer.inside
    sources = [target - 1]
    if siblings:
        sources = sorted(siblings)
        score = score if pointer.kind == "likeness" else min(0.95, score + 0.3)
    elif pointer.kind not in _COMPARING:
        if known and not own:
            score *= 0.6 if opening else 0.4
        elif (own and not opening) or (_WRITTEN.search(phrase) and "=" in passage.text[: pointer.start]):
            score *= 0.45
        elif pointer.start > _FAR_INSIDE:
            score *= 0.85
    words = phrase.lower().split()
    if not siblings and "first" in words and target > 1:
        sources = [0]
    elif not siblings and ("both" in words or "all" in words):
        sources = list(range(target))
    if score > _NEGLIGIBLE:
        for source in sources:
            yield Leak(
                source, target, pointer.kind, " ".join(phrase.split()), 0, pointer.start, round(score, 3)
            )


_WRITTEN = re.compile(r"equation|expression|formula|relation|identity", re.IGNORECASE)
_HEADING_GOES_ON = re.compile(r"[\s*]*(?:[:.,\n]|is\b|would be\b|to\b|\w+ing\b|when\b|where\b|if\b|$)")


def _own_heading(text: str, pointer: Pointer) -> bool:
    """ "Second method: …" at its very beginning names the passage itself."""
    if pointer.start > 24 or "earlier" in text[pointer.start : pointer.end].lower():
        return False
    named = pointer.kind in ("earlier passage", "the other")
    return named and _HEADING_GOES_ON.match(text, pointer.end) is not None


def _witnesses(
    context: Context, passages: Sequence[Passage], target: int, offset: int
) -> tuple[bool, set[int], bool]:
    """Where the values of a phrase's sentence stood before it: own text, which siblings, the context."""
    passage = passages[target]
    low, high = sentence_at(passage.text, offset)
    own, known, siblings = False, False, set()
    for key in passage.names(low, high):
        kind, name = key
        if kind not in ("value", "number", "relation", "application") or (
            kind == "number" and distinctness(name) < 0.2
        ):
            continue
        if passage.places[key][0][0] < low:
            own = True
        elif context.holds(key, passage.raw[key]):
            known = True
        else:
            siblings |= {source for source in range(target) if key in passages[source].places}
    return own, siblings, known
