"""Two runs side by side: which samples are in both, and what differs between them."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from threadweaver.viewer import database
from threadweaver.viewer.queries import Lists, title
from threadweaver.viewer.selection import KEPT_ROWS, bins_of, chars_of_one, counts_of
from threadweaver.viewer.table import MEANS, MEASURES, NAMES, Row

SIDES = ("one", "two")
FIRST_MEASURE = "acceleration_ratio"
SORTS = ("id", "change", "size")
"""By number, by the second's measure minus the first's, or by the size of that difference."""
_JOINED = "pairs LEFT JOIN one.samples AS a ON a.at = pairs.one LEFT JOIN two.samples AS b ON b.at = pairs.two"


@dataclass(frozen=True, slots=True)
class Question:
    """A query of the joined list. `measure` is the one whose change is filtered and sorted by."""

    measure: str = FIRST_MEASURE
    facets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sort: str = "id"
    descending: bool = False
    text: str = ""

    @property
    def change(self) -> str:
        return f"(b.m_{self.measure} - a.m_{self.measure})"

    def columns(self) -> dict[str, str]:
        """Return the SQL of each facet's value of a pair."""
        name = f"m_{self.measure}"
        return {
            "where": "CASE WHEN b.at IS NULL THEN 'one' WHEN a.at IS NULL THEN 'two' ELSE 'both' END",
            "outcomes": "coalesce(a.f_outcome, '–') || ' → ' || coalesce(b.f_outcome, '–')",
            "change": f"CASE WHEN b.{name} > a.{name} THEN 'higher' WHEN b.{name} < a.{name} THEN 'lower' "
            f"WHEN a.{name} = b.{name} THEN 'same' ELSE '' END",
            "reviews": f"{_review('a')} || ' → ' || {_review('b')}",
        }


def _review(side: str) -> str:
    return f"coalesce((SELECT verdict FROM verdicts_{side} AS kept WHERE kept.id = {side}.id), 'none')"


def read_question(params: Mapping[str, str], values) -> Question:
    """Return the question of an address: `measure`, `sort`, `dir`, `q`, and the facets. Raises ValueError."""
    measure, sort = params.get("measure", FIRST_MEASURE), params.get("sort", "id")
    if measure not in NAMES or sort not in SORTS:
        raise ValueError(f"measure must be one of {', '.join(NAMES)}, sort one of {', '.join(SORTS)}")
    names = ("where", "outcomes", "change", "reviews")
    facets = {name: frozenset(values(name)) for name in names if name in params}
    return Question(measure, facets, sort, params.get("dir") == "desc", params.get("q", "")[:400])


