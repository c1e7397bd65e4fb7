"""One piece of evidence, and what counts as certain."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENT = 0.6
"""From this score on a leak is taken for certain: the two passages are not independent."""

NEGLIGIBLE = 0.05


@dataclass(frozen=True, slots=True)
class Leak:
    """One piece of evidence that passage `target` uses mathematics of passage `source` (indices from 0).

    `kind` is symbol, number, value, application, relation, expression, label, results or equation. `defined_at` is an
    offset in the source passage, `used_at` one in the target passage. `score` is in [0, 1].
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
