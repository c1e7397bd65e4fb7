"""Evaluate runs of generation: accuracy with its interval, format, tokens, critical path, blocks and threads.

The figures are those of the paper's table (arXiv 2512.07843): a sample counts in every one of them, also if it is wrong,
cut off or malformed. Token counts are those of the assistant's turn, each tag one token.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean

from threadweaver import grading
from threadweaver.corpus import training_units
from threadweaver.corpus.thinking import TAGS, FailedCut, cut, trim
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError, setting
from threadweaver.generation.outputs import Output, Unread
from threadweaver.generation.problems import Problem
from threadweaver.runs.pool import Died, in_order
from threadweaver.text import unstorable
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

_Answer = tuple["Scored", tuple[str | None, object] | None]
"""A sample and, if its verdict needs algebra, the pair to be graded."""
RESAMPLES = 10_000
"""Of the bootstrap; an interval of 95 % then moves by some 0.1 % of its width from seed to seed."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One sample. Counts are tokens of the turn; `fault` says why its format is not the strict one."""

    row: int
    sample: int
    correct: bool
    verdict: str
    fault: str
    total: int
    critical: int
    threads: tuple[int, ...] = ()
    """Of each block, how many threads it has."""
    units: int = 0
    unit_fault: str = ""
    """Why the turn is not what fork-join inference would have built; empty if it is."""

    @property
    def speedup(self) -> float:
        return self.total / self.critical if self.critical else 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """The samples of one run; each problem has the same number of them, or fewer where some are missing."""

    name: str
    samples: tuple[Scored, ...]

    @property
    def by_problem(self) -> Mapping[int, list[Scored]]:
        found: dict[int, list[Scored]] = defaultdict(list)
        for sample in self.samples:
            found[sample.row].append(sample)
        return found

    @property
    def accuracies(self) -> dict[int, float]:
        """For each problem the share of its samples that are correct: their mean is avg@n."""
        return {row: fmean(one.correct for one in samples) for row, samples in self.by_problem.items()}


@dataclass(frozen=True, slots=True)
class Shape:
    """The format of a turn: its fault (empty: strict), and its tokens."""

    fault: str
    total: int
    critical: int
    threads: tuple[int, ...] = field(default=())


def score(outputs: Iterable[Unread], problems: Sequence[Problem], tokenizer: Tokenizer, jobs: int) -> Iterator[Scored]:
    """Grade and measure every output, in order, on at most `jobs` processes; `tokenizer` has the tags as single tokens. An
    answer that cannot be judged counts as wrong, as it does for a reward. Raises UserError if the process of an output
    dies."""
    items = ((output, problems[output.row]) for output in outputs)
    work = partial(_score, tokenizer=tokenizer)
    with grading.Grader(jobs) as grader, closing(in_order(items, work, jobs)) as answers:
        found = (_alive(item[0], answer) for item, answer in answers)
        for (scored, _), verdict in grader.grade_each(found, lambda answer: answer[1]):
            yield replace(scored, verdict=verdict.verdict, correct=verdict.correct) if verdict else scored


def _alive(output: Unread, answer: _Answer | Died) -> _Answer:
    """Return what became of an output; raises UserError if its process died: figures without it would be wrong."""
    if isinstance(answer, Died):
        one = setting("--jobs 1", "JOBS=1")
        raise UserError(f"output {output.row}-{output.sample} cannot be measured: {answer.detail}: run with {one}")
    return answer


def _score(item: tuple[Unread, Problem], tokenizer: Tokenizer) -> _Answer:
    """Return an output measured and, if its verdict needs algebra, the pair to be graded."""
    output, problem = item[0].read(), item[1]
    pair = _final(output.text or ""), _reference(problem)
    verdict = grading.at_once(*pair)
    return _measured(output, verdict.verdict if verdict else "", tokenizer), None if verdict else pair


def _measured(output: Output, verdict: str, tokenizer: Tokenizer) -> Scored:
    text = output.text or ""
    found = shape(text, tokenizer)
    units, unit_fault = 0, found.fault
    if not found.fault:
        try:
            units = len(training_units.as_ids(text, 0, tokenizer))
        except (markup.MarkupError, training_units.UnitError) as error:
            unit_fault = str(error)
    return Scored(
        row=output.row,
        sample=output.sample,
        correct=verdict == "correct",
        verdict=verdict,
        fault=found.fault,
        total=found.total,
        critical=found.critical,
        threads=found.threads,
        units=units,
        unit_fault=unit_fault,
    )


