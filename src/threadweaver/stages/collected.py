"""The collected samples as a stage is given them: every row of `collected.jsonl`, held against the account of stage 0."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import SampleFault
from threadweaver.files import digest, to_json, to_pretty_json
from threadweaver.runs.given import ALTERED, Given
from threadweaver.runs.records import COLLECTED as COLLECTED
from threadweaver.runs.records import SOURCE as SOURCE
from threadweaver.samples import Sample, read_collected, sample_key

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


def read_rows(given: Given, path: Path | None = None) -> dict[str, Row]:
    """Return the rows of a `collected.jsonl`, or of the one in a folder, by number.

    Raises UserError when it is missing, at a line that is not a sample, and for one that appears twice.
    """
    rows = {sample.name: _row(given, sample) for sample in read_collected(path or given.path)}
    for id, entry in given.passed.items():
        if id not in rows:
            rows[id] = Row(id, entry.uuid, None, SampleFault(ALTERED, f"{COLLECTED} has lost the row of {entry.uuid}"))
    return {id: rows[id] for id in sorted(rows, key=sample_key)}


def _row(given: Given, sample: Sample) -> Row:
    id, edited = sample.name, []
    entry = given.passed.get(id)
    known = entry.facts.get(ROW) if entry else None
    if entry is not None and known is None:  # of an earlier version, which kept no hash
        return Row(id, sample.uuid, sample)
    try:
        given.check(f"{COLLECTED} ({sample.uuid})", row_hash(sample), known, edited)
    except SampleFault as fault:
        return Row(id, sample.uuid, None, fault)
    return Row(id, sample.uuid, sample, edited=tuple(edited))


def samples_of(rows: Mapping[str, Row]) -> dict[str, Sample]:
    """Return the sound samples by number."""
    return {id: row.sample for id, row in rows.items() if row.sample}
