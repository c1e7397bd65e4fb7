"""What the replies of a ledger say about the calls that are still to come."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
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
    rows = db.execute(
        "SELECT stage, turn, model, count(*), sum(request_bytes), sum(reply_bytes), sum(input), sum(cached), "
        "sum(output), sum(reasoning) FROM replies WHERE ?1 IS NULL OR model = ?1 "
        "GROUP BY stage, turn, model ORDER BY stage, turn, model",
        (model,),
    ).fetchall()
    return [Ratio(*row) for row in rows]


def verdicts(db: sqlite3.Connection) -> Mapping[tuple[str, str, str], int]:
    rows = db.execute(
        "SELECT stage, coalesce(verdict, ''), coalesce(why, ''), count(*) FROM replies "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    return {(stage, verdict, why): count for stage, verdict, why, count in rows}
