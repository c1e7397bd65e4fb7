"""Stage 2: mark the parallel blocks of a chain that its annotation names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path

from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest
from threadweaver.runs.given import ALTERED, Files, Given
from threadweaver.runs.records import LOSSES, AccountEntry
from threadweaver.runs.runner import Places, Result, Task
from threadweaver.samples import Sample, sample_key
from threadweaver.stages.choice import RECHECK_WEIGHT
from threadweaver.stages.collected import COLLECTED, RowPlace, RowReader, Rows
from threadweaver.stages.extraction import FILTER_DIFF_THRESHOLD, Extraction, extract
from threadweaver.stages.traced import Traced, new_lineage, traced_files
from threadweaver.trajectory import annotation


@dataclass(frozen=True, slots=True)
class ParallelOptions:
    threshold: int = FILTER_DIFF_THRESHOLD
    """Minimum number of characters in the threads of a block, not counting the longest."""
    merge_dependent: bool = True
    """Merge threads when one certainly uses what another introduces."""
    recheck_weight: float = RECHECK_WEIGHT
    """What the characters that a re-check saves count, beside those of new work, when blocks are chosen."""
    min_gain: int = 0
    """Minimum number of characters that a block gains after its outlines and that weight."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain and the text of its annotation, None if it has none; `id` is the stem of its files."""

    id: str
    sample: Sample
    annotation: str | None


MIN_GAIN = 200
"""Characters that a block has to gain where a model was asked with the shipped prompt, which says so. Of 29 blocks that
gained less than 800, blind readers called none of high worth; of 42 others, 23."""


def min_gain_of(annotator: object, threshold: int) -> int:
    """Return what a block has to gain by default, in characters. Annotations that this pipeline asked no model for are
    taken as published: 0. It is never more than the threshold, so that a threshold of 0 takes all blocks."""
    return min(MIN_GAIN, threshold) if annotator == "llm" else 0


def mark_task(task: Task, options: ParallelOptions) -> Result:
    """Mark the blocks of the chain of a task."""
    return mark(task.payload, options)


def mark(pair: Pair, options: ParallelOptions) -> Result:
    """Mark the blocks of one chain."""
    if pair.annotation is None:
        return Result("failed", "no_annotation", facts={"error": f"no annotation of {pair.sample.uuid}"})
    found = _extract(pair, options)
    blocks, unused = found.lineage.blocks, found.lineage.unused
    facts = {
        "blocks": len(blocks),
        "threads": sum(len(block.threads) for block in blocks),
        "unused": [item.code for item in unused],
        "problems": [note["code"] for note in found.lineage.notes if note["kind"] == "annotation"],
    }
    files = traced_files(pair.id, found.trajectory, found.lineage)
    value = Traced(pair.id, found.trajectory, found.lineage)
    return Result("ok" if blocks else "unchanged", None if blocks else "no_block", files, facts, value)


def describe(pair: Pair, options: ParallelOptions) -> str:
    """Describe in one line what `mark` would mark, and what it would leave out."""
    if pair.annotation is None:
        return f"{pair.id}: no annotation"
    lineage = _extract(pair, options).lineage
    spans = ", ".join(f"L{block.first}-L{block.last} ({len(block.threads)} threads)" for block in lineage.blocks)
    left = ", ".join(item.code for item in lineage.unused)
    return f"{pair.id}: {spans or 'no block'}" + (f"; not used: {left}" if left else "")


def _extract(pair: Pair, options: ParallelOptions) -> Extraction:
    chain = pair.sample.thinking
    return extract(
        chain,
        annotation.parse(pair.annotation, annotation.lines(chain)),
        new_lineage(pair.sample),
        threshold=options.threshold,
        merge_dependent=options.merge_dependent,
        recheck_weight=options.recheck_weight,
        min_gain=options.min_gain,
    )


@dataclass(frozen=True, slots=True)
class PairPlace:
    """Where a chain and its annotation are: names, hashes in the accounts, and the chain's row."""

    chain: str | None
    row: RowPlace | SampleFault | None = None
    note: str | None = None
    chain_hash: str | None = None
    note_hash: str | None = None


@dataclass(frozen=True, slots=True)
class PairReader:
    """Reads the tasks of `places`: the payload is a Pair. Raises SampleFault where they are not what was passed on."""

    chains: Files
    notes: Files
    rows: RowReader | None

    def __call__(self, task: Task) -> Task:
        place, edited = task.payload, []
        chain = self.chains.text(place.chain, place.chain_hash, edited).removesuffix("\n")
        if isinstance(place.row, SampleFault):
            raise place.row
        row = self.rows(place.row) if place.row else None
        if row and row.fault:
            raise row.fault
        if row and row.sample.thinking != chain:
            raise SampleFault(
                ALTERED, f"{place.chain} is not the chain that {COLLECTED} holds: change both, or collect again"
            )
        text = self.notes.text(place.note, place.note_hash, edited) if place.note else None
        sample = row.sample if row else Sample(int(task.id) if task.id.isdecimal() else 0, task.id, "", chain)
        return to_task(Pair(task.id, sample, text), (*edited, *(row.edited if row else ())))


