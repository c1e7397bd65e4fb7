"""A sample on its way through stages 2 to 5: the trajectory in `<i>.txt`, its lineage in `trace/<i>.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest, read_text
from threadweaver.runs.runner import Task
from threadweaver.samples import Sample, read_sample
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import Lineage

TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Traced:
    """A trajectory and its lineage, which is None for a trajectory from elsewhere, without a trace."""

    id: str
    text: str
    lineage: Lineage | None

    @property
    def problem(self) -> str:
        return self.lineage.problem if self.lineage else ""


def read_traced(path: Path) -> Traced:
    """Read one sample of a stage's folder; raises UserError when its trace is damaged."""
    return Traced(path.stem, read_sample(path), _read_lineage(path))


def _read_lineage(path: Path) -> Lineage | None:
    trace = path.parent / TRACE / f"{path.stem}.json"
    if not trace.is_file():
        return None
    try:
        return Lineage.from_json(read_text(trace))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{trace} is damaged ({error}): run the stage that wrote it again with --overwrite") from None


def traced_tasks(paths: Sequence[Path]) -> Iterator[Task]:
    """Return one task per file; its payload is Traced."""
    for path in paths:
        sample = read_traced(path)
        source = digest(sample.text + (sample.lineage.to_json() if sample.lineage else ""))
        yield Task(path.stem, source, sample, sample.lineage.uuid if sample.lineage else "")


def traced_files(id: str, text: str, lineage: Lineage | None) -> dict[str, str]:
    """Return the files that a stage writes for a sample: name → content."""
    written = {f"{id}.txt": text + "\n"}
    if lineage:
        written |= {f"{TRACE}/{id}.json": lineage.to_json(), f"{TRACE}/{id}.txt": lineage.describe()}
    return written


def new_lineage(sample: Sample) -> Lineage:
    """Return the lineage of an unedited chain."""
    chain = sample.thinking
    return Lineage(
        sample.index,
        sample.uuid,
        sample.problem,
        sample.solution,
        sample.correctness,
        edits.fingerprint(chain),
        len(chain),
        chain.count("\n") + 1,
        output=sample.output,
    )


def bare_lineage(trajectory_blocks: tuple, id: str) -> Lineage:
    """Return an empty lineage, to record later edits of a trajectory without a trace (its chain is unknown)."""
    blocks = tuple(
        edits.BlockLineage(0, 0, tuple(edits.ThreadLineage(0, 0) for _ in block.threads)) for block in trajectory_blocks
    )
    return Lineage(int(id) if id.isdecimal() else 0, id, "", "", None, "", 0, 0, blocks)


def is_lineage_of(lineage: Lineage, chain: str) -> bool:
    """Whether a lineage was made from this chain."""
    return lineage.sha256 == edits.fingerprint(chain)


def sequentialize(
    trajectory: markup.Trajectory, lineage: Lineage, back: Mapping[int, tuple[str, str]]
) -> tuple[str, Lineage]:
    """Restore the chain's text for the blocks in `back` (number from 1 → code and detail); return trajectory and
    lineage."""
    texts, kept, unused = [], [], list(lineage.unused)
    for number, (block, note) in enumerate(zip(trajectory.blocks, lineage.blocks, strict=True), 1):
        if number in back:
            texts.append(edits.restore_block(block, note))
            unused.append(edits.Unused(number, note.first, note.last, *back[number]))
        else:
            texts.append(markup.canonical(block))
            kept.append(note)
    return trajectory.replace_blocks(texts), replace(lineage, blocks=tuple(kept), unused=tuple(unused))
