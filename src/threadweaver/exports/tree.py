"""A row as the tree of its contexts, packed into one sequence: what fork-join inference computes, in one pass.

The trunk is the plain row. Threads 2 … n of each block are in the tree twice: in the trunk, where the joined text goes on
after the block, and as branches that fork after the outlines and do not see their siblings. No mask over a single copy
gives both. Thread 1 has the same context either way and is in the trunk alone. Every token that a model decodes is
trained once: threads 2 … n in their branches, all others in the trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from threadweaver.corpus import training_units
from threadweaver.corpus.training_units import Unit

IGNORED = -100
"""The label of a token that is context alone, as trainers of this field write it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of the packed sequence. They see one another causally, and what `parent` sees before `fork`.

    `parent` is a segment's number, -1 for the trunk; `fork`, also an index of the packed sequence, is the first token of
    the parent that they do not see.
    """

    start: int
    end: int
    parent: int
    fork: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A packed row. A label is at the index of its token, and the token before it in the sequence is its parent."""

    ids: list[int]
    positions: list[int]
    labels: list[int]
    segments: list[Segment]


def build(units: Sequence[Unit[list[int]]]) -> Tree:
    """Return the tree of a row's units, which `training_units.as_ids` returns."""
    last = units[-1]
    ids = last.context + last.continuation
    labels = [IGNORED] * len(ids)
    positions = list(range(len(ids)))
    segments = [Segment(0, len(ids), -1, 0)]
    for unit in units:
        start = len(unit.context)
        if unit.thread < 2:
            labels[start : start + len(unit.continuation)] = unit.continuation
            continue
        fork = _fork(ids, unit.context)
        branch = unit.context[fork:] + unit.continuation
        segments.append(Segment(len(ids), len(ids) + len(branch), 0, fork))
        labels += [IGNORED] * (start - fork) + unit.continuation
        positions += range(fork, fork + len(branch))
        ids += branch
    return Tree(ids, positions, labels, segments)


def _fork(trunk: Sequence[int], context: Sequence[int]) -> int:
    """Return the first token in which a thread's context differs from the trunk: the number of the thread."""
    for at, (one, other) in enumerate(zip(trunk, context, strict=False)):
        if one != other:
            return at
    raise training_units.UnitError("two threads of a block have the same number in token ids")


def columns(tree: Tree) -> dict[str, object]:
    """Return the columns of an exported row."""
    return {
        "input_ids": tree.ids,
        "position_ids": tree.positions,
        "labels": tree.labels,
        "segment_start": [segment.start for segment in tree.segments],
        "segment_end": [segment.end for segment in tree.segments],
        "segment_parent": [segment.parent for segment in tree.segments],
        "segment_fork": [segment.fork for segment in tree.segments],
    }
