"""Reviews: accept, reject or a note, in `review.jsonl` next to the data, one line per sample."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import read_jsonl, to_json, write_atomic
from threadweaver.samples import sample_key
from threadweaver.text import parse_json

VERDICTS = ("accept", "reject", "")
MAX_NOTE = 10_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Review:
    """One decision. `verdict` is accept, reject or empty (only a note)."""

    id: str
    uuid: str
    verdict: str
    note: str = ""


class Reviews:
    """All reviews of a run; every decision rewrites the file atomically.

    Several viewers may write one file, and people edit it: what is in it counts, and a decision changes its own line.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._known, self._state = _read(path), _state(path)

    def verdicts(self) -> dict[str, str]:
        """Return accept, reject or note by sample id."""
        self._refresh()
        return {id: review.verdict or "note" for id, review in list(self._known.items())}

    def get(self, id: str) -> dict:
        self._refresh()
        review = self._known.get(id)
        return {"verdict": review.verdict, "note": review.note} if review else {"verdict": "", "note": ""}

    def put(self, id: str, uuid: str, verdict: str | None = None, note: str | None = None) -> dict:
        """Record a decision: what is None stays as it is; an empty verdict without a note withdraws it.

        Raises ValueError, OSError, and UserError when the file has been damaged since.
        """
        if verdict not in (None, *VERDICTS) or len(note or "") > MAX_NOTE:
            raise ValueError(f"a verdict must be accept, reject or empty, a note at most {MAX_NOTE} characters long")
        with self._lock, _locked(self.path.parent):
            known = dict(_read(self.path))
            before = known.pop(id, Review(id, uuid, "", ""))
            verdict, note = before.verdict if verdict is None else verdict, before.note if note is None else note
            if verdict or note.strip():
                known[id] = Review(id, uuid, verdict, note.strip())
            ordered = sorted(known.values(), key=lambda review: sample_key(review.id))
            write_atomic(self.path, "".join(to_json(asdict(review)) + "\n" for review in ordered))
            self._known, self._state = known, _state(self.path)
        return self.get(id)

    def _refresh(self) -> None:
        """Read the file again if another program wrote it; while it cannot be read, what was known counts."""
        state = _state(self.path)
        if state != self._state:
            with contextlib.suppress(UserError, OSError):
                self._known, self._state = _read(self.path), state


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does; None if it does not exist."""
    with contextlib.suppress(OSError):
        stat = path.stat()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
    return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other viewers from writing; where the file system has no locks, the last of two at once counts."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _read(path: Path) -> dict[str, Review]:
    """Read the file. Raises UserError when a line cannot be read, because rewriting the file would lose it."""
    if not path.is_file():
        return {}
    known = {}
    for number, row, fault in read_jsonl(path):
        try:
            review = Review(str(row["id"]), str(row.get("uuid", "")), str(row["verdict"]), str(row.get("note", "")))
        except (TypeError, KeyError, AttributeError):
            wrong = fault or "not a review"
            raise UserError(f"{path}, line {number}: {wrong}: fix it, or name another --review") from None
        known[review.id] = review
    return known


def parse_request(body: bytes) -> tuple[str | None, str | None]:
    """Return verdict and note of a request, None for what it leaves out; raises ValueError when it has neither."""
    data = parse_json(body)
    if not isinstance(data, dict) or not data.keys() & {"verdict", "note"}:
        raise ValueError("send an object with verdict, note or both")
    verdict, note = data.get("verdict"), data.get("note")
    if not isinstance(verdict, str | None) or not isinstance(note, str | None):
        raise ValueError("verdict and note must be text")
    return verdict, note
