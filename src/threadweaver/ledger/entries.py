"""A reply as a line of JSON, and back: what comes from outside is believed only as far as it was checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from threadweaver.ledger.records import LedgerEntry, canonical, request_key

APIS = ("responses", "chat", "completions")
STATUSES = ("ok", "truncated", "empty", "refused")
VERDICTS = ("accepted", "repaired", "rejected")
TOKENS = ("input", "cached", "output", "reasoning")
MOST_TOKENS = 10**9  # of one reply; SQLite's sums over all replies stay within 64 bits
MOST_COST = 10**15  # nano-dollars: a million dollars for one reply
MOST_COUNT = 10**6  # turns and attempts
LATEST = 1e11  # unix time, in the year 5138


def as_json(record: LedgerEntry) -> dict[str, Any]:
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


def parse(line: bytes) -> LedgerEntry:
    """The entry of a line. Raises ValueError, whose text says what is wrong, for anything that the ledger
    would not have written itself.
    """
    try:
        return from_json(json.loads(line.decode("utf-8"), parse_constant=_no_number))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from error


def from_json(entry: Any) -> LedgerEntry:
    """Raises ValueError where the entry is not one of ours, or its key is not that of its request."""
    try:
        request = entry["request"]
        _check_request(request)
        if request_key(request) != entry["key"]:
            raise ValueError("its key does not belong to its request")
        if entry.get("extra") is not None:
            if not isinstance(entry["extra"], dict):
                raise ValueError("its extra is no object")
            canonical(entry["extra"])
        tokens = [_count(entry["tokens"], name, MOST_TOKENS) for name in TOKENS]
        if tokens[1] > tokens[0] or tokens[3] > tokens[2]:
            raise ValueError("a part of its tokens is more than the whole")
        return LedgerEntry(
            entry["key"],
            request_key({**request, "attempt": 0}),
            request["attempt"],
            request["api"],
            request["model"],
            _text(entry, "stage"),
            _count(entry, "turn", MOST_COUNT),
            canonical(request),
            _reply(entry["reply"]),
            _one_of(entry["status"], STATUSES, "status"),
            _text(entry, "finish"),
            *tokens,
            None if entry["cost_nano_usd"] is None else _count(entry, "cost_nano_usd", MOST_COST),
            _text(entry, "tier"),
            _time(entry, "sent"),
            _time(entry, "done"),
            entry.get("extra"),
            None if entry.get("verdict") is None else _one_of(entry["verdict"], VERDICTS, "verdict"),
            None if entry.get("why") is None else _text(entry, "why"),
            None if entry.get("judged") is None else _time(entry, "judged"),
            imported=True,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is missing or of the wrong kind ({error!r})") from error


def _check_request(request: Any) -> None:
    _one_of(request["api"], APIS, "api")
    _text(request, "model")
    _count(request, "attempt", MOST_COUNT)
    if not isinstance(request["params"], dict):
        raise ValueError("its params are no object")
    for message in request["messages"]:
        if not (isinstance(message, list) and len(message) == 2 and all(isinstance(part, str) for part in message)):
            raise ValueError("a message of its request is not [role, text]")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _count(holder: Mapping[str, Any], name: str, most: int) -> int:
    value = holder[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"its {name} is no whole number from 0 to {most}")
    return value


def _time(holder: Mapping[str, Any], name: str) -> float:
    value = holder[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise ValueError(f"its {name} is no unix time")
    return float(value)


def _text(holder: Mapping[str, Any], name: str) -> str:
    """Text of a column: SQLite takes no lone surrogates there."""
    value = holder[name]
    if not isinstance(value, str):
        raise ValueError(f"its {name} is no text")
    value.encode("utf-8")
    return value


def _reply(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("its reply is no text")
    return value


def _one_of(value: Any, known: tuple[str, ...], name: str) -> str:
    if value not in known:
        raise ValueError(f"its {name} is none of {', '.join(known)}")
    return value
