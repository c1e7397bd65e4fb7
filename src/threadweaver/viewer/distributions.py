"""The statistics of a selection by sample, block and thread: the numbers of stage 5, in the bins of its PNGs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from threadweaver.runs.statistics import Bins
from threadweaver.trajectory.measures import PUBLISHED, PUBLISHED_SPEEDUP
from threadweaver.viewer.selection import KEPT_ROWS, Selection, bins_of, chars_of_one, counts_of
from threadweaver.viewer.table import BLOCK_MEASURES, MEASURES, NAMES, THREAD_MEASURES

MOST_POINTS = 20_000
"""Of a scatter plot: of more, every so many-th is drawn."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted: samples, blocks or threads. `keys` name one of them in a CSV file."""

    source: str
    prefix: str
    measures: Mapping[str, tuple[str, str]]
    keys: tuple[str, ...]


UNITS = {
    "sample": Unit("samples", "m_", MEASURES, ("id", "uuid", "f_outcome", "f_reason", "f_answer")),
    "block": Unit("samples JOIN blocks USING (at)", "", BLOCK_MEASURES, ("id", "uuid", "block")),
    "thread": Unit("samples JOIN threads USING (at)", "", THREAD_MEASURES, ("id", "uuid", "block", "thread")),
}


def distributions(selection: Selection, unit: Unit) -> dict:
    """Return the mean, deviation, extremes and histogram of every measure over the units that pass.

    As in the totals, the samples that the stages kept count, or all where none was kept. The bins, and the counts `all`
    in them, are those of all such samples, whatever the filters are.
    """
    totals = selection.totals()
    rest = f"AND {KEPT_ROWS}" if totals["kept"] else ""
    found = []
    for name, (label, measured_in) in unit.measures.items():
        column = unit.prefix + name
        moments = _moments(selection, unit, column, rest)
        if not moments["count"]:
            continue
        bins, everything = _of_all(selection, unit, column, rest)
        chosen = selection.select(chars_of_one(column, bins), rest, source=unit.source).fetchone()[0]
        counts = {"all": everything, "chosen": counts_of(bins, chosen)}
        about = {"name": name, "label": label, "unit": measured_in}
        published = PUBLISHED.get(name) if unit.prefix else None
        found.append({**about, "published": published, **moments, **bins.to_json(), **counts})
    number = selection.select("count(*)", rest, source=unit.source).fetchone()[0]
    return {"totals": totals, "count": number, "published_speedup": PUBLISHED_SPEEDUP, "measures": found}


def _of_all(selection: Selection, unit: Unit, column: str, rest: str) -> tuple[Bins, list[int]]:
    """Return the bins of a column and their counts, whatever the filters are; they are found once per extent."""
    known = selection.extent.of_units
    key = unit.source, column, rest
    if key not in known:
        source = f"(SELECT {column} FROM {unit.source} WHERE 1 {rest})"
        bins = bins_of(selection.connection, column, source)
        chars = selection.connection.execute(f"SELECT {chars_of_one(column, bins)} FROM {source}").fetchone()[0]
        known[key] = bins, counts_of(bins, chars)
    return known[key]


def _moments(selection: Selection, unit: Unit, column: str, rest: str) -> dict:
    """Return count, mean, population standard deviation and extremes of a column."""
    what = f"count({column}), avg({column}), min({column}), max({column})"
    count, mean, low, high = selection.select(what, rest, source=unit.source).fetchone()
    spread = 0.0
    if count:
        square = f"avg(({column} - {mean!r}) * ({column} - {mean!r}))"
        spread = sqrt(selection.select(square, rest, source=unit.source).fetchone()[0])
    return {"count": count, "mean": mean, "std": spread, "min": low, "max": high}


def points(selection: Selection, x: str, y: str) -> dict:
    """Return id, x, y and outcome of the samples that pass and have both measures; raises ValueError for another name."""
    for name in (x, y):
        if name not in NAMES:
            raise ValueError(f"a measure must be one of {', '.join(NAMES)}")
    rest = f"AND m_{x} IS NOT NULL AND m_{y} IS NOT NULL"
    number = selection.select("count(*)", rest).fetchone()[0]
    step = -(-number // MOST_POINTS) or 1
    found = selection.select(f"id, m_{x}, m_{y}, f_outcome", f"{rest} ORDER BY place").fetchall()[::step]
    return {"count": number, "points": found}


def as_csv(selection: Selection, unit: Unit) -> str:
    """Return every unit that passes as a line of CSV, in the order of the list."""
    columns = [*unit.keys, *(unit.prefix + name for name in unit.measures)]
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([*(key.removeprefix("f_") for key in unit.keys), *unit.measures])
    order = ", ".join(("place", *unit.keys[2:])) if unit.prefix == "" else "place"
    for row in selection.select(", ".join(columns), f"ORDER BY {order}", source=unit.source):
        lines.writerow([_harmless(value) if isinstance(value, str) else value for value in row])
    return out.getvalue()


def _harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
