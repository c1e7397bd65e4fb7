"""The list in memory: filter, sort, count and average tens of thousands of samples in a few milliseconds.

Columns are plain lists and a mask is one byte per row, because importing an array library takes longer than all queries
of a session.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from math import ceil, inf

from threadweaver.files import to_json
from threadweaver.samples import sample_key

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
    "lines": ("lines", ""),
    "chars": ("characters", ""),
    "edits": ("edits", ""),
    "calls": ("calls", ""),
    "cost": ("cost", "$"),
}
"""Label and unit by name, in the order of the page. A new one also needs its value in `describe.measured`."""
NAMES = tuple(MEASURES)
FACETS = {"outcome": "Outcome", "reason": "Reason", "answer": "Answer", "review": "Review"}
"""Title by name of the columns of few values. A new one also needs its values of each row, in `Row.labels`."""
BINS = 36
MEANS = NAMES[:5]
"""The measures whose means are shown above the list."""
KEPT = ("ok", "unchanged")
"""The outcomes of samples that a stage passed on."""
_UNKNOWN = 255
"""The bin of a row without the measure."""
_ONE_VALUE = ("outcome", "reason", "answer")
_POSITION = {name: at for at, name in enumerate(NAMES)}


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

    def facet(self, name: str) -> tuple[str, ...]:
        """Return the sample's values of a facet."""
        return (getattr(self, name),) if name in _ONE_VALUE else tuple(self.labels.get(name, ()))

    def to_json(self) -> str:
        return to_json([getattr(self, name) for name in Row.__slots__])

    @staticmethod
    def all_from_json(texts: Sequence[str]) -> list[Row]:
        """Parse rows in batches of 1,000: twice as fast as one by one, and requests are answered in between."""
        rows = []
        for at in range(0, len(texts), 1000):
            rows += [Row(*fields) for fields in json.loads(f"[{','.join(texts[at : at + 1000])}]")]
        return rows


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the list. `ranges` are (low, high) by measure, both included, None for open ends."""

    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    facets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sort: str = "id"
    descending: bool = False


class Table:
    """An immutable snapshot of all samples, in the order of their numbers."""

    def __init__(self, rows: Sequence[Row], docs: Mapping[str, int]):
        self.rows = sorted(rows, key=lambda row: sample_key(row.id))
        self.at = {row.id: at for at, row in enumerate(self.rows)}
        self.docs = [docs.get(row.id, -1) for row in self.rows]
        self.columns = {name: [row.values[at] for row in self.rows] for name, at in _POSITION.items()}
        self.facets = {name: Facet.of([row.facet(name) for row in self.rows]) for name in FACETS if name != "review"}
        self.everything = b"\1" * len(self.rows)
        self._estimated = int.from_bytes(bytes([row.estimated for row in self.rows]))
        self._kept = bytes([row.outcome in KEPT for row in self.rows])
        self._ids = [(row.id.lower(), row.uuid.lower()) for row in self.rows]
        self._all_ids = "\n".join(f"{id}\n{uuid}" for id, uuid in self._ids)

    @cached_property
    def bins(self) -> dict[str, tuple[list[float], bytes, list[int]]]:
        """By measure: the edges of its histogram, the bin of every row, the count of every bin.

        Measures with one value only are left out.
        """
        found = {}
        for name, column in self.columns.items():
            edges = _edges(column)
            if edges:
                inner = edges[1:-1]
                bins = bytes([_UNKNOWN if value is None else bisect_right(inner, value) for value in column])
                found[name] = edges, bins, [bins.count(at) for at in range(len(edges) - 1)]
        return found

    @cached_property
    def highest(self) -> dict[str, float]:
        """The highest value by measure: the last bin of a histogram may end below it."""
        known = {name: [value for value in column if value is not None] for name, column in self.columns.items()}
        return {name: max(values) for name, values in known.items() if values}

    def find(self, text: str, docs: Iterable[int]) -> bytes:
        """Return the mask of rows with these documents, or with the text as id or in their uuid."""
        known = frozenset(docs)
        needle = text.strip().lower()
        found = bytes([doc in known for doc in self.docs])
        if not needle or needle not in self._all_ids:
            return found
        named = bytes([needle == id or (len(needle) > 2 and needle in uuid) for id, uuid in self._ids])
        return (int.from_bytes(found) | int.from_bytes(named)).to_bytes(len(found))

    def select(self, query: Query, found: bytes | None, reviews: Mapping[str, str]) -> Selection:
        verdicts = Facet((("none",),), bytes(len(self.rows)))
        if reviews:
            verdicts = Facet.of([(reviews.get(row.id, "none"),) for row in self.rows])
        facets = self.facets | {"review": verdicts}
        masks: dict[str, bytes] = {} if found is None else {"search": found}
        for name, (low, high) in query.ranges.items():
            low, high = (-inf if low is None else low), (inf if high is None else high)
            masks[name] = bytes([value is not None and low <= value <= high for value in self.columns[name]])
        for name, wanted in query.facets.items():
            masks[name] = facets[name].mask(wanted)
        return Selection(self, query, masks, facets)

    def select_ids(self, ids: Iterable[str]) -> bytes:
        """Return the mask of these rows."""
        wanted = frozenset(ids)
        return bytes([row.id in wanted for row in self.rows])

    def summary(self, chosen: bytes) -> dict:
        """Return the totals of the chosen rows.

        Averaged are those that the stages kept, as in the stage's own statistics, or all where none was kept; rows
        without measures (malformed markup) are counted only. The cost is that of all.
        """
        kept = (int.from_bytes(self._kept) & int.from_bytes(chosen)).to_bytes(len(chosen))
        averaged = kept if any(kept) else chosen
        total, longest = (self._chosen(name, averaged) for name in NAMES[:2])
        return {
            "count": sum(chosen),
            "of": len(self.rows),
            "measured": len(total),
            "kept": sum(kept),
            "estimated": (self._estimated & int.from_bytes(averaged)).bit_count(),
            "means": {name: _mean(self._chosen(name, averaged)) for name in MEANS},
            "tokens": sum(total),
            "speedup": sum(total) / sum(longest) if sum(longest) else None,
            "cost": sum(self._chosen("cost", chosen)),
        }

    def _chosen(self, name: str, chosen: bytes) -> list[float]:
        return [value for value in compress(self.columns[name], chosen) if value is not None]


@dataclass(frozen=True, slots=True)
class Facet:
    """A column of few values: their combinations, the most frequent first, and one byte per row that says which."""

    labels: tuple[tuple[str, ...], ...]
    codes: bytes

    @classmethod
    def of(cls, values: Sequence[tuple[str, ...]]) -> Facet:
        labels = tuple(label for label, _ in Counter(values).most_common(_UNKNOWN))
        code = {label: at for at, label in enumerate(labels)}
        return cls(labels, bytes([code.get(value, _UNKNOWN) for value in values]))

    def mask(self, wanted: Iterable[str]) -> bytes:
        """Return the mask of rows with one of these values."""
        wanted = frozenset(wanted)
        return self.codes.translate(
            bytes([at < len(self.labels) and not wanted.isdisjoint(self.labels[at]) for at in range(256)])
        )

    def counts(self, chosen: bytes) -> list[tuple[str, int]]:
        codes = bytes(compress(self.codes, chosen))
        counts: Counter[str] = Counter()
        for at, labels in enumerate(self.labels):
            counts.update({label: codes.count(at) for label in labels if label})
        return list(counts.items())


class Selection:
    """The rows that pass every filter, and for each filter those that pass all others."""

    def __init__(self, table: Table, query: Query, masks: dict[str, bytes], facets: dict[str, Facet]):
        self.table, self.query, self.masks, self.facets = table, query, masks, facets
        self.mask = self.without("")

    def without(self, name: str) -> bytes:
        """Return the mask of rows that pass all filters except this one."""
        passing = int.from_bytes(self.table.everything)
        for other, mask in self.masks.items():
            if other != name:
                passing &= int.from_bytes(mask)
        return passing.to_bytes(len(self.table.rows))

    def order(self) -> list[int]:
        """Return the positions of the rows that pass, sorted; rows without the measure come last in both directions."""
        chosen = list(compress(range(len(self.table.rows)), self.mask))
        name, down = self.query.sort, self.query.descending
        if name in self.facets:
            facet = self.facets[name]
            rank = {
                at: place for place, at in enumerate(sorted(range(len(facet.labels)), key=facet.labels.__getitem__))
            }
            return sorted(chosen, key=lambda at: rank.get(facet.codes[at], _UNKNOWN), reverse=down)
        if name not in _POSITION:
            return chosen[::-1] if down else chosen
        column = self.table.columns[name]
        known = [at for at in chosen if column[at] is not None]
        return sorted(known, key=column.__getitem__, reverse=down) + [at for at in chosen if column[at] is None]

    def histograms(self) -> dict[str, dict]:
        """Return by measure the edges, and the counts of all rows and of those that pass the other filters."""
        result = {}
        for name, (edges, bins, everything) in self.table.bins.items():
            mask = self.without(name) if name in self.masks else self.mask
            chosen = everything
            if mask != self.table.everything:
                passing = bytes(compress(bins, mask))
                chosen = [passing.count(at) for at in range(len(edges) - 1)]
            result[name] = {"edges": edges, "highest": self.table.highest[name], "all": everything, "chosen": chosen}
        return result

    def facet_counts(self) -> dict[str, list[tuple[str, int]]]:
        """Return by facet its values, the most frequent first, each with how many of its rows pass the other filters."""
        return {name: facet.counts(self.without(name)) for name, facet in self.facets.items()}


def _edges(column: Sequence[float | None]) -> list[float] | None:
    """Return at most BINS + 1 edges. The last bin holds the highest half percent, so that an outlier does not flatten the
    rest; a few whole numbers get one bin each.
    """
    known = sorted(value for value in column if value is not None)
    if not known or known[0] == known[-1]:
        return None
    low, high = known[0], known[ceil(0.995 * (len(known) - 1))]
    if high <= low:
        high = known[-1]
    if high - low <= BINS - 1 and all(value == int(value) for value in known):
        return [low - 0.5 + at for at in range(ceil(high - low) + 2)]
    return [_short(low + (high - low) * at / BINS) for at in range(BINS + 1)]


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
