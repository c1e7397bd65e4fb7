"""Requests for the list: read from the address, answered from the index."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from threadweaver.viewer import distributions, pieces
from threadweaver.viewer.indexing import Indexer
from threadweaver.viewer.reviews import Reviews
from threadweaver.viewer.selection import Extent, Selection
from threadweaver.viewer.table import FACETS, MEASURES, Query, Row

PAGE, MAX_PAGE = 60, 200
SORTS = ("id", *FACETS, *MEASURES)
MAX_TEXT = 400
"""Characters of a search that count."""
_BEFORE, _AFTER = 28, 90
"""Characters before and after a hit in the text."""


def read_query(params: Mapping[str, str], facet_values) -> Query:
    """Return the query of an address: `sort`, `dir`, `q`, `<facet>=a` (repeatable), `<measure>=low..high`.

    Raises ValueError.
    """
    ranges = {name: _range(params[name]) for name in MEASURES if name in params}
    facets = {name: frozenset(facet_values(name)) for name in FACETS if name in params}
    sort = params.get("sort", "id")
    if sort not in SORTS:
        raise ValueError(f"sort must be one of {', '.join(SORTS)}")
    return Query(ranges, facets, sort, params.get("dir") == "desc", params.get("q", "")[:MAX_TEXT])


def _range(text: str) -> tuple[float | None, float | None]:
    low, dots, high = text.partition("..")
    if not dots:
        raise ValueError("a range must be low..high")
    bounds = tuple(float(bound) if bound else None for bound in (low, high))
    if any(bound is not None and not math.isfinite(bound) for bound in bounds):
        raise ValueError("a range must have finite ends")
    return bounds


def page_bounds(params: Mapping[str, str]) -> tuple[int, int]:
    """Return offset and limit, within bounds. Raises ValueError."""
    offset, limit = (params.get("offset", "0"), params.get("limit", str(PAGE)))
    if len(offset) > 9 or len(limit) > 9:
        raise ValueError("offset and limit are too large")
    return max(0, int(offset)), min(MAX_PAGE, max(1, int(limit)))


class Lists:
    """Answers requests for the list; what does not depend on the request is kept until the index changes."""

    def __init__(self, indexer: Indexer, reviews: Reviews):
        self.indexer, self.reviews = indexer, reviews
        self._extent: tuple[int, Extent] | None = None

    @contextmanager
    def selection(self, query: Query) -> Iterator[Selection]:
        """Open the index as it is now and select from it."""
        generation = self.indexer.generation
        with self.indexer.db.connect() as connection:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("BEGIN")  # all statements see the same commit
            if self._extent is None or self._extent[0] != generation:
                self._extent = generation, Extent.of(connection)
            yield Selection(connection, self._extent[1], query, self.reviews.verdicts())

    def page(self, query: Query, offset: int, limit: int) -> dict:
        """Return `limit` rows from `offset` on; the first page also has totals, facets and histograms."""
        generation = self.indexer.generation
        with self.selection(query) as selection:
            count, rows = selection.count(), selection.rows(offset, limit)
            about = {}
            if offset == 0:
                about = {"totals": selection.totals(), "facets": selection.facet_counts()}
                about |= {"histograms": selection.histograms()}
        words = hit_words(query.text)
        shown = [self.row(row, selection.verdicts.get(row.id, ""), words) for row in rows]
        return {"generation": generation, "count": count, "offset": offset, "rows": shown, **about}

    def distributions(self, query: Query, by: str) -> dict:
        with self.selection(query) as selection:
            return distributions.distributions(selection, _unit(by))

    def points(self, query: Query, x: str, y: str) -> dict:
        """Return the points of a scatter plot; filters by its own two measures are left to the page."""
        ranges = {name: ends for name, ends in query.ranges.items() if name not in (x, y)}
        with self.selection(replace(query, ranges=ranges)) as selection:
            return distributions.points(selection, x, y)

    def csv(self, query: Query, by: str) -> str:
        with self.selection(query) as selection:
            return distributions.as_csv(selection, _unit(by))

    def ids(self, query: Query) -> list[str]:
        with self.selection(query) as selection:
            return selection.ids()

    def totals(self, ids: Sequence[str]) -> dict:
        with self.selection(Query(ids=ids)) as selection:
            return selection.totals()

    def row(self, row: Row, review: str, words: Sequence[str]) -> dict:
        hit = None
        if words and not all(word in row.problem.lower() for word in words):
            hit = snippet(self.indexer.text(row.id), words)
        return {
            "id": row.id,
            "uuid": row.uuid,
            "problem": row.problem,
            "title": title(row.problem),
            "stage": row.stage,
            "outcome": row.outcome,
            "reason": row.reason,
            "answer": row.answer,
            "labels": row.labels,
            "estimated": row.estimated,
            "values": row.values,
            "shape": row.plan,
            "review": review,
            "hit": hit,
        }

    def neighbours(self, id: str, query: Query) -> dict:
        """Return the samples before and after this one in the list, and its place, None if it is not in the list;
        how many are reviewed, and the next one that is not (`open`), from the beginning again after the last."""
        ids, verdicts = self.ids(query), self.reviews.verdicts()
        done = {other for other in ids if verdicts.get(other) in ("accept", "reject")}
        at = ids.index(id) if id in ids else -1
        following = [*ids[at + 1 :], *ids[: max(at, 0)]]
        return {
            "place": at + 1 or None,
            "count": len(ids),
            "previous": ids[at - 1] if at > 0 else None,
            "next": ids[at + 1] if at + 1 < len(ids) else None,
            "reviewed": len(done),
            "open": next((other for other in following if other not in done), None),
        }


def _unit(by: str) -> distributions.Unit:
    if by not in distributions.UNITS:
        raise ValueError(f"by must be one of {', '.join(distributions.UNITS)}")
    return distributions.UNITS[by]


def hit_words(text: str) -> list[str]:
    """Return the words of a search that are marked in a row."""
    return re.findall(r"\w+", text.lower())[:12]


def title(problem: str) -> list:
    """Return the beginning of a problem as pieces, with display formulas inline."""
    found = pieces.split(problem)
    return [
        {key: value for key, value in piece.items() if key != "d"} if isinstance(piece, dict) else piece
        for piece in found
    ]


def snippet(text: str, words: Sequence[str]) -> list[str] | None:
    """Return the text around the first place where the words are adjacent, or else any of them: before, words, after."""
    lowered = text.lower()
    if not words or len(lowered) != len(text):  # a few letters change their length, and so all offsets
        return None
    start, found = lowered.find(" ".join(words)), " ".join(words)
    if start < 0:
        start, found = min(((at, word) for word in words if (at := lowered.find(word)) >= 0), default=(-1, ""))
    if start < 0:
        return None
    end = start + len(found)
    before, after = text[max(0, start - _BEFORE) : start], text[end : end + _AFTER]
    lead, tail = "…" if start > _BEFORE else "", "…" if end + _AFTER < len(text) else ""
    return [lead + " ".join(before.split("\n")), text[start:end], " ".join(after.split("\n")) + tail]
