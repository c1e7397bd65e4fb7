"""How much of a chain repeats itself: degenerate chains write the same paragraph again and again."""

from __future__ import annotations

import re

DEGENERATE_SHARE = 0.2

_MIN_REPEAT_CHARS = 16
"""Shorter repeats do not count: a sound chain repeats "1 + 2 = 3" or "No."."""
_MAX_PARAGRAPH_LINES = 40
"""Each line of a longer paragraph counts as a paragraph: a chain that loops over single newlines is one paragraph."""

_BLANK_LINE = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)*\n")


_ODD_SPACE = re.compile(r"[^\S\x00-\x7f]")
_SPACE = bytes(range(9, 14)) + bytes(range(28, 33))


def _all_differ(text: str) -> bool:
    """Whether no two paragraphs can be the same: a look at their characters alone, in a tenth of the time."""
    if not text.isascii() and _ODD_SPACE.search(text):
        return False
    blocks = _BLANK_LINE.split(text)
    pieces = (
        piece
        for block in blocks
        for piece in (block.split("\n") if block.count("\n") >= _MAX_PARAGRAPH_LINES else (block,))
    )
    found = [piece.encode("utf-8", "surrogatepass").translate(None, _SPACE) for piece in pieces]
    long = [piece for piece in found if len(piece) >= _MIN_REPEAT_CHARS // 2]  # every second character may be a space
    return len(set(long)) == len(long)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of `text` (separated by blank lines), with runs of white space as one space."""
    found: list[str] = []
    for block in _BLANK_LINE.split(text):
        pieces = block.split("\n") if block.count("\n") >= _MAX_PARAGRAPH_LINES else [block]
        found.extend(squeezed for piece in pieces if (squeezed := " ".join(piece.split())))
    return found


def repeated_share(text: str) -> float:
    """Return the share of paragraphs that repeat an earlier one; `DEGENERATE_SHARE` or more is degenerate."""
    found = [] if _all_differ(text) else paragraphs(text)
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
