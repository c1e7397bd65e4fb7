"""One piece of evidence, and what counts as certain."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENT = 0.7
"""From this score on a leak is taken for certain: the two passages are not independent."""

MATHEMATICAL = frozenset({"symbol", "number", "value", "application", "relation", "expression", "label"})
"""Evidence that a passage holds mathematics of the other; other kinds are wording, which rewriting can mend."""

NEGLIGIBLE = 0.05


@dataclass(frozen=True, slots=True)
class Leak:
    """One piece of evidence that passage `target` leans on passage `source` (indices from 0).

    `defined_at` is an offset in the source passage, `used_at` one in the target passage.
    `score` is in [0, 1].
    """

    source: int
    target: int
    kind: str
    what: str
    defined_at: int
    used_at: int
    score: float

    @property
    def certain(self) -> bool:
        return self.score >= CONFIDENT
