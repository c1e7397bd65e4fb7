"""Dialects of parallel reasoning: each is read into one tree of blocks, and two are written from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from threadweaver.exports.dialects import dc_cot, multiverse, npr, parallel_r1, threadweaver
from threadweaver.exports.dialects.blocks import Document
from threadweaver.trajectory.markup import MarkupError

OURS, MULTIVERSE = "threadweaver", "multiverse"
READERS = {
    OURS: threadweaver.read,
    MULTIVERSE: multiverse.read,
    "dc-cot": dc_cot.read,
    "npr": npr.read,
    "parallel-r1": parallel_r1.read,
}
WRITTEN = (OURS, MULTIVERSE)


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted text. `lost` counts what the new dialect cannot say: what is lost and how often."""

    text: str
    lost: Counter[str]


def convert(text: str, source: str, target: str) -> Converted:
    """Return a text of one dialect in another one.

    Raises MarkupError where the text breaks the grammar of its dialect, or lacks what the other one demands.
    """
    return write(READERS[source](text), target)


def write(document: Document, target: str) -> Converted:
    """Return a tree as text, read again to be sure of it."""
    lost: Counter[str] = Counter()
    text = threadweaver.write(document, lost) if target == OURS else multiverse.write(document)
    if not +lost and READERS[target](text) != document:
        raise MarkupError(
            "not_representable", 0, f"{target} reads its own form differently: a text at the edge of a tag"
        )
    return Converted(text, +lost)
