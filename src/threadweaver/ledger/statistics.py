"""Sums over the replies of a ledger: the basis for estimates of further calls."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Sums over the replies of one stage and turn: divide what you need by what you know."""

    stage: str
    turn: int
    model: str
    calls: int
    request_bytes: int
    reply_bytes: int
    input: int
    cached: int
    output: int
    reasoning: int


def ratios(db: sqlite3.Connection, model: str | None) -> list[Ratio]:
    """Return the sums by stage, turn and model. Imported replies are no measurement: who knows what made them."""
    rows = db.execute(
        "SELECT stage, turn, model, count(*), sum(request_bytes), sum(reply_bytes), sum(input), sum(cached), "
        "sum(output), sum(reasoning) FROM replies WHERE NOT imported AND (?1 IS NULL OR model = ?1) "
        "GROUP BY stage, turn, model ORDER BY stage, turn, model",
        (model,),
    ).fetchall()
    return [Ratio(*row) for row in rows]
