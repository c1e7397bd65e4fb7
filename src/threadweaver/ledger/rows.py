"""Entries as rows of the database: packed, with long messages stored once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from threadweaver.ledger.bulk import select_in, write_rows
from threadweaver.ledger.entries import FIELDS, LedgerEntry, canonical, key_of
from threadweaver.ledger.schema import Unreadable

KEY_BYTES = 32
LONG = 1024  # bytes from which a message is stored once and referred to

COLUMNS = ", ".join(FIELDS)
WRITTEN = f"{COLUMNS}, {', '.join(f'{name}_bytes' for name, stored in FIELDS.items() if stored.packed)}"


def pack(text: str) -> bytes:
    """Return the text in UTF-8, compressed where that pays; the first byte says which. Level 1: level 6 takes 3 times
    as long for 7 %. Either way it has a checksum: zlib's own, or a CRC before the text.
    """
    raw = text.encode("utf-8", "surrogatepass")
    small = zlib.compress(raw, 1) if len(raw) >= LONG else raw
    return b"z" + small if len(small) < len(raw) else b"c" + _checksum(raw) + raw


def unpack(blob: bytes) -> str:
    """Return the text that was packed. Raises ValueError or zlib.error if a byte of it has changed."""
    kind, rest = blob[:1], blob[1:]
    if kind == b"z":
        raw = zlib.decompress(rest)
    elif kind == b"c":
        raw = rest[4:]
        if _checksum(raw) != rest[:4]:
            raise ValueError("its checksum differs")
    else:  # as earlier versions wrote short texts
        raw = rest
    return raw.decode("utf-8", "surrogatepass")


def _checksum(raw: bytes) -> bytes:
    return zlib.crc32(raw).to_bytes(4)


def _finite(value: Any) -> Any:
    """Return a value of JSON with None for numbers that JSON does not have: a server may send NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


@dataclass
class Texts:
    """Puts each long message into the table `texts` once, and remembers which it has put there."""

    known: set[bytes] = field(default_factory=set)
    fresh: set[bytes] = field(default_factory=set)

    def store(self, text: str, new: dict[bytes, bytes]) -> tuple[bytes, int]:
        """Return the canonical request as it is stored and the bytes of its messages; texts to insert go into `new`."""
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
        """Remember what was inserted. Only after the commit: what is rolled back has to be inserted again."""
        if len(self.known) > 50_000:
            self.known.clear()
        self.known |= self.fresh
        self.fresh = set()


def load_request(db: sqlite3.Connection, blob: bytes) -> str:
    """Return the canonical request, byte for byte. Raises Unreadable."""
    with _unreadable():
        request = json.loads(unpack(blob))
        for message in request["messages"]:
            if isinstance(message[1], dict):
                row = db.execute(
                    "SELECT body FROM texts WHERE sha256 = ?", (bytes.fromhex(message[1]["sha256"]),)
                ).fetchone()
                message[1] = unpack(row[0])
        return canonical(request)


@contextlib.contextmanager
def _unreadable(key: object = None) -> Iterator[None]:
    """Raise Unreadable for what goes wrong in the block, which reads the reply of this key, or a request."""
    try:
        yield
    except (zlib.error, ValueError, TypeError, LookupError, AttributeError, RecursionError, Unreadable) as error:
        name = key.hex() if isinstance(key, bytes) else ""
        raise Unreadable(
            f"the reply {name} in it cannot be read" if name else "a request in it cannot be read", name
        ) from error


def insert(db: sqlite3.Connection, entries: Sequence[LedgerEntry], texts: Texts) -> set[bytes]:
    """Store what is new and return its keys; a request that was answered before keeps its first reply."""
    keys = [bytes.fromhex(entry.key) for entry in entries]
    known = {row[0] for row in select_in(db, "SELECT key FROM replies WHERE key", keys)}
    new_texts: dict[bytes, bytes] = {}
    rows: dict[bytes, tuple[Any, ...]] = {}
    for key, entry in zip(keys, entries, strict=True):
        if key not in known and key not in rows:
            rows[key] = _row(entry, *texts.store(entry.request, new_texts))
    texts.insert(db, new_texts)
    write_rows(db, f"INSERT INTO replies ({WRITTEN})", list(rows.values()))
    return set(rows)


def _row(entry: LedgerEntry, request: bytes, request_bytes: int) -> tuple[Any, ...]:
    values = {
        **{name: getattr(entry, name) for name in FIELDS},
        "key": bytes.fromhex(entry.key),
        "base": bytes.fromhex(entry.base),
        "request": request,
        "reply": pack(entry.reply),
        "extra": None if entry.extra is None else canonical(_finite(entry.extra)),
        "imported": int(entry.imported),
    }
    return (*values.values(), request_bytes, len(entry.reply.encode("utf-8", "surrogatepass")))


def read(db: sqlite3.Connection, row: tuple[Any, ...], *, with_request: bool = False) -> LedgerEntry:
    """Return the entry of a row of `COLUMNS`; the request's text is left empty unless it is asked for (replays do not
    need it). Raises Unreadable.
    """
    values = dict(zip(FIELDS, row, strict=True))
    with _unreadable(values["key"]):
        request = load_request(db, values["request"]) if with_request else ""
        if with_request and key_of(request) != values["key"].hex():
            raise ValueError("its key does not belong to its request")
        values |= {
            "key": values["key"].hex(),
            "base": values["base"].hex(),
            "request": request,
            "reply": unpack(values["reply"]),
            "extra": json.loads(values["extra"]) if values["extra"] else None,
            "imported": bool(values["imported"]),
        }
        return LedgerEntry(**values)


def of_requests(db: sqlite3.Connection, beginnings: Sequence[str], *, with_request: bool) -> list[LedgerEntry]:
    """Return the replies to all attempts of the requests whose keys begin with these hexadecimal digits, in this order.

    Raises Unreadable, and ValueError for what is not hexadecimal.
    """
    query = f"SELECT {COLUMNS} FROM replies WHERE base >= ? AND base <= ? ORDER BY base, attempt"
    found: list[tuple[Any, ...]] = []
    for digits in beginnings:
        low = bytes.fromhex(digits)
        found += db.execute(query, (low, low.ljust(KEY_BYTES, b"\xff"))).fetchall()
    return [read(db, row, with_request=with_request) for row in found]
