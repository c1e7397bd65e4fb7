"""Stage 1: annotate the steps of a chain, with line ranges and the groups that may run in parallel."""

from __future__ import annotations

from pathlib import Path

from threadweaver.annotators.protocol import Annotator, add_up
from threadweaver.files import digest
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Result, Task, task_of
from threadweaver.samples import Sample
from threadweaver.stages.collected import COLLECTED, Row, read_rows
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


def read_tasks(given: Given) -> list[Task]:
    """Return one task per collected sample; a single `<i>.txt` gets its problem from the collected.jsonl next to it,
    if there is one."""
    path = given.path
    if path.suffix != ".txt":
        return [to_task(row) for row in read_rows(given).values()]
    collected = path.parent / COLLECTED
    known = read_rows(given, collected).get(path.stem) if collected.is_file() else None
    return [task_of(path.stem, lambda: to_task(_single(given, path, known)))]


def _single(given: Given, path: Path, known: Row | None) -> Row:
    edited: list[str] = []
    text = given.text(path.name, edited).removesuffix("\n")
    return known or Row("0", path.stem, Sample(0, path.stem, "", text), edited=tuple(edited))


def to_task(row: Row) -> Task:
    if row.sample is None:
        return Task(row.id, "", None, row.uuid, row.fault)
    source = digest(row.sample.problem + "\n" + row.sample.thinking)
    return Task(row.id, source, row.sample, row.uuid, edited=row.edited)
