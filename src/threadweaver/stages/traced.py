"""A sample on its way through stages 2 to 5: the trajectory in `<i>.txt`, its lineage in `trace/<i>.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest, read_text
from threadweaver.runs.given import Files, Given, listed
from threadweaver.runs.records import LOSSES, AccountEntry
from threadweaver.runs.runner import Task, task_of
from threadweaver.samples import Sample, read_sample, sample_key
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


def traced_names(given: Given, pattern: str = "*.txt") -> list[str]:
    """Return the samples' files in order, also where only a trace that the stage before did not write names one."""
    names = given.names(pattern)
    if given.foreign or given.only:
        return names
    traces = [f"{path.stem}.txt" for path in (given.folder / TRACE).glob("*.json")]
    listed_traces = {f"{TRACE}/{Path(name).stem}.json": name for name in {*listed(pattern, traces)}.difference(names)}
    lone = {listed_traces[name] for name in given.unknown(listed_traces)}
    return sorted({*names, *lone}, key=sample_key)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample is: its file, and the hashes that the stage before gave to its files."""

    name: str
    known: Mapping[str, str]


def traced_places(given: Given, names: Sequence[str]) -> Iterator[Task]:
    """Yield one unread task per file, which `TracedReader` reads."""
    ids = [Path(name).stem for name in names]
    for id, name, entry in zip(ids, names, given.entries(ids), strict=True):
        yield Task(id, "", Place(name, entry.files if entry else {}), _passed_uuid(entry))


def _passed_uuid(entry: AccountEntry | None) -> str:
    return entry.uuid if entry and entry.outcome not in LOSSES else ""


@dataclass(frozen=True, slots=True)
class TracedReader:
    """Reads the tasks of `traced_places`: the payload is Traced. Raises SampleFault where the files are not those of
    the stage before."""

    files: Files

    def __call__(self, task: Task) -> Task:
        place, edited, lineage = task.payload, [], None
        text = self.files.text(place.name, place.known.get(place.name), edited).removesuffix("\n")
        trace = f"{TRACE}/{task.id}.json"
        if trace in place.known or (self.files.folder / trace).is_file():
            try:
                lineage = Lineage.from_json(self.files.text(trace, place.known.get(trace), edited))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SampleFault("damaged_trace", f"{trace} is damaged ({error})") from None
        source = digest(text + (lineage.to_json() if lineage else ""))
        return Task(task.id, source, Traced(task.id, text, lineage), lineage.uuid if lineage else "", edited=(*edited,))


def traced_tasks(given: Given, names: Sequence[str]) -> Iterator[Task]:
    """Yield one read task per file; its payload is Traced. A sample whose files are not those of the stage before
    fails."""
    read = TracedReader(given.files)
    for task in traced_places(given, names):
        yield task_of(task.id, partial(read, task), task.uuid)


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
        _correctness(sample),
        edits.fingerprint(chain),
        len(chain),
        chain.count("\n") + 1,
        output=sample.output,
    )


def _correctness(sample: Sample) -> bool | None:
    """Return the source's mark; without one, False for a chain that was kept although it was graded wrong."""
    graded_wrong = sample.correctness is None and sample.extra.get("graded") == "wrong"
    return False if graded_wrong else sample.correctness


def bare_lineage(trajectory_blocks: tuple, id: str, problem: str = "") -> Lineage:
    """Return an empty lineage, to record later edits of a trajectory without a trace: its chain is unknown, and taken
    to have had a blank line after each thread."""
    thread = edits.ThreadLineage(0, 0, after="\n\n")
    blocks = tuple(
        edits.BlockLineage(0, 0, (*[thread] * (len(block.threads) - 1), edits.ThreadLineage(0, 0)))
        for block in trajectory_blocks
    )
    return Lineage(int(id) if id.isdecimal() else 0, id, problem, "", None, "", 0, 0, blocks)


def contexts(trajectory: markup.Trajectory, lineage: Lineage | None) -> list[str]:
    """Return the context of each block: everything before it in the chain's own words, without markup and edits.

    Steps 3 and 4 both ask about a block with this context, not with the text that the edits of earlier blocks leave:
    so their requests begin with the same bytes, which a provider's cache serves, all blocks of a chain share one
    prefix, and what becomes of one block changes no request about a later one. Edits leave the mathematics alone, so
    the edited context says the same.
    """
    if lineage is None or len(lineage.blocks) != len(trajectory.blocks):
        lineage = bare_lineage(trajectory.blocks, "")
    found, written, cursor = [], "", 0
    for block, origin in zip(trajectory.blocks, lineage.blocks, strict=True):
        written += trajectory.text[cursor : block.start]
        found.append(written)
        written += _own_text(block, origin)
        cursor = block.end
    return found


def _own_text(block: markup.Block, origin: edits.BlockLineage) -> str:
    """Return the passage that a block was made from or, where it was edited by hand since, its threads as they are."""
    try:
        return edits.restore_block(block, origin)
    except edits.ConservationError:
        return "\n\n".join(thread.body for thread in block.threads)


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
