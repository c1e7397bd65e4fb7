"""Read rows of a `tree` export: which token sees which. Needs numpy alone; the export's RECIPE.md shows its use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

IGNORED = -100


def visible(row: Mapping) -> np.ndarray:
    """Return the mask [token, token] of a row: whether the first attends to the second.

    A token sees those before it in its segment, and what the segment's parent sees up to the fork.
    """
    size = len(row["input_ids"])
    allowed = np.zeros((size, size), dtype=bool)
    for start, end, parent, fork in _segments(row):
        if parent >= 0:
            allowed[start:end] = allowed[fork - 1]
        allowed[start:end, start:end] = np.tri(end - start, dtype=bool)
    return allowed


def intervals(row: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers a token: token q sees every token before seen[q], and those from own[q] to q.

    Raises ValueError for a tree with branches of branches, whose tokens see more than two intervals.
    """
    seen, own = np.zeros(len(row["input_ids"]), dtype=np.int64), np.zeros(len(row["input_ids"]), dtype=np.int64)
    for start, end, parent, fork in _segments(row):
        if parent > 0:
            raise ValueError("a branch of a branch: use visible()")
        seen[start:end], own[start:end] = fork, start
    return seen, own


def batch(rows: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Return rows padded to the longest, each array [row, token]: input_ids, position_ids, labels, seen, own.

    Padding sees itself alone and is not trained.
    """
    size = max(len(row["input_ids"]) for row in rows)
    filled = {"input_ids": 0, "position_ids": 0, "labels": IGNORED, "seen": 0}
    arrays = {name: np.full((len(rows), size), value, dtype=np.int64) for name, value in filled.items()}
    arrays["own"] = np.tile(np.arange(size), (len(rows), 1))
    for at, row in enumerate(rows):
        length = len(row["input_ids"])
        for name in ("input_ids", "position_ids", "labels"):
            arrays[name][at, :length] = row[name]
        arrays["seen"][at, :length], arrays["own"][at, :length] = intervals(row)
    return arrays


def _segments(row: Mapping) -> zip:
    names = ("segment_start", "segment_end", "segment_parent", "segment_fork")
    return zip(*(row[name] for name in names), strict=True)
