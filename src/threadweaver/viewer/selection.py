"""One query of the list, answered by SQLite: which samples pass, in which order, and what they have in common."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from threadweaver.runs.statistics import Bins
from threadweaver.viewer import database
from threadweaver.viewer.table import FACETS, KEPT, MEANS, NAMES, Query, Row

KEPT_ROWS = f"f_outcome IN ({', '.join(repr(outcome) for outcome in KEPT)})"
"""The condition of the samples that the stages passed on."""
_REVIEW = "coalesce((SELECT verdict FROM temp.verdicts WHERE verdicts.id = samples.id), 'none')"
_LOWEST_CHAR = 0x100
"""The character that stands for the first bin of a histogram."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What does not depend on a query: the bins of every measure, and the values of every facet with their counts."""

    count: int
    bins: Mapping[str, Bins]
    facets: Mapping[str, Mapping[tuple[str, ...], int]]
    """By facet its combinations of values, the most frequent first."""
    counts: Mapping[str, Sequence[int]]
    """By measure the counts of its bins."""
    of_units: dict = field(default_factory=dict)
    """The bins and counts of the statistics, filled as they are asked for; see `distributions`."""

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Extent:
        facets = {}
        for name in FACETS:
            if name != "review":
                query = f"SELECT f_{name}, count(*) FROM samples GROUP BY 1 ORDER BY 2 DESC, 1"
                facets[name] = {database.values_of(value): number for value, number in connection.execute(query)}
        found = {name: bins_of(connection, f"m_{name}", "samples") for name in NAMES}
        bins = {name: item for name, item in found.items() if item and len(item) > 1}
        number = connection.execute("SELECT count(*) FROM samples").fetchone()[0]
        return cls(number, bins, facets, counts_in(bins, connection.execute(f"SELECT {chars_of(bins)} FROM samples")))


def bins_of(connection: sqlite3.Connection, value: str, source: str) -> Bins | None:
    """Return the bins of an expression's values in a table; None where it has none."""
    known = f"FROM {source} WHERE {value} IS NOT NULL"
    about = f"SELECT count(*), min({value}), max({value}), max({value} != CAST({value} AS INTEGER)) {known}"
    number, low, high, fractions = connection.execute(about).fetchone()
    if not number:
        return None
    at = {"at": Bins.usual_rank(number)}
    usual = connection.execute(f"SELECT {value} {known} ORDER BY 1 LIMIT 1 OFFSET :at", at).fetchone()[0]
    return Bins.between(low, usual, high, number, whole=not fractions)


def chars_of(bins: Mapping[str, Bins]) -> str:
    """Return SQL for one text per measure, a character per row that says its bin.

    Counting these takes two thirds of the time of a GROUP BY per measure: the rows are read once.
    """
    return ", ".join(chars_of_one(f"m_{name}", item) for name, item in bins.items()) or "count(*)"


def chars_of_one(value: str, bins: Bins) -> str:
    number = f"CAST(({value} - {bins.low!r}) / {bins.width!r} AS INTEGER)"
    return f"group_concat(char({_LOWEST_CHAR} + min({len(bins) - 1}, {number})), '')"


def counts_of(bins: Bins, chars: str | None) -> list[int]:
    return [(chars or "").count(chr(_LOWEST_CHAR + at)) for at in range(len(bins))]


def counts_in(bins: Mapping[str, Bins], found: sqlite3.Cursor) -> dict[str, list[int]]:
    """Return the counts of the bins in the answer to a query of `chars_of`."""
    return {name: counts_of(item, chars) for (name, item), chars in zip(bins.items(), found.fetchone(), strict=False)}


