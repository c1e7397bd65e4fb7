"""The opening of a passage without what it is about: members of a series differ in nothing else."""

from __future__ import annotations

import re

from threadweaver.annotators.rules.heads import PAIRED_GROUP

BLANKS = str.maketrans("", "", " \t$\\{}*,")
"""Takes away what tells nothing when formulas are compared by their look."""

_OPENING = 160
_SKELETON = 20
_MIN_LETTERS = 6
_NAMING_SLOTS = 2  # the first names of an opening say what it is about
_NAME = re.compile(
    r"\d+(?:[.,/]\d+)*|(?<![A-Za-z\\])(?:[A-Z]{1,4}|[a-z])(?![A-Za-z])|\\(?:alpha|beta|gamma|theta|omega)\b"
)
_CONNECTIVES = re.compile(
    r"^[\s*#>\-•]*(?:(?:now|and|next|then|first|second|third|similarly|likewise|finally|okay|also|for)"
    r"[,:]?\s+)*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]{2,}")
# What opens any sentence, a turn or a conclusion: likeness in these says nothing.
_COMMON = re.compile(
    r"(?:so|wait|but|therefore|thus|hence|alternatively|since|because|which|that|this|it|is|maybe|perhaps"
    r"|yes|no|hmm|let me|i|we|as|where|there|total|sum|adding|if)\b",
    re.IGNORECASE,
)
NAMES_NEXT = re.compile(
    r"\W*(?:next|now|then|moving on|on to|proceeding|let'?s (?:now )?(?:move|try|consider|check|do|take|look))\b"
    r"[^\n]{1,40}$",
    re.IGNORECASE,
)
"""A line that only names what the next passage takes up: "Next, b = 4."."""


def skeleton(text: str) -> tuple[str, str] | None:
    """The opening without what it is about, and what it is about; None where the rest tells nothing."""
    start = _CONNECTIVES.match(text).end()
    if _COMMON.match(text, start):
        return None
    opening = text[start:_OPENING]
    slots: list[str] = []

    def keep(match: re.Match[str]) -> str:
        slots.append(match[0])
        return "#"

    def pair(match: re.Match[str]) -> str:
        group = PAIRED_GROUP.get(match[0].lower())
        if group:
            slots.append(match[0].lower())
        return group or match[0].lower()

    bare = _WORD.sub(pair, _NAME.sub(keep, opening)).translate(BLANKS)[:_SKELETON]
    letters = sum(char.isalpha() for char in re.sub(r"<\w+>|\\\w+", "", bare))
    if letters < _MIN_LETTERS or ("#" not in bare and "<" not in bare):
        return None
    count = min(_NAMING_SLOTS, bare.count("#") + bare.count("<"))
    return bare, " ".join(slots[:count])
