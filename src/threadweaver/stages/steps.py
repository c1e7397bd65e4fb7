"""Stage 1: annotate the steps of a chain, with line ranges and the groups that may run in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.annotators.protocol import Annotator, add_up, at_once
from threadweaver.errors import SampleFault
from threadweaver.files import digest
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Places, Read, Result, Task, task_of
from threadweaver.samples import Sample
from threadweaver.stages.collected import COLLECTED, Row, RowReader, Rows
from threadweaver.text import whole
from threadweaver.trajectory.annotation import file_name


async def annotate(sample: Sample, annotator: Annotator, chat: str = "chat") -> Result:
    """Annotate one chain; `chat` is the folder of the conversations, relative to the output."""
    answer = await annotator.steps(sample)
    files = {f"{chat}/{sample.uuid}_chat.txt": whole(answer.chat)} if answer.chat else {}
    facts = add_up([answer])
    if answer.value is None:
        refused = {"refused": True} if answer.refused else {}
        return Result("failed", answer.reason, files, facts | refused)
    files = {file_name(sample.uuid): answer.value, **files}
    return Result("ok", None, files, facts, value=answer.value)


@dataclass(frozen=True, slots=True)
class AnnotateAtOnce:
    """Annotates a chain with an annotator that waits for nobody."""

    annotator: Annotator
    chat: str

    def __call__(self, task: Task) -> Result:
        return at_once(annotate(task.payload, self.annotator, self.chat))


@dataclass(frozen=True, slots=True)
class StepsReader:
    """Reads the tasks of `places`: the payload is a collected sample."""

    rows: RowReader

    def __call__(self, task: Task) -> Task:
        return to_task(self.rows(task.payload))


def places(given: Given) -> tuple[Sequence[Task], Read | None]:
    """Return one task per collected sample, and what reads them, None if they are read.

    A single `<i>.txt` gets its problem from the collected.jsonl next to it, if there is one.
    """
    path = given.path
    if path.suffix == ".txt":
        collected = path.parent / COLLECTED
        rows = Rows(given, collected) if collected.is_file() else ()
        known = rows.read(path.stem) if path.stem in rows else None
        return [task_of(path.stem, lambda: to_task(_single(given, path, known)))], None
    rows = Rows(given)

    def make(ids: Sequence[str]) -> Iterator[Task]:
        for id, place in zip(ids, rows.places(ids), strict=True):
            fault = place if isinstance(place, SampleFault) else None
            yield Task(id, "", None if fault else place, rows.uuid(id), fault)

    return Places(rows.ids, make), StepsReader(rows.reader)


def _single(given: Given, path: Path, known: Row | None) -> Row:
    edited: list[str] = []
    text = given.files.text(path.name, given.known(path.stem).get(path.name), edited).removesuffix("\n")
    return known or Row("0", path.stem, Sample(0, path.stem, "", text), edited=tuple(edited))


def to_task(row: Row) -> Task:
    if row.sample is None:
        return Task(row.id, "", None, row.uuid, row.fault)
    source = digest(row.sample.problem + "\n" + row.sample.thinking)
    return Task(row.id, source, row.sample, row.uuid, edited=row.edited)
