"""What the scanners of this package report: a name in a role at an offset."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple


class Role(IntEnum):
    """What an occurrence does, the strongest last."""

    USE = 0  # an operand, a mention
    INTRO = 1  # the left side of an equation, the result of a computation, a heading
    DEFINE = 2  # introduced by a word: let, denote, where, call; a number: worked out there


class Find(NamedTuple):
    """`kind` is symbol, number, value, relation, application, expression or label; `raw` its written form."""

    kind: str
    name: str
    offset: int
    role: Role
    raw: str


def lowered(text: str) -> str:
    """Lower case without a change of length (the one letter that grows keeps its form)."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def starts_clause(text: str, start: int) -> bool:
    """Whether what stands at `start` is no factor or summand of what stands before it."""
    before = text[max(0, start - 3) : start].rstrip(" $\\(")
    return not before or before[-1] in ",:;\n.>⇒*{&|-(" or before[-1].isalpha()


_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n")
_SENTENCE_WINDOW = 400
_HEADING_CHARS = 40  # a first sentence shorter than this is a heading; the next one opens the passage too


def sentence_start(text: str, offset: int) -> int:
    """Return where the sentence begins that holds `offset`; a line break ends one too."""
    start = max(0, offset - _SENTENCE_WINDOW)
    for match in _SENTENCE_END.finditer(text, start, offset):
        start = match.end()
    return start


def opening_end(text: str) -> int:
    """Return where the opening sentence of a passage ends, a heading before it included."""
    at = 0
    for _ in range(3):
        found = _SENTENCE_END.search(text, at)
        if not found:
            return len(text)
        if found.start() - at > 2000 or len(text[: found.start()].strip(" #*:")) > _HEADING_CHARS:
            return found.start()
        at = found.end()
    return at
