"""Things spoken of as known ("each right triangle"), where only a sibling has brought them in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from threadweaver.dependencies.context import Context
from threadweaver.dependencies.passage import Passage

NOUN_SCORE = 0.35
"""One such noun proves little; two or three in one passage do."""

_DEFINITE = re.compile(
    r"\b(?:the|each|this|that|these|those|every|our|its?)\s+(?:(?P<first>[a-z]{3,})\s+)?(?P<noun>[a-z]{4,})\b"
)
# Words of any mathematical prose: to speak of "the equation" takes no sibling to have introduced it.
_COMMON = frozenset(
    """about above after again also alternatively another answer approach because been before being
    between both calculation calculations case cases check coefficient coefficients common complete
    computation concept condition conditions confusion constant correct could current definition
    denominator difference different digit distance does double each either else entire equal equation
    equations error exact example expression fact factor factors final first following form formula
    fraction from general given hand have here idea initial integer integers into just kind know last
    left length less like line main make maximum means method minimum mistake more most much multiple
    need negative next number numbers numerator only options order original other others part parts
    point points positive possible power previous problem process product property properties question
    quotient rather ratio real reason remainder remaining rest result right rule same second side
    sides simple since single situation smaller solution solutions some standard start starting
    statement step steps such sums term terms than that their them then there these they thing things
    third this those thought three time times total true type unknown usual value values variable
    variables wait ways well what when where which whole will with word work would wrong zero
    assumption actual""".split()
)


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def shared_nouns(
    context: Context, passages: Sequence[Passage], target: int
) -> Iterator[tuple[int, str, int, int, float]]:
    """(source, stem, defined at, used at, score) of what the target takes as known from a sibling."""
    passage = passages[target].text
    small = passage.lower()
    seen: set[str] = set()
    for match in _DEFINITE.finditer(passage):
        noun = match["noun"]
        stem = _stem(noun)
        if noun in _COMMON or stem in _COMMON or stem in seen:
            continue
        seen.add(stem)
        if small.find(stem) < match.start("noun") or context.holds_word(stem):
            continue
        for source in range(target):
            where = passages[source].text.find(stem)
            if where >= 0:
                yield source, stem, where, match.start(), NOUN_SCORE
