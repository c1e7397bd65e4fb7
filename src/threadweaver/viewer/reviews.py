"""Reviews: accept, reject, a note, and judgements of blocks, in `review.jsonl` next to the data, one line per sample."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import read_jsonl, to_json, write_atomic
from threadweaver.samples import sample_key
from threadweaver.text import parse_json
from threadweaver.trajectory import judgements
from threadweaver.trajectory.judgements import Judged

VERDICTS = ("accept", "reject", "")
MAX_NOTE = 10_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a reader said of a sample. `verdict` is accept, reject or empty."""

    id: str
    uuid: str
    verdict: str
    note: str = ""
    judged: Judged = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The value of the list's filter."""
        return self.verdict or ("judged" if self.judged else "note")

    def to_json(self) -> str:
        row = asdict(self)
        return to_json(row if self.judged else {name: value for name, value in row.items() if name != "judged"})


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a review: what is None stays as it is, an empty verdict, note or answer is withdrawn."""

    verdict: str | None = None
    note: str | None = None
    judged: Mapping[str, Mapping[str, str]] | None = None

    def applied(self, review: Review) -> Review:
        """Return the review after the change. Raises ValueError for an answer that is none."""
        return replace(
            review,
            verdict=review.verdict if self.verdict is None else self.verdict,
            note=review.note if self.note is None else self.note.strip(),
            judged=review.judged if self.judged is None else judgements.merged(review.judged, self.judged),
        )


class Reviews:
    """All reviews of a run; every decision rewrites the file atomically.

    Several viewers may write one file, and people edit it: what is in it counts, and a decision changes its own line.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self._known, self._state = _read(path), _state(path)

    def verdicts(self) -> dict[str, str]:
        """Return accept, reject, judged or note by sample id."""
        self._refresh()
        return {id: review.label for id, review in list(self._known.items())}

    def judged(self) -> dict[str, Judged]:
        """Return the judgements of blocks and threads by sample id, where there are any."""
        self._refresh()
        return {id: review.judged for id, review in list(self._known.items()) if review.judged}

    def get(self, id: str) -> dict:
        self._refresh()
        review = self._known.get(id) or Review(id, "", "")
        return {"verdict": review.verdict, "note": review.note, "judged": review.judged}

    def put(self, id: str, uuid: str, change: Change) -> dict:
        """Record a change; a review of which nothing is left is removed.

        Raises ValueError, OSError, and UserError when the file has been damaged since.
        """
        if change.verdict not in (None, *VERDICTS) or len(change.note or "") > MAX_NOTE:
            raise ValueError(f"a verdict must be accept, reject or empty, a note at most {MAX_NOTE} characters long")
        with self._lock, _locked(self.path.parent):
            known = dict(_read(self.path))
            review = change.applied(replace(known.pop(id, Review(id, uuid, "")), uuid=uuid))
            if review.verdict or review.note or review.judged:
                known[id] = review
            ordered = sorted(known.values(), key=lambda review: sample_key(review.id))
            write_atomic(self.path, "".join(review.to_json() + "\n" for review in ordered))
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
            texts = (str(row["id"]), str(row.get("uuid", "")), str(row["verdict"]), str(row.get("note", "")))
            review = Review(*texts, judgements.read(row.get("judged", {})))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            wrong = fault or (str(error) if type(error) is ValueError else "not a review")
            raise UserError(f"{path}, line {number}: {wrong}: fix it, or name another --review") from None
        known[review.id] = review
    return known


def parse_request(body: bytes) -> Change:
    """Return the change that a request asks for; raises ValueError when it asks for none."""
    data = parse_json(body)
    if not isinstance(data, dict) or not data.keys() & {"verdict", "note", "judged"}:
        raise ValueError("send an object with verdict, note or judged")
    change = Change(data.get("verdict"), data.get("note"), data.get("judged"))
    if not isinstance(change.verdict, str | None) or not isinstance(change.note, str | None):
        raise ValueError("verdict and note must be text")
    if change.judged is not None:
        judgements.read(change.judged)
    return change