class Comparison:
    """Two indexes, opened together; the pairs are made again when one of them changes."""

    def __init__(self, one: Lists, two: Lists):
        self.lists = {"one": one, "two": two}
        self._lock = threading.Lock()
        self._made: tuple | None = None
        self._connection: sqlite3.Connection | None = None

    def page(self, question: Question, offset: int, limit: int) -> dict:
        """Return `limit` pairs from `offset` on; the first page also has the facets and both runs' figures."""
        with self._asked(question) as pairs:
            result = {"count": pairs.count(), "offset": offset, "rows": pairs.rows(offset, limit)}
            if offset == 0:
                result |= {"facets": pairs.facets(), "figures": {side: pairs.figures(side) for side in SIDES}}
        return result

    def distributions(self, question: Question) -> dict:
        with self._asked(question) as pairs:
            return {"measures": list(pairs.distributions())}

    def neighbours(self, question: Question, one: str, two: str) -> dict:
        """Return the pairs before and after this one, each as the ids in both runs, and its place."""
        with self._asked(question) as pairs:
            listed = pairs.ids()
        found = (one or None, two or None)
        at = listed.index(found) if found in listed else None
        before, after = (listed[at - 1] if at else None), (listed[at + 1 : at + 2] if at is not None else listed[:1])
        place = at + 1 if at is not None else None
        return {"place": place, "count": len(listed), "previous": before, "next": after[0] if after else None}

    @contextmanager
    def _asked(self, question: Question) -> Iterator[Pairs]:
        with self._lock:
            try:
                yield Pairs(self._opened(), question)
            except sqlite3.Error:  # an index was removed or is being rebuilt: the next question opens both again
                self.close()
                raise

    def _opened(self) -> sqlite3.Connection:
        state = tuple((lists.indexer.generation, str(lists.indexer.db.path)) for lists in self.lists.values())
        if self._connection is None or self._made != state:
            self.close()
            self._connection = _joined({side: lists.indexer.db.path for side, lists in self.lists.items()})
            self._made = state
        self._connection.execute("BEGIN")
        for name, lists in zip("ab", self.lists.values(), strict=True):
            self._connection.execute(f"DELETE FROM verdicts_{name}")
            rows = ((database.clean(id), verdict) for id, verdict in lists.reviews.verdicts().items())
            self._connection.executemany(f"INSERT OR IGNORE INTO verdicts_{name} VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _joined(paths: Mapping[str, Path]) -> sqlite3.Connection:
    """Open both indexes in one connection, with the table of their pairs."""
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA temp_store = MEMORY")
    for side, path in paths.items():
        connection.execute(f"ATTACH DATABASE ? AS {side}", (str(path),))
    connection.execute("CREATE TABLE pairs (place TEXT, one INTEGER, two INTEGER)")
    for name in "ab":
        connection.execute(f"CREATE TABLE verdicts_{name} (id TEXT PRIMARY KEY, verdict TEXT)")
    sides = [connection.execute(f"SELECT at, id, uuid, place FROM {side}.samples").fetchall() for side in SIDES]
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", paired(*sides))
    connection.execute("COMMIT")
    return connection


def paired(one: list[tuple], two: list[tuple]) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield place and document numbers of every pair, None where a side has none.

    Two samples are a pair if they have the same uuid, and no other sample of either side has it, or else the same id.
    """
    counts = [Counter(uuid for _, _, uuid, _ in side if uuid) for side in (one, two)]

    def key(sample: tuple) -> tuple[str, str]:
        uuid = sample[2]
        return ("uuid", uuid) if uuid and counts[0][uuid] == counts[1][uuid] == 1 else ("id", sample[1])

    waiting = {key(sample): sample for sample in two}
    for sample in one:
        other = waiting.pop(key(sample), None)
        yield sample[3], sample[0], other[0] if other else None
    for at, _, _, place in waiting.values():
        yield place, None, at


class Pairs:
    """The pairs that pass every filter of a question."""

    def __init__(self, connection: sqlite3.Connection, question: Question):
        self.connection, self.question = connection, question
        self._columns = question.columns()
        self._values: dict[str, object] = {}
        self._conditions = {name: self._one_of(name, wanted) for name, wanted in question.facets.items()}
        if question.text.strip():
            for side in SIDES:
                database.find(connection, question.text, side, f"found_{side}")
            self._conditions["text"] = "pairs.one IN temp.found_one OR pairs.two IN temp.found_two"

    def _one_of(self, name: str, wanted: Iterable[str]) -> str:
        names = []
        for value in sorted(wanted):
            names.append(f":v{len(self._values)}")
            self._values[names[-1][1:]] = value
        return f"{self._columns[name]} IN ({', '.join(names)})"

    def _select(self, what: str, rest: str = "", *, without: str = "", into: str = "") -> sqlite3.Cursor:
        where = " AND ".join(f"({sql})" for name, sql in self._conditions.items() if name != without) or "1"
        return self.connection.execute(f"{into}SELECT {what} FROM {_JOINED} WHERE {where} {rest}", self._values)

    def count(self) -> int:
        return self._select("count(*)").fetchone()[0]

    def ids(self) -> list[tuple[str | None, str | None]]:
        return self._select("a.id, b.id", self._order()).fetchall()

    def _order(self) -> str:
        way = "DESC" if self.question.descending else "ASC"
        if self.question.sort == "id":
            return f"ORDER BY pairs.place {way}"
        change = self.question.change if self.question.sort == "change" else f"abs{self.question.change}"
        return f"ORDER BY {change} IS NULL, {change} {way}, pairs.place"

    def rows(self, offset: int, limit: int) -> list[dict]:
        chosen = self._select("pairs.one, pairs.two", f"{self._order()} LIMIT {int(limit)} OFFSET {int(offset)}")
        return [self._row(one, two) for one, two in chosen.fetchall()]

    def _row(self, one: int | None, two: int | None) -> dict:
        sides = {
            side: database.row_at(self.connection, at, side) if at is not None else None
            for side, at in zip(SIDES, (one, two), strict=True)
        }
        known = [row for row in sides.values() if row]
        values = [row.measure(self.question.measure) if row else None for row in sides.values()]
        change = values[1] - values[0] if None not in values else None
        problem = next((row.problem for row in known if row.problem), "")
        uuid = next((row.uuid for row in known if row.uuid), "")
        shown = {side: _shown(row) for side, row in sides.items()}
        return {"uuid": uuid, "title": title(problem), "change": change, **shown}

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """Return by facet its values, the most frequent first, with how many pairs pass the other filters."""
        found = {}
        for name, column in self._columns.items():
            query = f"SELECT {column}, count(*) FROM {_JOINED} GROUP BY 1 ORDER BY 2 DESC, 1"
            passing = dict(self._select(f"{column}, count(*)", "GROUP BY 1", without=name).fetchall())
            found[name] = [(value, passing.get(value, 0)) for value, _ in self.connection.execute(query) if value]
        return found

    def _kept(self, side: str) -> str:
        """Return the condition of what counts of one side: what its stages kept, or all where that is none."""
        alias = "a" if side == "one" else "b"
        kept = KEPT_ROWS.replace("f_outcome", f"{alias}.f_outcome")
        any_kept = self._select("count(*)", f"AND {kept}").fetchone()[0]
        return f"AND {kept}" if any_kept else f"AND {alias}.at IS NOT NULL"

    def figures(self, side: str) -> dict:
        """Return one run's figures over the pairs that pass, as in the totals of its list."""
        alias = "a" if side == "one" else "b"
        count, cost = self._select(f"count({alias}.at), total({alias}.m_cost)").fetchone()
        total, longest = (f"{alias}.m_{name}" for name in NAMES[:2])
        means = ", ".join(f"avg({alias}.m_{name})" for name in MEANS)
        what = f"count(*), total({alias}.estimated), total({total}), total({longest}), {means}"
        kept, estimated, tokens, path, *averages = self._select(what, self._kept(side)).fetchone()
        speedup = tokens / path if path else None
        about = {"count": count, "kept": kept, "estimated": int(estimated), "speedup": speedup, "cost": cost}
        return about | {"means": dict(zip(MEANS, averages, strict=True))}

    def distributions(self) -> Iterator[dict]:
        """Yield by measure the bins over both runs, each run's counts in them and its mean."""
        self._gather()
        for name, (label, unit) in MEASURES.items():
            bins = bins_of(self.connection, f"m_{name}", "temp.measured")
            if bins is None or len(bins) < 2:
                continue
            about = {"name": name, "label": label, "unit": unit, **bins.to_json(), "counts": {}, "means": {}}
            for side in SIDES:
                query = f"SELECT avg(m_{name}), {chars_of_one(f'm_{name}', bins)} FROM temp.measured WHERE side = ?"
                mean, chars = self.connection.execute(query, (side,)).fetchone()
                about["means"][side], about["counts"][side] = mean, counts_of(bins, chars)
            yield about

    def _gather(self) -> None:
        """Fill `temp.measured` with the measures of both runs' samples that count."""
        self.connection.execute("DROP TABLE IF EXISTS temp.measured")
        columns = [f"m_{name}" for name in NAMES]
        self.connection.execute(f"CREATE TEMP TABLE measured (side TEXT, {', '.join(columns)})")
        for side, alias in zip(SIDES, "ab", strict=True):
            what = ", ".join([f"'{side}'", *(f"{alias}.{column}" for column in columns)])
            self._select(what, self._kept(side), into="INSERT INTO temp.measured ")


def _shown(row: Row | None) -> dict | None:
    if row is None:
        return None
    names = ("id", "outcome", "reason", "values", "estimated")
    return {name: getattr(row, name) for name in names} | {"shape": row.plan}
