"""A sample on its way through stages 2 to 5: the trajectory in `<i>.txt`, its lineage in `trace/<i>.json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest, read_text
from threadweaver.runs.runner import Task
from threadweaver.samples import Sample, read_sample
from threadweaver.trajectory import edits
from threadweaver.trajectory.edits import Lineage

TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Traced:
    """`record` is None for a trajectory that comes from elsewhere without a trace."""

    id: str
    text: str
    record: Lineage | None

    @property
    def problem(self) -> str:
        return self.record.problem if self.record else ""


def read_traced(path: Path) -> Traced:
    """One sample of a stage's folder; raises UserError when its trace is damaged."""
    return Traced(path.stem, read_sample(path), _read_record(path))


def _read_record(path: Path) -> Lineage | None:
    trace = path.parent / TRACE / f"{path.stem}.json"
    if not trace.is_file():
        return None
    try:
        return Lineage.from_json(read_text(trace))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{trace} is damaged ({error}): run the stage that wrote it again with --overwrite") from None


def traced_tasks(paths: list[Path], context: str = "") -> Iterator[Task]:
    """One task a file; its payload is Traced. `context` is hashed with it: what else decides the result."""
    for path in paths:
        sample = read_traced(path)
        source = digest(sample.text + (sample.record.to_json() if sample.record else "") + context)
        yield Task(path.stem, source, sample, sample.record.uuid if sample.record else "")


def traced_files(id: str, text: str, record: Lineage | None) -> dict[str, str]:
    """What a stage writes for a sample."""
    written = {f"{id}.txt": text + "\n"}
    if record:
        written |= {f"{TRACE}/{id}.json": record.to_json(), f"{TRACE}/{id}.txt": record.describe()}
    return written


def new_lineage(sample: Sample) -> Lineage:
    """The record of a chain that nothing has been done to yet."""
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
    """A record for a trajectory without a trace, so that later edits can at least be told (its chain is unknown)."""
    blocks = tuple(
        edits.BlockLineage(0, 0, tuple(edits.ThreadLineage(0, 0) for _ in block.threads)) for block in trajectory_blocks
    )
    return Lineage(int(id) if id.isdecimal() else 0, id, "", "", None, "", 0, 0, blocks)


def is_lineage_of(record: Lineage, chain: str) -> bool:
    """Whether a record was made from this chain."""
    return record.sha256 == edits.fingerprint(chain)
