"""Requests for the list: read from the address, answered from the table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from threadweaver.viewer import database, pieces
from threadweaver.viewer.indexing import Indexer
from threadweaver.viewer.reviews import Reviews
from threadweaver.viewer.table import FACETS, MEASURES, Query, Row, Selection

PAGE, MAX_PAGE = 60, 200
SORTS = ("id", *FACETS, *MEASURES)
_BEFORE, _AFTER = 28, 90
"""Characters before and after a hit in the text."""


def read_query(params: Mapping[str, str], facet_values) -> Query:
    """Return the query of an address: `sort`, `dir`, `<facet>=a` (repeatable), `<measure>=low..high`. Raises ValueError."""
    ranges = {name: _range(params[name]) for name in MEASURES if name in params}
    facets = {name: frozenset(facet_values(name)) for name in FACETS if name in params}
    sort = params.get("sort", "id")
    if sort not in SORTS:
        raise ValueError(f"sort must be one of {', '.join(SORTS)}")
    return Query(ranges, facets, sort, params.get("dir") == "desc")


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
    """Answers requests for the list; the results of a search are kept until the index changes."""

    def __init__(self, indexer: Indexer, reviews: Reviews):
        self.indexer, self.reviews = indexer, reviews
        self._documents = lru_cache(maxsize=64)(self._search)

    def _search(self, generation: int, match: str) -> tuple[int, ...]:
        return tuple(self.indexer.db.search(match))

    def selection(self, text: str, query: Query) -> Selection:
        table, generation = self.indexer.table, self.indexer.generation
        found: bytes | None = None
        if text.strip():
            match = database.match_expression(text)
            found = table.find(text, self._documents(generation, match) if match else ())
        return table.select(query, found, self.reviews.verdicts())

    def page(self, text: str, query: Query, offset: int, limit: int) -> dict:
        """Return `limit` rows from `offset` on; the first page also has totals, facets and histograms."""
        selection = self.selection(text, query)
        order = selection.order()
        verdicts = self.reviews.verdicts()
        rows = [selection.table.rows[at] for at in order[offset : offset + limit]]
        words = hit_words(text)
        result = {
            "generation": self.indexer.generation,
            "count": len(order),
            "offset": offset,
            "rows": [self.row(row, verdicts.get(row.id, ""), words) for row in rows],
        }
        if offset == 0:
            result |= {"totals": selection.table.summary(selection.mask), "facets": selection.facet_counts()}
            result |= {"histograms": selection.histograms()}
        return result

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
            "estimated": row.estimated,
            "values": row.values,
            "shape": json.loads(row.shape),
            "review": review,
            "hit": hit,
        }

    def neighbours(self, id: str, text: str, query: Query) -> dict:
        """Return the samples before and after this one in the list, and its place, None if it is not in the list."""
        selection = self.selection(text, query)
        order = selection.order()
        at = selection.table.at.get(id)
        place = order.index(at) if at in order else None
        ids = [selection.table.rows[position].id for position in order[:1]] if place is None else []
        if place is not None:
            before = selection.table.rows[order[place - 1]].id if place else None
            after = selection.table.rows[order[place + 1]].id if place + 1 < len(order) else None
            return {"place": place + 1, "count": len(order), "previous": before, "next": after}
        return {"place": None, "count": len(order), "previous": None, "next": ids[0] if ids else None}


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
