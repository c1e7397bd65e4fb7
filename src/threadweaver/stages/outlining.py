"""Stage 4: write the outlines that announce the threads of each block."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from threadweaver.annotators.protocol import Annotator, Answer, add_up
from threadweaver.outlines.checks import GIVES_AWAY, OutlineFault, check_outlines
from threadweaver.runs.runner import Result
from threadweaver.stages.traced import Traced, contexts, sequentialize, traced_files
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import Lineage
from threadweaver.trajectory.questions import OutlineQuestion, portions

Faults = Mapping[int, Sequence[OutlineFault]]
"""Block number (from 1) → faults of its outlines, worst first."""


@dataclass(frozen=True, slots=True)
class OutlineOptions:
    context_lines: int | None = None
    """Lines shown before a block; None shows all."""
    keep_telling: bool = False
    """Keep a block even if an outline gives away a result of its thread."""


async def outline(traced: Traced, annotator: Annotator, options: OutlineOptions) -> Result:
    """Ask about all blocks of a sample at once. A block without acceptable outlines becomes sequential again; a
    call without a reply fails the sample, so that a later run asks again."""
    trajectory, lineage = markup.parse(traced.text), traced.lineage
    asked = outline_questions(trajectory, lineage, options.context_lines)
    if not asked:
        return Result("unchanged", "no_block", traced_files(traced.id, traced.text, lineage), value=traced)
    answers = await asyncio.gather(*(annotator.outlines(question) for question in asked))
    facts = add_up(answers)
    if lost := next((answer for answer in answers if answer.lost), None):
        return Result("failed", lost.reason, facts=facts)
    blocks = whole_blocks(asked, answers)
    found = find_faults(blocks)
    restorable = lineage is not None and bool(lineage.sha256)  # without a lineage no block can be restored
    back = {
        number: faults[0]
        for number, faults in found.items()
        if restorable and must_be_sequential(faults, options.keep_telling)
    }
    staying = {number: faults for number, faults in found.items() if number not in back}
    facts["outline_faults"] = dict(Counter(fault.code for faults in staying.values() for fault in faults))
    facts["unused"] = [fault.code for fault in back.values()]
    facts["blocks"] = len(blocks) - len(back)
    if unfit := next((number for number, faults in staying.items() if faults[0].code not in GIVES_AWAY), None):
        facts["error"] = f"block {unfit}: {found[unfit][0]}"
        return Result("failed", "poor_outlines", facts=facts)
    text, lineage = with_outlines(trajectory, lineage, [answer.value for _, answer in blocks], found, back)
    outcome = ("ok", None) if facts["blocks"] else ("unchanged", "no_block")
    return Result(*outcome, traced_files(traced.id, text, lineage), facts, value=Traced(traced.id, text, lineage))


def outline_questions(
    trajectory: markup.Trajectory, lineage: Lineage | None, context_lines: int | None = None
) -> list[OutlineQuestion]:
    """Return one question per block, or several for one of many threads; `context_lines` shows only the last lines of
    the text before it."""
    asked = []
    problem = lineage.problem if lineage else ""
    for number, (block, before) in enumerate(zip(trajectory.blocks, contexts(trajectory, lineage), strict=True)):
        shown = _last_lines(before, context_lines)
        threads = tuple(thread.body for thread in block.threads)
        whole = None if shown == before else before
        asked += [
            OutlineQuestion(number, problem, shown, threads, numbers, whole) for numbers in portions(len(threads))
        ]
    return asked


def _last_lines(text: str, count: int | None) -> str:
    return text if count is None else "\n".join(text.split("\n")[-count - 1 :])


def whole_blocks(
    asked: Sequence[OutlineQuestion], answers: Sequence[Answer[list[str]]]
) -> list[tuple[OutlineQuestion, Answer[list[str]]]]:
    """Return one question and answer per block; without the answer about some of its threads a block has none."""
    blocks = []
    for _, pairs in groupby(zip(asked, answers, strict=True), key=lambda pair: pair[0].block):
        questions, parts = zip(*pairs, strict=True)
        whole = replace(questions[0], asked=tuple(number for question in questions for number in question.asked))
        missing = next((part for part in parts if part.value is None), None)
        blocks.append((whole, missing or Answer([text for part in parts for text in part.value])))
    return blocks


def find_faults(blocks: Sequence[tuple[OutlineQuestion, Answer[list[str]]]]) -> Faults:
    """Return the faults of the outlines of each block; for a block without an answer, the reason for that."""
    found = {}
    for question, answer in blocks:
        if answer.value is None:
            faults = [OutlineFault(answer.reason, None, str(answer.facts.get("error", "no reply was accepted")))]
        else:
            faults = sorted(check_outlines(answer.value, question), key=lambda fault: fault.code != "gives_result")
        if faults:
            found[question.block + 1] = faults
    return found


def must_be_sequential(faults: Sequence[OutlineFault], keep_telling: bool) -> bool:
    """Whether a block must become sequential: it has no usable outlines, or one gives away a result.

    Wording that points at a sibling is noted but kept, as in stage 3.
    """
    kept = ("leans_on_sibling", "gives_result") if keep_telling else ("leans_on_sibling",)
    return any(fault.code not in kept for fault in faults)


def with_outlines(
    trajectory: markup.Trajectory,
    lineage: Lineage | None,
    outlines: Sequence[Sequence[str] | None],
    found: Faults,
    back: Mapping[int, OutlineFault],
) -> tuple[str, Lineage | None]:
    """Return the trajectory with the outlines of the remaining blocks, and its lineage with the faults found."""
    if lineage:
        notes = [
            {"kind": "outline", "block": number, "outline": fault.number, "code": fault.code, "detail": str(fault)}
            for number, faults in found.items()
            for fault in faults
        ]
        lineage = replace(lineage, notes=(*lineage.notes, *notes))
    if lineage and back:
        why = {number: (fault.code, str(fault)) for number, fault in back.items()}
        text, lineage = sequentialize(trajectory, lineage, why)
        trajectory = markup.parse(text)
    kept = [texts for number, texts in enumerate(outlines, 1) if number not in back]
    return insert_outlines(trajectory, kept), lineage


def insert_outlines(trajectory: markup.Trajectory, outlines: Sequence[Sequence[str]]) -> str:
    """Return the trajectory with the outlines of each block; line breaks inside an outline become spaces."""
    written = [
        markup.canonical(block, outlines=[" ".join(text.split()) for text in texts])
        for block, texts in zip(trajectory.blocks, outlines, strict=True)
    ]
    return trajectory.replace_blocks(written)