class Selection:
    """The samples that pass every filter of a query, and for each filter those that pass all others."""

    def __init__(self, connection: sqlite3.Connection, extent: Extent, query: Query, verdicts: Mapping[str, str]):
        """`verdicts` are accept, reject or note by sample id."""
        self.connection, self.extent, self.query, self.verdicts = connection, extent, query, verdicts
        self._values: dict[str, object] = {}
        self._conditions: dict[str, str] = {}
        connection.execute("CREATE TEMP TABLE verdicts (id TEXT PRIMARY KEY, verdict TEXT)")
        kept = ((database.clean(id), verdict) for id, verdict in verdicts.items())
        connection.executemany("INSERT OR IGNORE INTO temp.verdicts VALUES (?, ?)", kept)
        self._narrow()

    def _narrow(self) -> None:
        """Turn the query into one SQL condition per filter."""
        query = self.query
        if query.ids is not None:
            self._conditions["ids"] = self._one_of("id", [database.clean(id) for id in query.ids])
        if query.text.strip():
            database.find(self.connection, query.text)
            self._conditions["text"] = "at IN temp.found"
        for name, (low, high) in query.ranges.items():
            ends = [f"m_{name} IS NOT NULL"]
            for sign, bound in ((">=", low), ("<=", high)):
                if bound is not None:
                    ends.append(f"m_{name} {sign} {self._value(bound)}")
            self._conditions[name] = " AND ".join(ends)
        for name, wanted in query.facets.items():
            if name == "review":
                self._conditions[name] = self._one_of(_REVIEW, sorted(wanted))
                continue
            combinations = [values for values in self.extent.facets[name] if not wanted.isdisjoint(values)]
            self._conditions[name] = self._one_of(f"f_{name}", [database.joined(values) for values in combinations])

    def _value(self, value: object) -> str:
        name = f"v{len(self._values)}"
        self._values[name] = value
        return f":{name}"

    def _one_of(self, column: str, values: Sequence[str]) -> str:
        return f"{column} IN ({', '.join(map(self._value, values))})"

    def _where(self, without: str = "") -> str:
        """Return the condition of the rows that pass all filters except one."""
        return " AND ".join(f"({sql})" for name, sql in self._conditions.items() if name != without) or "1"

    def select(self, what: str, rest: str = "", *, without: str = "", source: str = "samples") -> sqlite3.Cursor:
        """Run SELECT `what` over the rows that pass, all filters or all but one; `rest` follows the condition."""
        return self.connection.execute(f"SELECT {what} FROM {source} WHERE {self._where(without)} {rest}", self._values)

    def count(self) -> int:
        return self.select("count(*)").fetchone()[0]

    def ids(self) -> list[str]:
        """Return the ids of the rows that pass, in the order of the query."""
        return [id for (id,) in self.select("id", self._order())]

    def _order(self) -> str:
        """Return the ORDER BY; rows without the measure come last in both directions."""
        name, way = self.query.sort, "DESC" if self.query.descending else "ASC"
        if name in NAMES:
            return f"ORDER BY m_{name} IS NULL, m_{name} {way}, place"
        if name in FACETS:
            return f"ORDER BY {_REVIEW if name == 'review' else f'f_{name}'} {way}, place"
        return f"ORDER BY place {way}"

    def rows(self, offset: int, limit: int) -> list[Row]:
        chosen = self.select("at", f"{self._order()} LIMIT {int(limit)} OFFSET {int(offset)}").fetchall()
        return [row for (at,) in chosen if (row := database.row_at(self.connection, at))]

    def totals(self) -> dict:
        """Return the totals of the rows that pass.

        Averaged are those that the stages kept, as in the stage's own statistics, or all where none was kept; rows
        without measures (malformed markup) are counted only. The cost is that of all.
        """
        count, kept, cost = self.select(f"count(*), total({KEPT_ROWS}), total(m_cost)").fetchone()
        total, longest = (f"m_{name}" for name in NAMES[:2])
        means = ", ".join(f"avg(m_{name})" for name in MEANS)
        what = f"count({total}), total(estimated), total({total}), total({longest}), {means}"
        measured, estimated, tokens, path, *averages = self.select(what, f"AND {KEPT_ROWS}" if kept else "").fetchone()
        return {
            "count": count,
            "of": self.extent.count,
            "measured": measured,
            "kept": int(kept),
            "estimated": int(estimated),
            "means": dict(zip(MEANS, averages, strict=True)),
            "tokens": tokens,
            "speedup": tokens / path if path else None,
            "cost": cost,
        }

    def histograms(self) -> dict[str, dict]:
        """Return by measure its bins, and their counts over all rows and over those that pass the other filters."""
        bins, everything = self.extent.bins, self.extent.counts
        chosen = everything
        if self._conditions:
            free = {name: item for name, item in bins.items() if name not in self._conditions}
            chosen = counts_in(free, self.select(chars_of(free)))
            for name in bins.keys() - free.keys():
                one = {name: bins[name]}
                alone = self._conditions.keys() == {name}
                chosen[name] = (
                    everything[name] if alone else counts_in(one, self.select(chars_of(one), without=name))[name]
                )
        return {name: {**bins[name].to_json(), "all": everything[name], "chosen": chosen[name]} for name in bins}

    def facet_counts(self) -> dict[str, list[tuple[str, int]]]:
        """Return by facet its values, the most frequent first, each with how many of its rows pass the other filters."""
        return {name: self._reviewed() if name == "review" else self._valued(name) for name in FACETS}

    def _valued(self, name: str) -> list[tuple[str, int]]:
        passing = self.extent.facets[name]
        if self._conditions.keys() - {name}:
            found = self.select(f"f_{name}, count(*)", "GROUP BY 1", without=name)
            passing = {database.values_of(value): number for value, number in found}
        counts: Counter[str] = Counter()
        for values in self.extent.facets[name]:
            counts.update({value: passing.get(values, 0) for value in values if value})
        return list(counts.items())

    def _reviewed(self) -> list[tuple[str, int]]:
        if not self.verdicts:
            return [("none", self.select("count(*)", without="review").fetchone()[0])]
        passing = dict(self.select(f"{_REVIEW}, count(*)", "GROUP BY 1", without="review").fetchall())
        everything = self.connection.execute(f"SELECT {_REVIEW}, count(*) FROM samples GROUP BY 1 ORDER BY 2 DESC")
        return [(verdict, passing.get(verdict, 0)) for verdict, _ in everything]
