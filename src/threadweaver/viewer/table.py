"""The columns of the list, one row of it, and a query of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from threadweaver.files import to_json

MEASURES = {
    "total_num_tokens": ("tokens", "tok"),
    "num_tokens_in_the_longest_thread": ("critical path", "tok"),
    "acceleration_ratio": ("acceleration ratio", "%"),
    "parallel_ratio": ("parallel ratio", "%"),
    "parallel_count": ("blocks", ""),
    "avg_threads_per_parallel_block": ("threads per block", ""),
    "avg_thread_length": ("thread length", "tok"),
    "avg_tokens_per_parallel_block": ("block length", "tok"),
    "avg_outlines_block_length": ("outlines length", "tok"),
    "avg_conclusion_block_length": ("conclusion length", "tok"),
    "training_length": ("training length", "tok"),
    "strongest_leak": ("strongest leak", ""),
    "leaks": ("leaks", ""),
    "saved_tokens": ("tokens saved", "tok"),
    "settled": ("values already settled", "%"),
    "after_answer": ("blocks after the answer", ""),
    "lines": ("lines", ""),
    "chars": ("characters", ""),
    "edits": ("edits", ""),
    "calls": ("calls", ""),
    "cost": ("cost", "$"),
}
"""Label and unit by name, in the order of the page. A new one also needs its value in `describe.measured`."""
NAMES = tuple(MEASURES)
FACETS = {
    "outcome": "Outcome",
    "reason": "Reason",
    "later": "Later stages",
    "answer": "Answer",
    "kind": "Kind of blocks",
    "novelty": "Novelty of blocks",
    "review": "Review",
}
"""Title by name of the columns of few values. A new one also needs its values of each row, in `Row.labels`."""
MALFORMED = "malformed"
"""The outcome of a sample that a stage passed on, but whose text is not a trajectory."""
MEANS = NAMES[:5]
"""The measures whose means are shown above the list."""
BLOCK_MEASURES = {
    "length": ("tokens in threads", "tok"),
    "threads": ("threads", ""),
    "longest": ("longest thread", "tok"),
    "saved": ("tokens saved", "tok"),
}
THREAD_MEASURES = {"length": ("tokens", "tok"), "share": ("share of the longest thread", "%")}
"""Label and unit by name, of each block and of each thread. Their tokens are shares of the sample's by characters."""
KEPT = ("ok", "unchanged")
"""The outcomes of samples that a stage passed on."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sample of the list. `values` are in the order of NAMES (None: not known); `stage` decided the outcome."""

    id: str
    uuid: str
    problem: str
    stage: str
    outcome: str
    reason: str
    answer: str
    """right, wrong or unknown."""
    estimated: bool
    values: Sequence[float | None]
    shape: str
    """The plan of the text as JSON; see gauge.shape."""
    place: str = ""
    """The stage whose text is shown."""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The values of further facets by their names; a sample may have several of one facet."""

    @property
    def blocks(self) -> list[list[int]]:
        """The characters of every thread, by block."""
        return [part for part in self.plan if isinstance(part, list)]

    @property
    def plan(self) -> list:
        return json.loads(self.shape)

    def measure(self, name: str) -> float | None:
        return self.values[NAMES.index(name)] if self.values else None

    def facet(self, name: str) -> tuple[str, ...]:
        """Return the sample's values of a facet."""
        return tuple(self.labels[name]) if name in self.labels else (str(getattr(self, name, "")),)

    def to_json(self) -> str:
        return to_json([getattr(self, name) for name in Row.__slots__])

    @classmethod
    def from_json(cls, text: str) -> Row:
        return cls(*json.loads(text))


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the list. `ranges` are (low, high) by measure, both included, None for open ends; `text` is searched."""

    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    facets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sort: str = "id"
    descending: bool = False
    text: str = ""
    ids: Sequence[str] | None = None
    """Only these samples."""
