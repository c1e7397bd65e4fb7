"""The collected samples as a stage is given them: every row of `collected.jsonl`, held against the account of stage 0."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import SampleFault
from threadweaver.files import digest, to_json, to_pretty_json
from threadweaver.runs.entries import PASSED
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import ALTERED, Files, Given
from threadweaver.runs.records import COLLECTED as COLLECTED
from threadweaver.runs.records import LOSSES
from threadweaver.runs.records import SOURCE as SOURCE
from threadweaver.runs.runner import Task
from threadweaver.samples import Sample, read_collected, sample_at, sample_key

ROW = "row"
"""The fact of stage 0 that is the hash of a sample's row."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row, or what is wrong with it; `id` is its number, and the name of its files."""

    id: str
    uuid: str
    sample: Sample | None
    fault: SampleFault | None = None
    edited: tuple[str, ...] = ()


class RowsRead:
    """How many rows of a source were read, and what they hold, as one hash: the same for all shards of one source."""

    def __init__(self) -> None:
        self.count, self._hash = 0, hashlib.sha256()

    def add(self, hashes: Iterable[str]) -> None:
        """Add the hashes of the next rows."""
        for row in hashes:
            self.count += 1
            self._hash.update(f"{row}\n".encode())

    def to_json(self) -> str:
        return to_pretty_json({"rows": self.count, "sha256": self._hash.hexdigest()})


def row_hash(sample: Sample) -> str:
    return digest(to_json(sample.to_row()))


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where a row is: the byte at which its line begins, its position among the samples, and its hash in the account."""

    id: str
    uuid: str
    offset: int
    position: int
    known: str | None = None
    checked: bool = True
    """False for a row of an earlier version, which kept no hash."""


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows of a `collected.jsonl`, each held against its hash."""

    files: Files
    path: Path

    def __call__(self, place: RowPlace) -> Row:
        edited: list[str] = []
        with open(self.path, "rb") as file:
            sample = sample_at(file, place.offset, place.position)
        try:
            if place.checked:
                self.files.check(f"{COLLECTED} ({sample.uuid})", row_hash(sample), place.known, edited)
        except SampleFault as fault:
            return Row(place.id, sample.uuid, None, fault)
        return Row(place.id, sample.uuid, sample, edited=tuple(edited))


class Rows:
    """The rows of a `collected.jsonl`, or of the one in a folder, in the order of their numbers.

    In memory is only where they are. Raises UserError when the file is missing, at a line that is not a sample, and for
    one that appears twice.
    """

    def __init__(self, given: Given, path: Path | None = None):
        found = read_collected(path or given.path)
        self.given, self.reader = given, RowReader(given.files, found.path)
        self._places = found.places
        self.lost = {id for id in given.passed() if id not in found.places}
        """Rows that the account knows and the file has lost."""
        self.ids = sorted({*found.places, *self.lost}, key=sample_key)

    def __contains__(self, id: str) -> bool:
        return id in self._places

    def uuid(self, id: str) -> str:
        """Return the uuid of a row; empty if there is no such row."""
        if id in self.lost:
            return self.given.entry(id).uuid
        return self._places[id][2] if id in self._places else ""

    def place(self, id: str) -> RowPlace | SampleFault | None:
        """Return where a row is, the fault if it was lost, None if there is no such row."""
        return next(iter(self.places((id,))))

    def places(self, ids: Sequence[str]) -> Iterator[RowPlace | SampleFault | None]:
        """Yield what `place` returns for each of these ids."""
        for id, entry in zip(ids, self.given.entries(ids), strict=True):
            if id in self.lost:
                yield SampleFault(ALTERED, f"{COLLECTED} has lost the row of {entry.uuid}")
            elif id not in self._places:
                yield None
            else:
                offset, position, uuid = self._places[id]
                known = entry.facts.get(ROW) if entry and entry.outcome not in LOSSES else None
                passed = entry is not None and entry.outcome not in LOSSES
                yield RowPlace(id, uuid, offset, position, known, checked=not (passed and known is None))

    def read(self, id: str) -> Row:
        """Return a row."""
        place = self.place(id)
        return Row(id, self.uuid(id), None, place) if isinstance(place, SampleFault) else self.reader(place)


def samples_of(rows: Mapping[str, Row]) -> dict[str, Sample]:
    """Return the sound samples by number."""
    return {id: row.sample for id, row in rows.items() if row.sample}


class Lines:
    """`collected.jsonl`, written line by line into a file beside it while the samples are collected."""

    def __init__(self, output: Path, accept_edits: bool):
        self.there, self.part = output / COLLECTED, output / f".{COLLECTED}.part"
        self.accept_edits = accept_edits
        self.uuids: list[str] = []

    def __enter__(self) -> Lines:
        self.file = open(self.part, "wb")
        return self

    def __exit__(self, *exception) -> None:
        try:
            self.file.close()
        finally:
            self.part.unlink(missing_ok=True)

    def written(self, tasks: Iterable[Task], folder: StageFolder) -> Iterator[Task]:
        """Yield the tasks one by one, and write the line of each that was collected when the next one is asked for: a
        payload is a candidate and its line."""
        for task in tasks:
            yield task
            if folder.done.outcomes.get(task.id) in PASSED:
                self.file.write((task.payload[1] + "\n").encode())
                self.uuids.append(task.uuid)

    def finish(self) -> Path:
        """Return the finished file; one that was edited, if edits are taken and it holds the same samples, stays."""
        self.file.flush()
        edited = self.accept_edits and self.there.is_file()
        same = edited and [sample.uuid for sample in read_collected(self.there)] == self.uuids
        return self.there if same else self.part
