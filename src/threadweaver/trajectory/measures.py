"""Measures of a trajectory, from one tokenization of its text.

A token belongs to the passage that contains its first character.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from threadweaver.trajectory import markup

PUBLISHED = {
    "total_num_tokens": 11143.0,
    "num_tokens_in_the_longest_thread": 8278.0,
    "parallel_ratio": 0.77,
    "parallel_count": 6.26,
    "avg_threads_per_parallel_block": 2.58,
    "avg_thread_length": 541.0,
    "avg_tokens_per_parallel_block": 1542.0,
}
"""The published run: Qwen3-8B on Polaris-53K, 1,000 correct chains annotated by GPT-5, 959 kept; means."""
PUBLISHED_SPEEDUP = 1.35

MAX_BLOCKS = 15
"""Rollouts stop after 32 turns, two per block: rows with more blocks than this are counted."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts are tokens of the target model's tokenizer; ratios lie in [0, 1]."""

    total_num_tokens: int
    num_tokens_in_the_longest_thread: int
    """The critical path: everything but the shorter threads of each block."""
    acceleration_ratio: float
    """1 - longest / total."""
    parallel_ratio: float
    """Tokens inside blocks / total."""
    parallel_count: int
    avg_threads_per_parallel_block: float
    avg_thread_length: float
    avg_tokens_per_parallel_block: float
    avg_outlines_block_length: float
    avg_conclusion_block_length: float
    training_length: int
    """Each tag counts as one token, and threads 2 to n count twice: trainers flatten the tree of contexts."""


def measure(trajectory: markup.Trajectory, starts: Sequence[int]) -> Measures:
    """Return the measures of a trajectory whose tokens begin at the characters `starts` (ascending)."""

    def tokens(start: int, end: int) -> int:
        return bisect_left(starts, end) - bisect_left(starts, start)

    blocks = trajectory.blocks
    total = len(starts)
    inside = [tokens(block.start, block.end) for block in blocks]
    threads = [[tokens(item.inner_start, item.inner_end) for item in block.threads] for block in blocks]
    saved = sum(sum(lengths) - max(lengths) for lengths in threads)
    outlines = [tokens(*block.outlines_span) for block in blocks if block.outlines_span]
    conclusions = [tokens(block.conclusion.start, block.conclusion.end) for block in blocks if block.conclusion]
    tags = markup.tag_spans(trajectory.text)
    in_tags = sum(tokens(*span) for span in tags)
    again = sum(length + 2 for lengths in threads for length in lengths[1:])
    return Measures(
        total_num_tokens=total,
        num_tokens_in_the_longest_thread=total - saved,
        acceleration_ratio=saved / total if total else 0.0,
        parallel_ratio=sum(inside) / total if total else 0.0,
        parallel_count=len(blocks),
        avg_threads_per_parallel_block=_mean([len(lengths) for lengths in threads]),
        avg_thread_length=_mean([length for lengths in threads for length in lengths]),
        avg_tokens_per_parallel_block=_mean(inside),
        avg_outlines_block_length=_mean(outlines),
        avg_conclusion_block_length=_mean(conclusions),
        training_length=total - in_tags + len(tags) + again,
    )


def summarize_measures(rows: Sequence[Measures]) -> dict[str, dict[str, float]]:
    """Return the mean, min, max and population standard deviation of every measure over trajectories."""
    names = Measures.__dataclass_fields__
    columns = {name: [float(getattr(row, name)) for row in rows] for name in names}
    return {
        name: {"mean": fmean(values), "min": min(values), "max": max(values), "std": pstdev(values)}
        for name, values in columns.items()
        if values
    }


def dataset_speedup(rows: Sequence[Measures]) -> float:
    """Return the self-parallelism speedup of a dataset, mean total / mean critical path; 1.0 for no trajectories."""
    longest = sum(row.num_tokens_in_the_longest_thread for row in rows)
    return sum(row.total_num_tokens for row in rows) / longest if longest else 1.0


def speedup_of(rows: Sequence[Measures], saved: Sequence[int]) -> float:
    """Return the speedup of a dataset if each trajectory saved only these tokens; 1.0 for no trajectories."""
    total = sum(row.total_num_tokens for row in rows)
    return total / (total - sum(saved)) if total else 1.0


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