def shape(text: str, tokenizer: Tokenizer) -> Shape:
    """Return the format of a turn: strict if its thinking is closed, once, and every block has the canonical form, byte for
    byte. A turn with a fault is measured as one sequence."""
    starts = tokenizer.starts(text)
    if fault := ("no_output" if not text.strip() else unstorable(text)):
        return Shape(fault, len(starts), len(starts))
    if isinstance(found := cut(text, TAGS), FailedCut):
        return Shape(found.reason, len(starts), len(starts))
    try:
        trajectory = markup.parse(text)
        for block in trajectory.blocks:
            training_units.check_form(text, block)
    except markup.MarkupError as error:
        return Shape(error.code, len(starts), len(starts))
    measures = measure(trajectory, starts)
    threads = tuple(len(block.threads) for block in trajectory.blocks)
    return Shape("", measures.total_num_tokens, measures.num_tokens_in_the_longest_thread, threads)


def _final(text: str) -> str | None:
    found = cut(text, TAGS)
    if isinstance(found, FailedCut):
        return grading.final_answer(text)
    thinking, answer = map(trim, found)
    return grading.final_answer(answer or thinking)


def _reference(problem: Problem) -> object:
    return () if problem.reference is None else problem.reference


# ---- figures


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean by bootstrap: problems are drawn again, with all of their samples."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    drawn = random.Random(seed)
    means = sorted(fmean(drawn.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]


def figures(run: Run) -> dict[str, object]:
    """Return the figures of a run, ready for JSON: shares in [0, 1], counts in tokens, means over samples."""
    samples, accuracies = run.samples, run.accuracies
    branching = [one for one in samples if one.threads]
    threads = [count for one in branching for count in one.threads]
    low, high = interval(list(accuracies.values()))
    return {
        "problems": len(accuracies),
        "samples": len(samples),
        "samples_per_problem": len(samples) / len(accuracies),
        "accuracy": fmean(accuracies.values()),
        "accuracy_interval": [low, high],
        "solved": fmean(value > 0 for value in accuracies.values()),
        "format_correct": _share(not one.fault for one in samples),
        "format_faults": dict(Counter(one.fault for one in samples if one.fault).most_common()),
        "branching": len(branching) / len(samples),
        "total_tokens": fmean(one.total for one in samples),
        "critical_path_tokens": fmean(one.critical for one in samples),
        "speedup": sum(one.total for one in samples) / max(1, sum(one.critical for one in samples)),
        "speedup_mean": fmean(one.speedup for one in samples),
        "speedup_max": max(one.speedup for one in samples),
        "blocks": fmean(len(one.threads) for one in samples),
        "threads_per_block": fmean(threads) if threads else 0.0,
        "units": sum(one.units for one in samples),
        **({"as_inference_builds_them": _share(not one.unit_fault for one in branching)} if branching else {}),
        "by_blocks": by_blocks(samples),
    }


def by_blocks(samples: Sequence[Scored]) -> list[dict[str, object]]:
    """Return samples, accuracy, tokens and speedup by the number of blocks."""
    groups: dict[int, list[Scored]] = defaultdict(list)
    for one in samples:
        groups[len(one.threads)].append(one)
    return [
        {
            "blocks": blocks,
            "samples": len(group),
            "accuracy": _share(one.correct for one in group),
            "total_tokens": fmean(one.total for one in group),
            "critical_path_tokens": fmean(one.critical for one in group),
            "speedup": fmean(one.speedup for one in group),
        }
        for blocks, group in sorted(groups.items())
    ]


def compare(sequential: Run, parallel: Run) -> dict[str, object]:
    """Return what the second run gains and loses against the first, on the problems that both have."""
    first, second = sequential.accuracies, parallel.accuracies
    rows = sorted(first.keys() & second.keys())
    differences = [second[row] - first[row] for row in rows]
    tokens = [fmean(one.total for one in sequential.by_problem[row]) for row in rows]
    critical = [fmean(one.critical for one in parallel.by_problem[row]) for row in rows]
    return {
        "problems": len(rows),
        "accuracy_difference": fmean(differences) if rows else 0.0,
        "accuracy_difference_interval": list(interval(differences)),
        "critical_path_speedup": sum(tokens) / max(1.0, sum(critical)) if rows else 1.0,
    }


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return fmean(values) if values else 0.0
