"""Whether a passage merely continues the one before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from threadweaver.independence.conclusions import tokens
from threadweaver.independence.context import Context
from threadweaver.independence.evidence import Leak
from threadweaver.independence.finds import Role, lowered
from threadweaver.independence.openings import SETS_OUT, cuts_list
from threadweaver.independence.passage import Key, Passage
from threadweaver.independence.pointing import sentence_at
from threadweaver.independence.quantities import distinctness
from threadweaver.independence.scores import WORKING, comes_by_it

_TIED = 0.85  # a conclusion from something that the passage before has and nothing else
_TIED_IN_WORDS = 0.72
_SAME_TALK = 0.45  # no sign of going on but the same words
_CUT = 0.7  # a numbered list that began inside the passage before
_SMALL = 0.2
_ECHOED = 0.65
_TAIL = 40  # characters at the end of a passage in which its result stands
_RESULT = re.compile(r"(?:=|≈|\b(?:is|are|equals|be|get|gives))[\s$\\({]*(\d+(?:\.\d+)?)\b[\s$\\)\]}.°%!]*$")
_STARTS_OVER = re.compile(r"[\W_]*(?:but\s+)?(?:wait|hold on|hmm|actually|no)\b", re.IGNORECASE)
_KNOWN = 0.3  # a conclusion whose quantities were all known before
_TOLD = ("value", "number", "relation", "application", "expression", "symbol")


def goes_on(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """Evidence from the beginning of a passage and the end of the one before it."""
    passage, before = passages[target], passages[target - 1]
    opening = passage.opening
    end = len(before.text.rstrip())
    score = opening.score
    if opening.concludes:
        score = _concluding(context, before, passage, score)
    elif not opening.what and opening is not SETS_OUT and _same_talk(context, before, passage):
        score = _SAME_TALK
    if score:
        yield Leak(target - 1, target, "continuation", opening.what, end, 0, round(score, 3))
    if cuts_list(before.text, passage.text):
        yield Leak(target - 1, target, "continuation", "next item", end, 2, _CUT)
    for what, weight in before.open_end:
        if opening is SETS_OUT or _STARTS_OVER.match(passage.text):
            weight *= 0.4
        yield Leak(target - 1, target, "continuation", what, end, 1, round(weight, 3))


def _same_talk(context: Context, before: Passage, passage: Passage) -> bool:
    """Whether a passage opens with words of the last sentences before it that the context does not join."""
    said = tokens(lowered(passage.text[: sentence_at(passage.text, 0)[1]]))
    shared = max((words & said for _, words in before.sentences.all[-2:]), key=len, default=frozenset())
    words = [word for word in shared if len(word) > 2 and word.isalpha()]
    return len(words) >= max(2, 0.4 * len(said)) and not context.says(shared)


def _leans_on(key: Key, passage: Passage) -> bool:
    """Whether a passage works with a name, or states it without working for it; small whole numbers tie nothing."""
    at, role = passage.places[key][0]
    if key[0] == "number" and key[1].isdigit() and distinctness(key[1]) <= _SMALL:
        return False
    return role == Role.USE or WORKING.search(passage.text, 0, at) is None


def _echoes_result(before: str, text: str) -> bool:
    """Whether the first sentence of a passage holds the number that the one before it ends on ("so 16." "Thus 16 …")."""
    last = _RESULT.search(before, max(0, len(before) - _TAIL))
    if not last or len(last[1]) < 2:
        return False
    _, end = sentence_at(text, len(text) - len(text.lstrip()))
    return re.search(rf"(?<![\d.]){re.escape(last[1])}(?![\d.]*\d)", text[:end]) is not None


def _own_sum(key: Key, passage: Passage) -> bool:
    return key[0] == "number" and comes_by_it(key[1], passage.text, passage.places[key][0][0])


def _concluding(context: Context, before: Passage, passage: Passage, score: float) -> float:
    """ "Therefore x = 4": the passage goes on with the one before if that alone holds what it concludes from."""
    known = 0
    if _echoes_result(before.text, passage.text):
        return _ECHOED
    _, end = sentence_at(passage.text, len(passage.text) - len(passage.text.lstrip()))
    for key in passage.names(0, end):
        if key[0] in _TOLD:
            if context.holds(key, passage.raw[key]) or (key[0] == "value" and context.holds_number(key[1])):
                known += key[0] != "symbol"
            elif key in before.places and _leans_on(key, passage) and not _own_sum(key, passage):
                return _TIED
    if known:
        return _KNOWN
    said = tokens(lowered(passage.text[:end]))
    if len(said) >= 2:
        for _, words in before.sentences.all[-6:]:
            if len(words & said) >= max(2, 0.5 * len(said)) and not context.says(words & said):
                return _TIED_IN_WORDS
    return score
