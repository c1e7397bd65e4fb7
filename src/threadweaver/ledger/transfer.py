"""Ledgers as JSONL: one person's paid replies rebuild another's dataset, without a key.

A line holds the whole request, the reply, its tokens and price, and the verdict. Lines are in the order of
their keys, so that the same replies give the same bytes.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from threadweaver.errors import UserError
from threadweaver.ledger import Ledger
from threadweaver.ledger.records import COLUMNS, Record, Texts, canonical, insert, read, request_key

GROUP = 256
TOKENS = ("input", "cached", "output", "reasoning")


def export(ledger: Ledger, path: Path) -> int:
    """Writes all replies to `path` (in place only when complete) and returns how many."""
    part = path.with_name(f".{path.name}.part")
    count = 0
    with open(part, "w", encoding="utf-8", newline="") as file:
        for records in _pages(ledger):
            file.writelines(canonical(as_json(record)) + "\n" for record in records)
            count += len(records)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    return count


def _pages(ledger: Ledger) -> Iterator[list[Record]]:
    last = b""
    while True:

        def look(db: sqlite3.Connection, after: bytes = last) -> list[Record]:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM replies WHERE key > ? ORDER BY key LIMIT ?", (after, GROUP)
            ).fetchall()
            return [read(db, row, with_request=True) for row in rows]

        records = ledger.thread.call(look, write=False)
        if not records:
            return
        yield records
        last = bytes.fromhex(records[-1].key)


def as_json(record: Record) -> dict[str, Any]:
    return {
        "key": record.key,
        "request": json.loads(record.request),
        "reply": record.reply,
        "status": record.status,
        "finish": record.finish,
        "extra": record.extra,
        "tokens": {name: getattr(record, name) for name in TOKENS},
        "cost_nano_usd": record.cost,
        "tier": record.tier,
        "stage": record.stage,
        "turn": record.turn,
        "sent": record.sent,
        "done": record.done,
        "verdict": record.verdict,
        "why": record.why,
        "judged": record.judged,
    }


def from_json(entry: Mapping[str, Any]) -> Record:
    """Raises ValueError where the entry is not one of ours, or its key is not that of its request."""
    try:
        request = entry["request"]
        if request_key(request) != entry["key"]:
            raise ValueError("its key does not belong to its request")
        texts = [entry[name] for name in ("reply", "status", "finish", "tier", "stage")]
        tokens = [entry["tokens"][name] for name in TOKENS]
        if not all(isinstance(text, str) for text in texts) or not all(
            isinstance(n, int) for n in (*tokens, entry["turn"])
        ):
            raise ValueError("a field has the wrong type")
        return Record(
            entry["key"],
            request_key({**request, "attempt": 0}),
            request["attempt"],
            request["api"],
            request["model"],
            entry["stage"],
            entry["turn"],
            canonical(request),
            entry["reply"],
            entry["status"],
            entry["finish"],
            *tokens,
            entry["cost_nano_usd"],
            entry["tier"],
            float(entry["sent"]),
            float(entry["done"]),
            entry.get("extra"),
            entry.get("verdict"),
            entry.get("why"),
            entry.get("judged"),
            imported=True,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is missing or of the wrong kind ({error!r})") from error


def load(ledger: Ledger, path: Path) -> tuple[int, int]:
    """Takes in the lines of `path`: (new, already there). Nothing that was there is changed, nothing counts
    as spent.

    Raises UserError that names the first line that is no entry; what stands before it is in, so that a
    mended file can be given again.
    """
    new = known = 0
    group: list[Record] = []

    def flush() -> None:
        nonlocal new, known
        added = ledger.thread.call(lambda db: len(insert(db, group, Texts())))
        new, known = new + added, known + len(group) - added
        group.clear()

    for number, line in _lines(path):
        try:
            group.append(from_json(json.loads(line)))
        except ValueError as error:
            if group:
                flush()
            raise UserError(
                f"line {number} of {path} is no ledger entry ({error}): mend or remove it and import again; "
                f"the {number - 1} lines before it are in"
            ) from error
        if len(group) >= GROUP:
            flush()
    if group:
        flush()
    return new, known


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: give a file that a ledger export wrote") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
