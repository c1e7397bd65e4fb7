"""How much of a chain only repeats itself: degenerate chains run the same paragraph again and again."""

from __future__ import annotations

import re

DEGENERATE_SHARE = 0.2

# Honest work recurs to "1 + 2 = 3" or "No."; only a repeated paragraph of at least this length counts.
_MIN_REPEAT_CHARS = 16
# A paragraph of more lines than this is a passage without blank lines: its lines are taken one by one,
# or a chain that loops over single newlines would be one paragraph that repeats nothing.
_MAX_PARAGRAPH_LINES = 40

_BLANK_LINE = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)*\n")


def paragraphs(text: str) -> list[str]:
    """The paragraphs of `text` (separated by blank lines), white space squeezed."""
    found: list[str] = []
    for block in _BLANK_LINE.split(text):
        pieces = block.split("\n") if block.count("\n") >= _MAX_PARAGRAPH_LINES else [block]
        found.extend(squeezed for piece in pieces if (squeezed := " ".join(piece.split())))
    return found


def looping(text: str) -> float:
    """Share of the paragraphs that repeat an earlier one; `DEGENERATE_SHARE` or more is degenerate."""
    found = paragraphs(text)
    if not found:
        return 0.0
    seen: set[str] = set()
    repeated = 0
    for paragraph in found:
        if len(paragraph) < _MIN_REPEAT_CHARS:
            continue
        repeated += paragraph in seen
        seen.add(paragraph)
    return repeated / len(found)
