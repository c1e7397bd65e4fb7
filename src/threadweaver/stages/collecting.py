"""Stage 0: decide which rows of a source are collected as chains."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.corpus.readers import SourceRow, dataset_name, read_rows
from threadweaver.corpus.repetition import DEGENERATE_SHARE, repeated_share
from threadweaver.corpus.schemas import AmbiguousThinking, to_sample
from threadweaver.files import digest
from threadweaver.runs.runner import Result, Task
from threadweaver.samples import Sample
from threadweaver.stages.collected import ROW, row_hash
from threadweaver.text import unstorable
from threadweaver.trajectory.markup import reserved_tag

MIN_CHARS = 400
"""A shorter chain is `too_short`: two threads of it could not save the 200 characters that a block must save."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the source with its sample, or with what is wrong with it."""

    row: SourceRow
    sample: Sample | None
    fault: str = ""
    ambiguous: bool = False
    """The fault is that nobody can say where the thinking ends: the row is left out, and is not a failure."""


def read_candidates(path: Path, limit: int) -> list[Candidate]:
    """Read the first rows of a source."""
    dataset = dataset_name(path)
    return [_read(row, dataset) for row in read_rows(path, limit)]


def _read(row: SourceRow, dataset: str) -> Candidate:
    try:
        return Candidate(row, to_sample(row, dataset))
    except AmbiguousThinking as error:
        return Candidate(row, None, f"{row.place}: {error}", ambiguous=True)
    except ValueError as error:
        return Candidate(row, None, f"{row.place}: {error}")


def repeated(candidates: Iterable[Candidate]) -> set[int]:
    """Return the indices of the rows that repeat the uuid of an earlier row."""
    seen: set[str] = set()
    repeats: set[int] = set()
    for candidate in candidates:
        if candidate.sample and (given := (candidate.row.fields or {}).get("uuid")) is not None:
            if str(given) in seen:
                repeats.add(candidate.sample.index)
            seen.add(str(given))
    return repeats


def collect(candidate: Candidate, repeats: Collection[int], *, keep_wrong: bool = False) -> Result:
    """Decide whether to collect one row; `repeats` comes from `repeated`."""
    sample = candidate.sample
    if sample is None and candidate.ambiguous:
        return Result("rejected", "ambiguous_cut", facts={"detail": candidate.fault})
    if sample is None:
        return Result("failed", "malformed", facts={"error": candidate.fault})
    if reason := unfit(sample, keep_wrong=keep_wrong):
        return Result("rejected", reason)
    if sample.index in repeats:
        return Result("rejected", "repeated_uuid")
    facts = {"chars": len(sample.thinking), "lines": sample.thinking.count("\n") + 1, ROW: row_hash(sample)}
    return Result("ok", files={f"{sample.index}.txt": sample.thinking + "\n"}, facts=facts, value=sample)


def collected(candidates: Sequence[Candidate], *, keep_wrong: bool = False) -> tuple[list[Sample], Counter[str]]:
    """Return the samples that would be collected, and how many rows would not, by reason."""
    repeats = repeated(candidates)
    results = [collect(candidate, repeats, keep_wrong=keep_wrong) for candidate in candidates]
    lost = Counter(str(result.reason) for result in results if result.outcome != "ok")
    return [result.value for result in results if result.outcome == "ok"], lost


def to_task(candidate: Candidate) -> Task:
    source = digest(json.dumps(candidate.row.fields, sort_keys=True, default=str))
    return Task(str(candidate.row.index), source, candidate, candidate.sample.uuid if candidate.sample else "")


def unfit(sample: Sample, *, keep_wrong: bool) -> str | None:
    """Return the reason code if a chain must not be collected, else None."""
    if sample.correctness is False and not keep_wrong:
        return "wrong"
    if reason := unstorable([sample.thinking, sample.problem, sample.output, sample.solution]):
        return reason
    if reserved_tag(sample.thinking) or any(
        reserved_tag(part, think=False) for part in (sample.problem, sample.output)
    ):
        return "contains_markup"
    if len(sample.thinking.strip()) < MIN_CHARS:
        return "too_short"
    if "\n" not in sample.thinking.strip():  # a thread is at least a line: every call for it would be for nothing
        return "one_line"
    if repeated_share(sample.thinking) >= DEGENERATE_SHARE:
        return "looping"
    return None
