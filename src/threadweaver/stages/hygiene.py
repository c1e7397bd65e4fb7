"""What is left out of a source whatever its chains are worth, and when a source is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from threadweaver.corpus.contamination import Benchmarks
from threadweaver.corpus.duplicates import Seen
from threadweaver.errors import UserError
from threadweaver.runs.flags import allowed_failures
from threadweaver.samples import Sample

if TYPE_CHECKING:
    from threadweaver.stages.collecting import Candidate, CollectOptions


class Faults:
    """Counts the malformed rows, and refuses a source that has more than are allowed."""

    def __init__(self, max_failed: str, limit: int, batch: int):
        self.max_failed, self.limit, self.batch = max_failed, limit, batch
        self.found: list[str] = []
        self.read = 0

    def add(self, rows: Sequence[list[Candidate]], rest: Iterator[object]) -> None:
        """Count the malformed ones among some rows; the `rest` is counted, too, when there are too many."""
        self.read += len(rows)
        self.found += [found[0].detail for found in rows if found and found[0].reason == "malformed"]
        few = len(rows) < self.batch
        if len(self.found) > allowed_failures(self.max_failed, self.read if few else self.limit):
            self.read += sum(1 for _ in rest)
            self._refuse()

    def close(self) -> None:
        if len(self.found) > allowed_failures(self.max_failed, self.read):
            self._refuse()

    def _refuse(self) -> None:
        raise UserError(
            f"{self.found[0]} ({len(self.found)} malformed of {self.read}): fix it, or collect the rest with "
            f"--max-failed {len(self.found)}"
        )


class Hygiene:
    """Leaves out rows that repeat a uuid or a problem, and problems of benchmarks."""

    def __init__(self, options: CollectOptions):
        self.uuids: set[int] = set()
        self.problems = Seen() if options.dedupe else None
        self.benchmarks = Benchmarks.of_files(options.benchmark) if options.benchmark else None

    def __call__(self, found: list[Candidate]) -> list[Candidate]:
        """Return the chains of a row, with a reason for those that are left out."""
        samples = [candidate.sample for candidate in found if candidate.sample]
        if not samples:
            return found
        fault = self._fault(samples[0], any(not candidate.reason for candidate in found))
        if fault is None:
            return found
        reason, detail = fault
        return [
            candidate if candidate.reason else replace(candidate, reason=reason, detail=detail) for candidate in found
        ]

    def _fault(self, sample: Sample, kept: bool) -> tuple[str, str] | None:
        given = sample.extra.get("source_uuid", sample.uuid)
        if hash(given) in self.uuids:
            return "repeated_uuid", ""
        self.uuids.add(hash(given))
        if self.benchmarks and kept and (name := self.benchmarks.find(sample.problem)):
            return "contaminated", name
        if (
            self.problems
            and kept
            and (first := self.problems.add(sample.problem, str(sample.index))) != str(sample.index)
        ):
            return "duplicate_problem", f"of row {first}"
        return None
