"""What a pointing-back phrase points at: the passage's own text, the context, or a sibling."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from threadweaver.independence.conclusions import stem, tokens
from threadweaver.independence.context import Context
from threadweaver.independence.evidence import NEGLIGIBLE, Leak
from threadweaver.independence.finds import lowered
from threadweaver.independence.passage import Passage
from threadweaver.independence.pointing import Pointer, sentence_at
from threadweaver.independence.quantities import distinctness

# These compare with something outside the passage, whatever they name of it.
_COMPARING = ("agreement", "joint result")
_INSIDE = 300  # characters into a passage from which on it has something of its own to point at
_FAR_INSIDE = 900  # … and much
_BY_NAME = ("the other", "joint result", "earlier passage", "from a passage")
_LIMIT = re.compile(r"approach|bound|limit|converg|tend|→|\\to\b")
_POINTING = tokens("above before earlier previous previously already just prior computed calculated same other")
_ALL_KNOWN = 0.75  # of a sentence's words: when the context has them, it is what is pointed at
_WRITTEN = re.compile(r"equation|expression|formula|relation|identity", re.IGNORECASE)
_HEADING_GOES_ON = re.compile(r"[\s*]*(?:[:.,\n]|is\b|would be\b|to\b|\w+ing\b|when\b|where\b|if\b|$)")


class _Witnesses(NamedTuple):
    """Where what a phrase's sentence speaks of stood before it."""

    own: bool  # in the passage itself
    known: bool  # in the context
    siblings: set[int]  # its quantities, in these siblings alone
    in_words: set[int]  # its words, in one sentence of these siblings alone
    named: bool = False  # the very words of the phrase, in the context or in the passage itself
    familiar: bool = False  # nearly all its words stand somewhere in the context


def resolve(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Every pointing-back phrase of a passage with what it points at; a sentence points once at each sibling."""
    best: dict[tuple[int, int], Leak] = {}
    passage = passages[target]
    for pointer in passage.found_pointers:
        if not _names_nothing(passage.text, pointer):
            low, high = sentence_at(passage.text, pointer.start)
            for leak in _resolved(context, passages, target, pointer, (low, high)):
                key = (leak.source, low)
                if key not in best or best[key].score < leak.score:
                    best[key] = leak
    return iter(best.values())


def _resolved(
    context: Context, passages: Sequence[Passage], target: int, pointer: Pointer, bounds: tuple[int, int]
) -> Iterator[Leak]:
    passage = passages[target]
    phrase = passage.text[pointer.start : pointer.end]
    seen = _witnesses(context, passages, target, pointer, bounds)
    sources, score = [target - 1], _weigh(passage, pointer, phrase, seen)
    words = phrase.lower().split()
    if seen.siblings or seen.in_words:
        sources = sorted(seen.siblings or seen.in_words)
    elif "first" in words and target > 1:
        sources = [0]
    elif "both" in words or "all" in words:
        sources = list(range(target))
    if score > NEGLIGIBLE:
        for source in sources:
            yield Leak(source, target, pointer.kind, " ".join(phrase.split()), 0, pointer.start, round(score, 3))


def _weigh(passage: Passage, pointer: Pointer, phrase: str, seen: _Witnesses) -> float:
    opening = pointer.start <= passage.opening_end
    score = pointer.opening if opening else pointer.inside
    if seen.siblings:
        return score if pointer.kind == "likeness" else min(0.95, score + 0.3)
    if seen.in_words and not (seen.own and not opening):
        return score
    if seen.named:
        return score * 0.4
    if pointer.kind in _COMPARING:
        return score * (0.5 if (seen.own or seen.known) and not opening else 1.0)
    if seen.known and not seen.own:
        return score * (0.6 if opening else 0.4)
    if (seen.own and not opening) or (_WRITTEN.search(phrase) and "=" in passage.text[: pointer.start]):
        return score * 0.45
    if seen.familiar:
        return score * (0.7 if opening else 0.45)
    return score * (0.72 if pointer.start > _FAR_INSIDE else 0.85 if pointer.start > _INSIDE else 1.0)


def _names_nothing(text: str, pointer: Pointer) -> bool:
    """ "Second method: …" at its very beginning names the passage itself; a limit "from above" names none."""
    if text[pointer.start : pointer.end] == "from above" and _LIMIT.search(
        text, max(0, pointer.start - 40), pointer.start
    ):
        return True
    if pointer.start > 24 or "earlier" in text[pointer.start : pointer.end].lower():
        return False
    named = pointer.kind in ("earlier passage", "the other")
    return named and _HEADING_GOES_ON.match(text, pointer.end) is not None


def _witnesses(
    context: Context, passages: Sequence[Passage], target: int, pointer: Pointer, bounds: tuple[int, int]
) -> _Witnesses:
    passage = passages[target]
    low, high = bounds
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
    if siblings:
        return _Witnesses(own, known, siblings, set())
    said = tokens(lowered(passage.text[low:high])) - _POINTING
    in_words = {source for source in range(target) if _says(context, passages[source], said)}
    if pointer.kind == "anaphor" and _held_back(context, passages, target, pointer):
        return _Witnesses(own, True, siblings, in_words)
    familiar = len(said) >= 2 and sum(map(context.holds_word, said)) >= _ALL_KNOWN * len(said)
    name = " ".join(lowered(passage.text[pointer.start : pointer.end]).split()[-2:])
    named = pointer.kind in _BY_NAME and (
        context.holds_word(name)
        or 0 <= passage.lower.find(name) < pointer.start - len(name)
        or any(
            kind == "label" and context.holds((kind, label), label)
            for kind, label in passage.names(pointer.start, pointer.end)
        )
    )
    return _Witnesses(own, known, siblings, in_words, named, familiar)


def _held_back(context: Context, passages: Sequence[Passage], target: int, pointer: Pointer) -> bool:
    """Whether the noun of "those values" stands in the passage itself or the context and in no sibling."""
    word = stem(pointer_noun(passages[target].lower, pointer))
    if 0 <= passages[target].lower.find(word) < pointer.start:
        return True
    return not any(word in passage.lower for passage in passages[:target]) and context.holds_word(word)


def pointer_noun(lower: str, pointer: Pointer) -> str:
    return lower[pointer.start : pointer.end].split()[-1]


def _says(context: Context, passage: Passage, said: frozenset[str]) -> bool:
    """Whether one sentence of a passage shares the better part of what is said, and none of the context does."""
    if len(said) < 2:
        return False
    _, shared = passage.sentences.nearest(said)
    return len(shared) >= max(2, 0.5 * len(said)) and not context.says(shared)