def places(chains: Given, notes: Given) -> tuple[Sequence[Task], PairReader]:
    """Return one unread task per chain with its annotation, joined by the uuid that collected.jsonl gives it, and what
    reads them.

    A chain that step 1 lost, as its account says, is not passed on.
    """
    collected = chains.folder / COLLECTED
    rows = Rows(chains, collected) if collected.is_file() or not chains.foreign else None
    names = (
        chains.names()
        if chains.only or chains.foreign
        else sorted({*chains.names(), *(f"{id}.txt" for id in rows.ids)}, key=sample_key)
    )
    lost = notes.before.index.lost() if notes.before else set()
    pairing = _Pairing(chains, notes, rows)
    ids = [id for name in names for id in [Path(name).stem] if id not in lost or pairing.has_own_note(id)]
    if not ids and not notes.shard:
        raise UserError(f"{notes.folder} has no annotation, all {len(lost)} chains failed there: run step 1 again")
    if notes.only and len(ids) > 1:
        raise UserError(f"{notes.path} is one annotation, {chains.path} holds {len(ids)} chains: name one <i>.txt")
    tasks = Places(ids, pairing.places, pairing.strangers(names))
    return tasks, PairReader(chains.files, notes.files, rows.reader if rows else None)


class _Pairing:
    """The two folders that are read, and the rows of the first."""

    def __init__(self, chains: Given, notes: Given, rows: Rows | None):
        self.chains, self.notes, self.rows = chains, notes, rows

    def has_own_note(self, id: str) -> bool:
        """Whether there is an annotation of a chain that step 1 lost: somebody has given it one since."""
        uuid = self.rows.uuid(id) if self.rows else ""
        return bool(uuid) and (self.notes.folder / annotation.file_name(uuid)).is_file()

    def places(self, ids: Sequence[str]) -> Iterator[Task]:
        rows = self.rows.places(ids) if self.rows else repeat(None, len(ids))
        accounts = (self.chains.entries(ids), self.notes.entries(ids))
        for id, row, chain, note in zip(ids, rows, *accounts, strict=True):
            name, uuid = f"{id}.txt", self.rows.uuid(id) if self.rows else ""
            note_name = self.notes.only or self._note_of(id, uuid, note)
            hashes = [
                entry.files.get(file) if entry else None for entry, file in ((chain, name), (note, note_name or ""))
            ]
            yield Task(id, "", PairPlace(name, row, note_name, *hashes), uuid)

    def _note_of(self, id: str, uuid: str, entry: AccountEntry | None) -> str | None:
        """Return the annotation of a chain: the one in the account, that of its uuid or, if neither is known, the only
        file whose name ends in its number."""
        for name in entry.files if entry and entry.outcome not in LOSSES else ():
            if name.endswith(annotation.file_name("")):
                return name
        if uuid:
            exact = annotation.file_name(uuid)
            return exact if (self.notes.folder / exact).is_file() else None
        found = self._by_end.get(id, ())
        if len(found) > 1:
            raise UserError(
                f"{self.notes.folder} holds several annotations for {id} ({found[0]}, {found[1]}): remove the wrong one"
            )
        return found[0] if found else None

    @cached_property
    def _by_end(self) -> dict[str, list[str]]:
        """The annotations by their whole name and by what follows each hyphen in it."""
        ends = annotation.file_name("")
        found: dict[str, list[str]] = {}
        for name in sorted(path.name for path in self.notes.folder.glob(f"*{ends}") if path.is_file()):
            parts = name.removesuffix(ends).split("-")
            for first in range(len(parts)):
                found.setdefault("-".join(parts[first:]), []).append(name)
        return {end: sorted(names, key=len) for end, names in found.items()}

    def strangers(self, names: Sequence[str]) -> list[Task]:
        """Return failed tasks for annotations that step 1 did not write and no chain has."""
        if self.notes.foreign or self.notes.only or self.chains.only:
            return []
        ends = annotation.file_name("")
        uuids = (self.rows.uuid(id) for id in self.rows.ids) if self.rows else ()
        used = {annotation.file_name(uuid) for uuid in (*uuids, *(Path(name).stem for name in names))}
        found = {path.name for path in self.notes.folder.glob(f"*{ends}")} - used
        return [_stranger(name.removesuffix(ends)) for name in sorted(self.notes.unknown(found))]


def _stranger(uuid: str) -> Task:
    why = f"{annotation.file_name(uuid)} belongs to no chain, and step 1 did not write it"
    return Task(uuid, "", None, fault=SampleFault(ALTERED, why))


def to_task(pair: Pair, edited: Sequence[str] = ()) -> Task:
    sample = pair.sample
    source = digest(f"{sample.thinking}\n{pair.annotation}\n{sample.problem}\n{sample.output}")
    return Task(pair.id, source, pair, sample.uuid, edited=tuple(edited))
