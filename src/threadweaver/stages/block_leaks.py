"""The leaks between the threads of each block of a text: analysed once, queried in several ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from threadweaver import independence
from threadweaver.independence import Leak
from threadweaver.trajectory import markup

SUSPECTED = 0.3
"""Score from which a thread is worth a question; from `independence.CONFIDENT` on a leak counts as certain."""


@dataclass(frozen=True, slots=True)
class BlockLeaks:
    """The leaks of each block are in `blocks`, strongest first; they number threads from 0."""

    trajectory: markup.Trajectory
    problem: str
    blocks: tuple[tuple[Leak, ...], ...]

    @classmethod
    def read(cls, trajectory: markup.Trajectory, problem: str) -> BlockLeaks:
        """Analyse every block; what the problem or the text before a block introduces does not count."""
        found = (
            independence.leaks(
                f"{problem}\n\n{trajectory.text[: block.start]}", [thread.body for thread in block.threads]
            )
            for block in trajectory.blocks
        )
        return cls(trajectory, problem, tuple(map(tuple, found)))

    def suspects(self, block: int) -> dict[int, set[int]]:
        """Map each thread of a block to the siblings that it seems to depend on; all are numbered from 0."""
        found: dict[int, set[int]] = {}
        for leak in self.blocks[block]:
            if leak.score >= SUSPECTED:
                found.setdefault(leak.target, set()).add(leak.source)
        return found

    def strongest(self, threshold: float) -> dict[int, Leak]:
        """Map each block (from 1) to its strongest leak, if that reaches the threshold."""
        return {
            number: leaks[0] for number, leaks in enumerate(self.blocks, 1) if leaks and leaks[0].score >= threshold
        }

    def facts(self) -> dict[str, float]:
        """Return how many leaks are at least suspected, and the score of the strongest of all, 0 without any."""
        scores = [leak.score for leaks in self.blocks for leak in leaks]
        suspected = sum(score >= SUSPECTED for score in scores)
        return {"leaks": suspected, "strongest_leak": round(max(scores, default=0.0), 3)}

    def notes(self, threshold: float) -> list[Mapping[str, object]]:
        """Return every leak that reaches the threshold in the form of a lineage's notes: blocks and threads are
        numbered from 1, places are offsets within the two threads."""
        return [
            {
                "kind": "leak",
                "block": number,
                "source": leak.source + 1,
                "target": leak.target + 1,
                "evidence": leak.kind,
                "what": leak.what,
                "defined_at": leak.defined_at,
                "used_at": leak.used_at,
                "score": round(leak.score, 3),
            }
            for number, leaks in enumerate(self.blocks, 1)
            for leak in leaks
            if leak.score >= threshold
        ]
