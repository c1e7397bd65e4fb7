"""What a passage takes as given that only a sibling has found or named, said in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from threadweaver.independence.conclusions import holds_all
from threadweaver.independence.context import Context
from threadweaver.independence.evidence import Leak
from threadweaver.independence.finds import lowered
from threadweaver.independence.passage import Passage

_GIVEN = 0.75
_COME_ABOUT = 0.68
_COME_ABOUT_SOMEHOW = 0.62  # none of its words stands anywhere near
_FAR_INSIDE = 500  # characters into a passage from which on it has found things itself
_COINED = 0.85


def taken_as_given(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Clauses ("since the circles are tangent") whose words one sentence of a sibling holds, and no other text."""
    passage = passages[target]
    for at, said, come_about in passage.found_clauses:
        if come_about:
            yield from _come_about(context, passages, target, at, said)
            continue
        if holds_all(passage.sentences.nearest(said, at - len("since"))[1], said):
            continue
        for source in range(target):
            where, words = passages[source].sentences.nearest(said)
            if holds_all(words, said) and not context.says(said):
                score = _GIVEN if len(said) > 2 else 0.6
                yield Leak(source, target, "conclusion", " ".join(sorted(said)), where, at, score)


def _come_about(
    context: Context, passages: Sequence[Passage], target: int, at: int, said: frozenset[str]
) -> Iterator[Leak]:
    """What is told as found before belongs to the text that says most of it, the passage itself first."""
    passage = passages[target]
    own = len(passage.sentences.nearest(said, at - 1)[1])
    near = [passages[source].sentences.nearest(said) for source in range(target)]
    source = max(range(target), key=lambda number: (len(near[number][1]), number))
    where, words = near[source]
    if 2 * own >= len(said) or (own and own >= len(words)) or context.says(said):
        return
    score = _COME_ABOUT if words else _COME_ABOUT_SOMEHOW
    if at > _FAR_INSIDE:
        score *= 0.6
    yield Leak(source, target, "conclusion", " ".join(sorted(said)), max(0, where), at, round(score, 3))


def coined_names(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Names that a sibling gave ("call this the balance condition") and the passage uses."""
    small = lowered(passages[target].text)
    for source in range(target):
        for name, defined_at in passages[source].coined:
            at = small.find(name)
            if at >= 0 and not context.holds_word(name):
                yield Leak(source, target, "label", name, defined_at, at, _COINED)
