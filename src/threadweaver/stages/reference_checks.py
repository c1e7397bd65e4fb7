"""Whether the column of the reference answers can be what it is taken for, judged by the first chains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from threadweaver import grading
from threadweaver.corpus.references import is_prose
from threadweaver.corpus.values import clip
from threadweaver.errors import UserError

if TYPE_CHECKING:
    from threadweaver.stages.collecting import Candidate

FIRST = 200
"""Graded chains that decide."""
FEWEST = 5
"""Fewer chains than this decide nothing: one that disagrees is then a disagreement and no more."""


class ReferenceChecks:
    """Watches the first chains: disagreements with marks that say right, references in prose, wrong ones without marks."""

    def __init__(self, path: Path, trusted: bool):
        self.path, self.trusted = path, trusted
        self.marked = self.disagreeing = self.unmarked = self.wrong = self.references = self.prose = 0
        self.examples: list[str] = []
        self.done = False

    def add(self, found: Sequence[Candidate]) -> None:
        """Count a batch of graded candidates; raises UserError when the references are probably not the answers."""
        if self.done or self.trusted:
            return
        for candidate in found:
            if candidate.sample is not None and candidate.sample.solution not in ("", None, []):
                self._count(candidate)
        self.done = True
        if self.prose * 2 > self.references:
            self._refuse(f"{self.prose} of {self.references} reference answers are sentences")
        if self.marked >= FEWEST and self.disagreeing * 2 > self.marked:
            self._refuse(
                f"{self.disagreeing} of {self.marked} chains that are marked right disagree with the reference"
            )
        if self.unmarked >= FEWEST and self.wrong * 2 > self.unmarked:
            print(
                f"{self.path}: {self.wrong} of the first {self.unmarked} chains without a mark are graded wrong "
                f"({'; '.join(self.examples)}): if the reference is another column, name it with --map reference=COLUMN",
                file=sys.stderr,
            )

    def _count(self, candidate: Candidate) -> None:
        sample = candidate.sample
        self.references += 1
        prose = isinstance(sample.solution, str) and is_prose(sample.solution)
        self.prose += prose
        verdict = sample.extra["graded"]
        if verdict in ("correct", "wrong"):
            self.marked += sample.correctness is True
            self.disagreeing += sample.correctness is True and verdict == "wrong"
            self.unmarked += sample.correctness is None
            self.wrong += sample.correctness is None and verdict == "wrong"
        if len(self.examples) < 3 and (prose or (verdict == "wrong" and sample.correctness is not False)):
            answer = grading.final_answer(sample.output) or grading.final_answer(sample.thinking)
            self.examples.append(f"{clip(sample.solution, 40)!r} for {clip(answer, 30)!r}")

    def _refuse(self, why: str) -> None:
        raise UserError(
            f"{self.path}: {why}, so the column of the references is probably not the answer (e.g. "
            f"{'; '.join(self.examples)}): name it with --map reference=COLUMN, or continue with --trust-reference"
        )
