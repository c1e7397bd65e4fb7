"""A chain as parts: its paragraphs, cut at lines that open something of their own."""

from __future__ import annotations

from dataclasses import dataclass

from threadweaver.annotators.rules.heads import Head, head_of


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph, or the rest of one from a heading line on. Lines count from 1, `last` included."""

    first: int
    last: int
    text: str
    head: Head | None


def parts_of(chain: str) -> list[Part]:
    """Return the chain's parts in order; only blank lines lie between them."""
    found: list[Part] = []
    texts: list[str] = []
    first, head = 0, None
    lines = chain.split("\n")
    for number, line in enumerate(lines, 1):
        blank = not line.strip()
        opened = None if blank else head_of(line)
        if texts and (blank or opened):
            found.append(Part(first, number - 1, "\n".join(texts), head))
            texts = []
        if not blank:
            if not texts:
                first, head = number, opened
            texts.append(line)
    if texts:
        found.append(Part(first, len(lines), "\n".join(texts), head))
    return found
