"""Stage 1: annotate the steps of a chain, with line ranges and the groups that may run in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from threadweaver.annotators.protocol import Annotator, add_up
from threadweaver.files import digest
from threadweaver.runs.runner import Result, Task
from threadweaver.samples import Sample, read_collected, read_sample
from threadweaver.trajectory.annotation import file_name


async def annotate(sample: Sample, annotator: Annotator, chat: str = "chat") -> Result:
    """Annotate one chain; `chat` is the folder of the conversations, relative to the output."""
    answer = await annotator.steps(sample)
    files = {f"{chat}/{sample.uuid}_chat.txt": answer.chat} if answer.chat else {}
    facts = add_up([answer])
    if answer.value is None:
        refused = {"refused": True} if answer.refused else {}
        return Result("failed", answer.reason, files, facts | refused)
    files = {file_name(sample.uuid): answer.value, **files}
    return Result("ok", None, files, facts, value=answer.value)


def read_chains(path: Path) -> Sequence[Sample]:
    """Return the collected samples; a single `<i>.txt` gets its problem from the collected.jsonl next to it, if any."""
    if path.suffix != ".txt":
        return read_collected(path)
    collected = path.parent / "collected.jsonl"
    samples = read_collected(collected) if collected.is_file() else []
    known = [sample for sample in samples if str(sample.index) == path.stem]
    return known or [Sample(0, path.stem, "", read_sample(path))]


def to_task(sample: Sample) -> Task:
    return Task(str(sample.index), digest(sample.problem + "\n" + sample.thinking), sample, sample.uuid)
