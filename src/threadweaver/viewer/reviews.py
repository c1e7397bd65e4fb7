"""Reviews: accept, reject or a note, in `review.jsonl` next to the data, one line per sample."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import read_jsonl, to_json, write_atomic
from threadweaver.samples import sample_key

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
    """All reviews of a run; every decision rewrites the file atomically."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._known = _read(path)

    def verdicts(self) -> dict[str, str]:
        """Return accept, reject or note by sample id."""
        return {id: review.verdict or "note" for id, review in list(self._known.items())}

    def get(self, id: str) -> dict:
        review = self._known.get(id)
        return {"verdict": review.verdict, "note": review.note} if review else {"verdict": "", "note": ""}

    def put(self, id: str, uuid: str, verdict: str, note: str) -> dict:
        """Record a decision; an empty verdict without a note withdraws it. Raises ValueError, OSError."""
        if verdict not in VERDICTS or len(note) > MAX_NOTE:
            raise ValueError(f"a verdict must be accept, reject or empty, a note at most {MAX_NOTE} characters long")
        with self._lock:
            known = dict(self._known)
            known.pop(id, None)
            if verdict or note.strip():
                known[id] = Review(id, uuid, verdict, note.strip())
            ordered = sorted(known.values(), key=lambda review: sample_key(review.id))
            write_atomic(self.path, "".join(to_json(asdict(review)) + "\n" for review in ordered))
            self._known = known
        return self.get(id)


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


def parse_request(body: bytes) -> tuple[str, str]:
    """Return verdict and note of a request; raises ValueError when it has none."""
    data = json.loads(body)
    if not isinstance(data, dict):
        raise ValueError("send an object with verdict and note")
    verdict, note = data.get("verdict", ""), data.get("note", "")
    if not isinstance(verdict, str) or not isinstance(note, str):
        raise ValueError("verdict and note must be text")
    return verdict, note
