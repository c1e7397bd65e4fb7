"""A chain as units: its paragraphs, cut at lines that open something of their own."""

from __future__ import annotations

from dataclasses import dataclass

from threadweaver.annotators.rules.heads import Head, head_of


@dataclass(frozen=True, slots=True)
class Unit:
    """A paragraph, or the part of one from a heading line on. Lines count from 1, `last` included."""

    first: int
    last: int
    offset: int  # of its first character in the chain
    text: str
    head: Head | None


def units(thinking: str) -> list[Unit]:
    """The chain's units in order; only blank lines lie between them."""
    found: list[Unit] = []
    texts: list[str] = []
    first, start, at, head = 0, 0, 0, None
    for number, line in enumerate(thinking.split("\n"), 1):
        opened = head_of(line) if line.strip() else None
        if texts and (not line.strip() or _cuts(opened)):
            found.append(Unit(first, number - 1, start, "\n".join(texts), head))
            texts = []
        if line.strip():
            if not texts:
                first, start, head = number, at, opened
            texts.append(line)
        at += len(line) + 1
    if texts:
        found.append(Unit(first, thinking.count("\n") + 1, start, "\n".join(texts), head))
    return found


def _cuts(head: Head | None) -> bool:
    """Whether a line inside a paragraph begins a unit: a case or an instance does, "Left side:" does not."""
    return head is not None and head.kind != "method" and not head.key.startswith("colon")
