"""The referee: a second model judges the blocks of a trajectory; its findings are files of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from threadweaver.annotators.protocol import Answer, Referee, add_up
from threadweaver.errors import SampleFault
from threadweaver.files import digest
from threadweaver.runs.given import Files, Given
from threadweaver.runs.runner import Result, Task
from threadweaver.stages.traced import Traced, TracedReader, sequentialize
from threadweaver.text import parse_json
from threadweaver.trajectory import markup
from threadweaver.trajectory.findings import BlockFindings
from threadweaver.trajectory.questions import RefereeQuestion


async def judge(traced: Traced, referee: Referee) -> Result:
    """Ask about all blocks of a sample at once. A block whose reply cannot be used stays unjudged; a call without a
    reply fails the sample, so that a later run asks again."""
    trajectory = markup.parse(traced.text)
    asked = questions(trajectory, traced.problem)
    answers = await asyncio.gather(*(referee.findings(question) for question in asked))
    facts = add_up(answers)
    if lost := next((answer for answer in answers if answer.lost), None):
        return Result("failed", lost.reason, facts=facts)
    found = [answer.value for answer in answers]
    facts |= {
        "blocks": len(asked),
        "judged": sum(item is not None for item in found),
        "independent": sum(item is not None and item.independent for item in found),
        "high_worth": sum(item is not None and item.worth == "high" for item in found),
    }
    files = {f"{traced.id}.json": _to_json(traced.text, answers)}
    return Result("ok", None, files, facts, value=found) if asked else Result("unchanged", "no_block", files, facts)


def questions(trajectory: markup.Trajectory, problem: str) -> list[RefereeQuestion]:
    """Return one question per block, with everything before it."""
    return [
        RefereeQuestion(
            number,
            problem,
            trajectory.text[: block.start],
            tuple(thread.body for thread in block.threads),
            tuple(item.body for item in block.outlines or ()),
        )
        for number, block in enumerate(trajectory.blocks)
    ]


def _to_json(text: str, answers: list[Answer[BlockFindings]]) -> str:
    blocks = [None if answer.value is None else answer.value.to_json() for answer in answers]
    return json.dumps({"text": digest(text), "blocks": blocks}, ensure_ascii=False, indent=1) + "\n"


def refereed_places(tasks: Iterable[Task], given: Given) -> Iterator[Task]:
    """Yield the unread tasks of stage 5 with the hashes of the referee's findings; `given` is the referee's folder."""
    for task in tasks:
        yield replace(task, payload=(task.payload, given.known(task.id).get(f"{task.id}.json")))


@dataclass(frozen=True, slots=True)
class RefereedReader:
    """Reads the tasks of `refereed_places`, with the findings taken in. Raises SampleFault where findings are about
    another text; a sample without any stays as it is."""

    read: TracedReader
    findings: Files

    def __call__(self, task: Task) -> Task:
        place, known = task.payload
        name, edited = f"{task.id}.json", []
        task = self.read(replace(task, payload=place))
        if known is None and not (self.findings.folder / name).is_file():
            return task
        text = self.findings.text(name, known, edited)
        found = _read(f"{self.findings.folder.name}/{name}", text, task.payload.text)
        source, refereed = digest(task.source + text), with_findings(task.payload, found)
        return replace(task, source=source, payload=refereed, edited=(*task.edited, *edited))


def _read(place: str, findings: str, trajectory: str) -> list[BlockFindings | None]:
    """Return the findings about each block, None for one that was not judged. Raises SampleFault where they cannot be
    read or are about another text."""
    try:
        data = parse_json(findings)
        judged = [None if block is None else BlockFindings.from_json(block) for block in data["blocks"]]
        about = data["text"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SampleFault("damaged_findings", f"{place} is damaged ({error}): run the referee again") from None
    if about != digest(trajectory) or len(judged) != len(markup.parse(trajectory).blocks):
        raise SampleFault("findings_of_another_text", f"{place} is about another text: run the referee again")
    return judged


def with_findings(traced: Traced, found: list[BlockFindings | None]) -> Traced:
    """Return the sample with the findings as notes of its lineage; blocks that the referee calls dependent become
    sequential again."""
    if traced.lineage is None:
        return traced
    notes = [
        {"kind": "referee", "block": number, **item.to_json(), "independent": item.independent}
        for number, item in enumerate(found, 1)
        if item is not None
    ]
    lineage = replace(traced.lineage, notes=(*traced.lineage.notes, *notes))
    back = {}
    for number, item in enumerate(found, 1):
        if item is not None and item.dependence:
            thread, taken = item.dependence
            back[number] = ("referee", f"thread {thread} takes {taken.quote!r} from thread {taken.sibling}")
    if not back or not lineage.sha256:
        return replace(traced, lineage=lineage)
    text, lineage = sequentialize(markup.parse(traced.text), lineage, back)
    return replace(traced, text=text, lineage=lineage)
