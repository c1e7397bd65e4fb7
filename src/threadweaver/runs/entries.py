"""The entries of an account: one line per sample, read from the file when they are asked for, as it may be larger than
memory."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from threadweaver.text import parse_json, what_is_wrong

OUTCOMES = ("ok", "unchanged", "rejected", "failed")
PASSED, LOSSES = OUTCOMES[:2], OUTCOMES[2:]
_OUTSIDE = re.compile(r"^/|^$|\0|(^|/)\.\.(/|$)")


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One line of the account."""

    id: str
    outcome: str
    reason: str | None = None
    """A code for every loss, and for `unchanged`."""
    uuid: str = ""
    source: str = ""
    """Hash of the input."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path inside the folder → hash of the file."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the stage measured: counts, tokens, usage."""

    @classmethod
    def from_row(cls, row: object) -> AccountEntry:
        """Read a line of an account; raises ValueError for any other JSON, and for a file outside the folder."""
        if not isinstance(row, dict) or not {"id", "outcome"} <= row.keys() <= _FIELDS:
            raise ValueError("not a line of an account")
        entry = cls(**row)
        texts = (entry.id, entry.outcome, entry.uuid, entry.source, entry.reason or "")
        if not all(isinstance(text, str) for text in texts) or entry.outcome not in OUTCOMES:
            raise ValueError("not a line of an account")
        if not isinstance(entry.files, dict) or not isinstance(entry.facts, dict):
            raise ValueError("not a line of an account")
        for name in (f"{entry.id}.txt", *entry.files):
            if _OUTSIDE.search(name) or not isinstance(entry.files.get(name, ""), str):
                raise ValueError(f"it names a file that is not in its folder ({name!r:.60})")
        return entry

    def to_row(self) -> dict[str, object]:
        """Return the fields as one JSON object of the account."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = {item.name: None for item in fields(AccountEntry)}.keys()


class EntryIndex(Mapping[str, AccountEntry]):
    """The entries of an account by the id of their sample. Of several lines of a sample, the last one counts.

    In memory is only where each line begins, and the outcomes.
    """

    def __init__(self, path: Path):
        self.path = path
        self.places: dict[str, int] = {}
        self.outcomes: dict[str, str] = {}

    def add(self, offset: int, entry: AccountEntry) -> None:
        """Note that the line of an entry begins at this byte."""
        self.places[entry.id] = offset
        self.outcomes[entry.id] = sys.intern(entry.outcome)

    def lines(self, ids: Iterable[str]) -> Iterator[bytes]:
        """Yield the lines of these samples."""
        if not self.places:  # there may be no file yet
            return
        with open(self.path, "rb") as file:
            for id in ids:
                file.seek(self.places[id])
                yield file.readline()

    def __getitem__(self, id: str) -> AccountEntry:
        if id not in self.places:
            raise KeyError(id)
        [entry] = self.read((id,))
        return entry

    def read(self, ids: Iterable[str]) -> Iterator[AccountEntry]:
        """Yield the entries of these samples; their lines were checked when they were added."""
        return (AccountEntry(**parse_json(line)) for line in self.lines(ids))

    def each(self, ids: Sequence[str]) -> Iterator[AccountEntry | None]:
        """Yield the entry of each of these samples, None where there is none."""
        known = self.read(id for id in ids if id in self.places)
        return (next(known) if id in self.places else None for id in ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, id: object) -> bool:
        return id in self.places

    def forget(self, id: str) -> None:
        del self.places[id], self.outcomes[id]

    def values(self) -> Entries:
        return Entries(self, tuple(self.places))

    def passed(self) -> list[str]:
        """Return the ids of the samples that the next stage takes."""
        return [id for id, outcome in self.outcomes.items() if outcome in PASSED]

    def lost(self) -> set[str]:
        """Return the ids of the others."""
        return {id for id, outcome in self.outcomes.items() if outcome in LOSSES}


class Entries(Sequence[AccountEntry]):
    """The entries of these samples, in this order; every pass reads them from the file."""

    def __init__(self, index: EntryIndex, ids: Sequence[str]):
        self._index, self.ids = index, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return Entries(self._index, self.ids[at])
        return self._index[self.ids[at]]

    def __iter__(self) -> Iterator[AccountEntry]:
        return self._index.read(self.ids)

    def chosen(self, outcomes: Collection[str]) -> Entries:
        """Return those with one of these outcomes."""
        return Entries(self._index, [id for id in self.ids if self._index.outcomes[id] in outcomes])

    def counts(self) -> Counter[str]:
        """Return how many have each outcome."""
        return Counter(self._index.outcomes[id] for id in self.ids)


def ids_of(entries: Sequence[AccountEntry]) -> Sequence[str]:
    """Return the ids of some entries, without reading those that are in a file."""
    return entries.ids if isinstance(entries, Entries) else [entry.id for entry in entries]


def chosen(entries: Sequence[AccountEntry], outcomes: Collection[str]) -> Sequence[AccountEntry]:
    """Return those entries that have one of these outcomes, without reading those that are in a file."""
    if isinstance(entries, Entries):
        return entries.chosen(outcomes)
    return [entry for entry in entries if entry.outcome in outcomes]


def counts(entries: Sequence[AccountEntry]) -> Counter[str]:
    """Return how many entries have each outcome, without reading those that are in a file."""
    return entries.counts() if isinstance(entries, Entries) else Counter(entry.outcome for entry in entries)


def read_lines(path: Path) -> Iterator[tuple[int, int, bytes, AccountEntry | None, str]]:
    """Yield the number (from 1), the offset, the bytes and the entry of every line of an account that is not blank, None
    with the fault where it cannot be read."""
    if not path.is_file():
        return
    offset = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, offset, line, AccountEntry.from_row(parse_json(line)), ""
                except ValueError as error:
                    yield number, offset, line, None, what_is_wrong(error)
            offset += len(line)
