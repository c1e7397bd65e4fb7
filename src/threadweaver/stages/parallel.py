"""Stage 2: mark the parallel blocks of a chain that its annotation names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest, read_text
from threadweaver.runs.folder import LOSSES, read_account
from threadweaver.runs.runner import Result, Task
from threadweaver.samples import Sample, list_samples, read_collected, read_sample
from threadweaver.stages.extraction import FILTER_DIFF_THRESHOLD, Extraction, extract
from threadweaver.stages.traced import Traced, new_lineage, traced_files
from threadweaver.trajectory import annotation


@dataclass(frozen=True, slots=True)
class ParallelOptions:
    threshold: int = FILTER_DIFF_THRESHOLD
    """Minimum number of characters in the threads of a block, not counting the longest."""
    merge_dependent: bool = True
    """Merge threads when one certainly uses what another introduces."""


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
    )


def read_pairs(trajectory: Path, annotations: Path) -> Iterator[Pair]:
    """Read every chain with its annotation, joined by the uuid that collected.jsonl gives it.

    A chain that step 1 lost, as its account says, is not passed on.
    """
    lost = {entry.id for entry in read_account(annotations) if entry.outcome in LOSSES}
    chains = [path for path in list_samples(trajectory) if path.stem not in lost]
    if not chains:
        raise UserError(f"{annotations} has no annotation, all {len(lost)} chains failed there: run step 1 again")
    if annotations.is_file() and len(chains) > 1:
        raise UserError(f"{annotations} is one annotation, {trajectory} holds {len(chains)} chains: name one <i>.txt")
    collected = (trajectory.parent if trajectory.is_file() else trajectory) / "collected.jsonl"
    samples = {str(item.index): item for item in read_collected(collected)} if collected.is_file() else {}
    for path in chains:
        chain = read_sample(path)
        sample = samples.get(path.stem)
        if sample and sample.thinking != chain:
            raise UserError(f"{path} is not the chain that {collected} holds: collect again with --overwrite")
        file = annotations if annotations.is_file() else _annotation_of(path.stem, sample, annotations)
        sample = sample or Sample(int(path.stem) if path.stem.isdecimal() else 0, path.stem, "", chain)
        yield Pair(path.stem, sample, read_text(file) if file else None)


def _annotation_of(id: str, sample: Sample | None, folder: Path) -> Path | None:
    """Find the annotation of a chain: by its uuid or, if that is unknown, the only file whose name ends in its
    number."""
    if sample:
        exact = folder / annotation.file_name(sample.uuid)
        return exact if exact.is_file() else None
    candidates = (folder / annotation.file_name(id), *folder.glob(f"*-{annotation.file_name(id)}"))
    found = [path for path in candidates if path.is_file()]
    if len(found) > 1:
        raise UserError(
            f"{folder} holds several annotations for {id} ({found[0].name}, {found[1].name}): remove the wrong one"
        )
    return found[0] if found else None


def to_task(pair: Pair) -> Task:
    sample = pair.sample
    source = digest(f"{sample.thinking}\n{pair.annotation}\n{sample.problem}\n{sample.output}")
    return Task(pair.id, source, pair, sample.uuid)
