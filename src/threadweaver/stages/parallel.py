"""Stage 2: mark the parallel blocks of a chain that its annotation names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest
from threadweaver.runs.given import ALTERED, Given
from threadweaver.runs.records import LOSSES
from threadweaver.runs.runner import Result, Task, task_of
from threadweaver.samples import Sample, sample_key
from threadweaver.stages.choice import RECHECK_WEIGHT
from threadweaver.stages.collected import COLLECTED, Row, read_rows
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


@dataclass(frozen=True, slots=True)
class Pair:
    """A chain and the text of its annotation, None if it has none; `id` is the stem of its files."""

    id: str
    sample: Sample
    annotation: str | None


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
    )


def read_tasks(chains: Given, notes: Given) -> list[Task]:
    """Return one task per chain with its annotation, joined by the uuid that collected.jsonl gives it.

    A chain that step 1 lost, as its account says, is not passed on.
    """
    collected = chains.folder / COLLECTED
    rows = read_rows(chains, collected) if collected.is_file() or not chains.foreign else {}
    names = (
        chains.names()
        if chains.only or chains.foreign
        else sorted({*chains.names(), *(f"{id}.txt" for id in rows)}, key=sample_key)
    )
    lost = {entry.id for entry in notes.before.entries if entry.outcome in LOSSES} if notes.before else set()
    pairing = _Pairing(chains, notes, rows, lost)
    ids = [Path(name).stem for name in names if not pairing.is_lost(Path(name).stem)]
    if not ids and not notes.shard:
        raise UserError(f"{notes.folder} has no annotation, all {len(lost)} chains failed there: run step 1 again")
    if notes.only and len(ids) > 1:
        raise UserError(f"{notes.path} is one annotation, {chains.path} holds {len(ids)} chains: name one <i>.txt")
    uuids = {id: row.uuid for id, row in rows.items()}
    tasks = [task_of(id, partial(pairing.task, id), uuids.get(id, "")) for id in ids]
    return tasks + [task_of(uuid, partial(pairing.stranger, uuid)) for uuid in pairing.strangers(set(names))]


@dataclass(frozen=True, slots=True)
class _Pairing:
    """The two folders that are read, and the rows of the first."""

    chains: Given
    notes: Given
    rows: Mapping[str, Row]
    lost: Collection[str]

    def is_lost(self, id: str) -> bool:
        """Whether step 1 lost a chain, and nobody has given it an annotation since."""
        row = self.rows.get(id)
        return id in self.lost and not (row and (self.notes.folder / annotation.file_name(row.uuid)).is_file())

    def task(self, id: str) -> Task:
        edited: list[str] = []
        chain, row = self.chains.text(f"{id}.txt", edited).removesuffix("\n"), self.rows.get(id)
        if row and row.fault:
            raise row.fault
        sample = row.sample if row else None
        if sample and sample.thinking != chain:
            raise SampleFault(
                ALTERED, f"{id}.txt is not the chain that {COLLECTED} holds: change both, or collect again"
            )
        name = self.notes.only or self._name_of(id, sample)
        text = self.notes.text(name, edited) if name else None
        sample = sample or Sample(int(id) if id.isdecimal() else 0, id, "", chain)
        return to_task(Pair(id, sample, text), (*edited, *(row.edited if row else ())))

    def _name_of(self, id: str, sample: Sample | None) -> str | None:
        """Return the annotation of a chain: the one in the account, that of its uuid or, if neither is known, the only
        file whose name ends in its number."""
        entry = self.notes.passed.get(id)
        for name in entry.files if entry else ():
            if name.endswith(annotation.file_name("")):
                return name
        folder = self.notes.folder
        if sample:
            exact = annotation.file_name(sample.uuid)
            return exact if (folder / exact).is_file() else None
        candidates = (folder / annotation.file_name(id), *folder.glob(f"*-{annotation.file_name(id)}"))
        found = [path.name for path in candidates if path.is_file()]
        if len(found) > 1:
            raise UserError(
                f"{folder} holds several annotations for {id} ({found[0]}, {found[1]}): remove the wrong one"
            )
        return found[0] if found else None

    def strangers(self, names: Collection[str]) -> list[str]:
        """Return the uuids of annotations that step 1 did not write and no chain has."""
        if self.notes.foreign or self.notes.only or self.chains.only:
            return []
        ends = annotation.file_name("")
        used = {annotation.file_name(row.uuid) for row in self.rows.values()} | {
            annotation.file_name(Path(name).stem) for name in names
        }
        found = sorted(path.name for path in self.notes.folder.glob(f"*{ends}"))
        return [name.removesuffix(ends) for name in found if name not in self.notes.known and name not in used]

    def stranger(self, uuid: str) -> Task:
        raise SampleFault(ALTERED, f"{annotation.file_name(uuid)} belongs to no chain, and step 1 did not write it")


def to_task(pair: Pair, edited: Sequence[str] = ()) -> Task:
    sample = pair.sample
    source = digest(f"{sample.thinking}\n{pair.annotation}\n{sample.problem}\n{sample.output}")
    return Task(pair.id, source, pair, sample.uuid, edited=tuple(edited))
