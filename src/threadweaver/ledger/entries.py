"""An entry of the ledger: a request with its reply and its cost. Its fields are declared once, here, with their
database columns, their places in the JSON form, and what an import accepts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

STATUSES = ("ok", "truncated", "incomplete", "empty", "refused")
VERDICTS = ("accepted", "repaired", "unused", "rejected")
MOST_TOKENS = 10**9  # of one reply; SQLite's sums over all replies stay within 64 bits
MOST_COST = 10**15  # nano-dollars: a million dollars for one reply
MOST_COUNT = 10**6  # turns and attempts
LATEST = 1e11  # unix time, in the year 5138

# ---- the key of a request


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted, compact, pure ASCII (so that lone surrogates have one too), 1.0 as
    1.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def request_key(request: Mapping[str, Any]) -> str:
    """Return the sha256 (hex) of the canonical request: api, model, messages, params, attempt, and nothing else."""
    return key_of(canonical(request))


def key_of(text: str) -> str:
    """Return the key of a request that is in canonical form already."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


# ---- what an import accepts: each check returns the value, or raises ValueError

Check = Callable[[str, Any], Any]


def _whole(most: int) -> Check:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise ValueError(f"its {name} is not a whole number from 0 to {most}")
        return value

    return check


def _or_none(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def _one_of(known: tuple[str, ...]) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in known:
            raise ValueError(f"its {name} is none of {', '.join(known)}")
        return value

    return check


def _time(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise ValueError(f"its {name} is not a unix time")
    return float(value)


def _text(name: str, value: Any) -> str:
    """Any text; it is stored packed."""
    if not isinstance(value, str):
        raise ValueError(f"its {name} is not a text")
    return value


def _column_text(name: str, value: Any) -> str:
    """Text of a column, where SQLite accepts no lone surrogates."""
    _text(name, value).encode("utf-8")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"its {name} is not an object")
    canonical(value)
    return value


def _request(name: str, value: Any) -> str:
    """A request, in canonical form."""
    if not isinstance(value["params"], dict):
        raise ValueError(f"the params of its {name} are not an object")
    for message in value["messages"]:
        if not (isinstance(message, list) and len(message) == 2 and all(isinstance(part, str) for part in message)):
            raise ValueError(f"a message of its {name} is not [role, text]")
    return canonical(value)


# ---- the fields


@dataclass(frozen=True)
class Stored:
    """How a field is kept: the type of its column, its place in the JSON form ("": none), and the check of an import.
    `optional`: may be None, and absent in the JSON form; `packed`: compressed, with its size in a column beside it.
    """

    sql: str
    place: str
    check: Check
    optional: bool
    packed: bool


def _stored(sql: str, place: str = "", check: Check = _column_text, *, packed: bool = False, **default: Any) -> Any:
    return field(metadata={"stored": Stored(sql, place, check, "default" in default, packed)}, **default)


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """A reply with its request and what it cost. `cost` is in nano-dollars (None: no price known), times are unix.

    `base` is the key of the same request at attempt 0. `status` is ok, truncated, incomplete, empty or refused;
    `verdict` (one of VERDICTS) is what became of it, `why` a code. `tier` is default, flex, batch or the like.
    """

    key: str = _stored("BLOB NOT NULL UNIQUE", "key")
    base: str = _stored("BLOB NOT NULL")
    attempt: int = _stored("INTEGER NOT NULL", "request.attempt", _whole(MOST_COUNT))
    api: str = _stored("TEXT NOT NULL", "request.api")
    model: str = _stored("TEXT NOT NULL", "request.model")
    stage: str = _stored("TEXT NOT NULL", "stage")
    turn: int = _stored("INTEGER NOT NULL", "turn", _whole(MOST_COUNT))
    request: str = _stored("BLOB NOT NULL", "request", _request, packed=True)
    reply: str = _stored("BLOB NOT NULL", "reply", _text, packed=True)
    status: str = _stored("TEXT NOT NULL", "status", _one_of(STATUSES))
    finish: str = _stored("TEXT NOT NULL", "finish")
    extra: Mapping[str, Any] | None = _stored("TEXT", "extra", _object, default=None)
    input: int = _stored("INTEGER NOT NULL", "tokens.input", _whole(MOST_TOKENS))
    cached: int = _stored("INTEGER NOT NULL", "tokens.cached", _whole(MOST_TOKENS))
    output: int = _stored("INTEGER NOT NULL", "tokens.output", _whole(MOST_TOKENS))
    reasoning: int = _stored("INTEGER NOT NULL", "tokens.reasoning", _whole(MOST_TOKENS))
    cost: int | None = _stored("INTEGER", "cost_nano_usd", _or_none(_whole(MOST_COST)))
    tier: str = _stored("TEXT NOT NULL", "tier")
    imported: bool = _stored("INTEGER NOT NULL DEFAULT 0", default=False)
    sent: float = _stored("REAL NOT NULL", "sent", _time)
    done: float = _stored("REAL NOT NULL", "done", _time)
    verdict: str | None = _stored("TEXT", "verdict", _one_of(VERDICTS), default=None)
    why: str | None = _stored("TEXT", "why", default=None)
    judged: float | None = _stored("REAL", "judged", _time, default=None)


FIELDS: Mapping[str, Stored] = {entry.name: entry.metadata["stored"] for entry in fields(LedgerEntry)}


# ---- an entry as a line of JSON, and back


def as_json(entry: LedgerEntry) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, stored in FIELDS.items():
        holder, _, last = stored.place.rpartition(".")
        if last and holder != "request":
            (made.setdefault(holder, {}) if holder else made)[last] = getattr(entry, name)
    return {**made, "request": json.loads(entry.request)}


def parse(line: bytes) -> LedgerEntry:
    """Return the entry of a line. What comes from outside is believed only as far as it was checked: raises ValueError,
    whose text says what is wrong, for anything that the ledger would not have written itself.
    """
    try:
        return _from_json(json.loads(line.decode("utf-8"), parse_constant=_not_a_number))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is missing or of the wrong kind ({error!r})") from error


def _from_json(value: Any) -> LedgerEntry:
    values = {name: _checked(value, stored) for name, stored in FIELDS.items() if stored.place}
    if key_of(values["request"]) != values["key"]:
        raise ValueError("its key does not belong to its request")
    if values["cached"] > values["input"] or values["reasoning"] > values["output"]:
        raise ValueError("a part of its tokens is more than the whole")
    return LedgerEntry(**values, base=request_key({**value["request"], "attempt": 0}), imported=True)


def _checked(value: Any, stored: Stored) -> Any:
    *holders, last = stored.place.split(".")
    for holder in holders:
        value = value[holder]
    if stored.optional and value.get(last) is None:
        return None
    return stored.check(last, value[last])


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is not a number")
