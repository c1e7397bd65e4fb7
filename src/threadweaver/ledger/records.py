"""Requests as keys, and replies as rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from threadweaver.ledger.bulk import select_in, write_rows
from threadweaver.ledger.schema import Unreadable

LONG = 1024  # bytes from which a message is stored once and referred to


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted, compact, pure ASCII (so that lone surrogates have one too), 1.0
    as 1.
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
    """sha256 (hex) of the canonical request: api, model, messages, params, attempt, and nothing else."""
    return key_of(canonical(request))


def key_of(text: str) -> str:
    """The key of a request that is in canonical form already."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class LedgerEntry:
    """A reply with its request and what it cost. `cost` is in nano-dollars (None: no price known), times are
    unix.

    `base` is the key of the same request at attempt 0. `status` is ok, truncated, empty or refused;
    `verdict` (accepted, repaired, rejected) is what became of it, `why` a code. `tier` is default, flex,
    batch or the like.
    """

    key: str
    base: str
    attempt: int
    api: str
    model: str
    stage: str
    turn: int
    request: str
    reply: str
    status: str
    finish: str
    input: int
    cached: int
    output: int
    reasoning: int
    cost: int | None
    tier: str
    sent: float
    done: float
    extra: Mapping[str, Any] | None = None
    verdict: str | None = None
    why: str | None = None
    judged: float | None = None
    imported: bool = False


COLUMNS = (
    "key, base, attempt, api, model, stage, turn, request, reply, status, finish, input, cached, output, "
    "reasoning, cost, tier, sent, done, extra, verdict, why, judged, imported"
)


def pack(text: str) -> bytes:
    """UTF-8, compressed where that pays; the first byte says which. Level 1: level 6 takes 3 times as long
    for 7 %.
    """
    raw = text.encode("utf-8", "surrogatepass")
    small = zlib.compress(raw, 1) if len(raw) >= LONG else raw
    return b"z" + small if len(small) < len(raw) else b"-" + raw


def unpack(blob: bytes) -> str:
    raw = zlib.decompress(blob[1:]) if blob[:1] == b"z" else blob[1:]
    return raw.decode("utf-8", "surrogatepass")


@dataclass
class Texts:
    """Puts long messages into `texts`, each once; remembers what it has put there."""

    known: set[bytes] = field(default_factory=set)
    fresh: set[bytes] = field(default_factory=set)

    def store(self, text: str, new: dict[bytes, bytes]) -> tuple[bytes, int]:
        """The canonical request as it is stored, and the bytes of its messages; texts to insert go into
        `new`.
        """
        request = json.loads(text)
        size = 0
        for message in request["messages"]:
            raw = message[1].encode("utf-8", "surrogatepass")
            size += len(raw)
            if len(raw) >= LONG:
                digest = hashlib.sha256(raw).digest()
                if digest not in self.known and digest not in new:
                    new[digest] = pack(message[1])
                message[1] = {"sha256": digest.hex()}
        return pack(json.dumps(request, separators=(",", ":"))), size

    def insert(self, db: sqlite3.Connection, new: Mapping[bytes, bytes]) -> None:
        write_rows(db, "INSERT OR IGNORE INTO texts", list(new.items()))
        self.fresh = set(new)

    def keep(self) -> None:
        """After the commit, and not before: what is rolled back must be put there again."""
        if len(self.known) > 50_000:
            self.known.clear()
        self.known |= self.fresh
        self.fresh = set()


def load_request(db: sqlite3.Connection, blob: bytes) -> str:
    """The canonical request again, byte for byte. Raises Unreadable."""
    with _damage_told("a request"):
        request = json.loads(unpack(blob))
        for message in request["messages"]:
            if isinstance(message[1], dict):
                row = db.execute(
                    "SELECT body FROM texts WHERE sha256 = ?", (bytes.fromhex(message[1]["sha256"]),)
                ).fetchone()
                message[1] = unpack(row[0])
        return canonical(request)


@contextlib.contextmanager
def _damage_told(what: str) -> Iterator[None]:
    try:
        yield
    except (zlib.error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{what} in it cannot be read") from error


def insert(db: sqlite3.Connection, records: Sequence[LedgerEntry], texts: Texts) -> set[bytes]:
    """Stores what is new and returns those keys; a request that was answered before keeps its first reply."""
    keys = [bytes.fromhex(record.key) for record in records]
    there = {row[0] for row in select_in(db, "SELECT key FROM replies WHERE key", keys)}
    new_texts: dict[bytes, bytes] = {}
    rows: dict[bytes, tuple[Any, ...]] = {}
    for key, record in zip(keys, records, strict=True):
        if key not in there and key not in rows:
            rows[key] = _row(key, record, *texts.store(record.request, new_texts))
    texts.insert(db, new_texts)
    write_rows(db, f"INSERT INTO replies ({COLUMNS}, request_bytes, reply_bytes)", list(rows.values()))
    return set(rows)


def _row(key: bytes, record: LedgerEntry, request: bytes, size: int) -> tuple[Any, ...]:
    extra = None if record.extra is None else canonical(record.extra)
    return (
        key,
        bytes.fromhex(record.base),
        record.attempt,
        record.api,
        record.model,
        record.stage,
        record.turn,
        request,
        pack(record.reply),
        record.status,
        record.finish,
        record.input,
        record.cached,
        record.output,
        record.reasoning,
        record.cost,
        record.tier,
        record.sent,
        record.done,
        extra,
        record.verdict,
        record.why,
        record.judged,
        int(record.imported),
        size,
        len(record.reply.encode("utf-8", "surrogatepass")),
    )


def read(db: sqlite3.Connection, row: tuple[Any, ...], *, with_request: bool = False) -> LedgerEntry:
    """A row of `COLUMNS`; the request's text is left empty unless it is asked for (replays do not
    need it). Raises Unreadable.
    """
    key, base, attempt, api, model, stage, turn, request, reply, status, finish, *usage = row
    n_in, cached, n_out, reasoning, cost, tier, sent, done, extra, verdict, why, judged, imported = usage
    text = load_request(db, request) if with_request else ""
    with _damage_told("a reply"):
        if with_request and key_of(text) != key.hex():
            raise ValueError("its key does not belong to its request")
        return LedgerEntry(
            key.hex(),
            base.hex(),
            attempt,
            api,
            model,
            stage,
            turn,
            text,
            unpack(reply),
            status,
            finish,
            n_in,
            cached,
            n_out,
            reasoning,
            cost,
            tier,
            sent,
            done,
            json.loads(extra) if extra else None,
            verdict,
            why,
            judged,
            bool(imported),
        )
