"""Stage 3: rewrite threads so that none depends on a sibling, with as few changes as possible."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver.annotators.protocol import Annotator, add_up
from threadweaver.independence import CONFIDENT
from threadweaver.runs.runner import Result
from threadweaver.stages.block_leaks import BlockLeaks
from threadweaver.stages.traced import Traced, bare_lineage, contexts, sequentialize, traced_files
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import Lineage, Replacement
from threadweaver.trajectory.questions import EditQuestion, portions


@dataclass(frozen=True, slots=True)
class RewriteOptions:
    max_leak: float = CONFIDENT
    """Make a block sequential again if a thread still uses a sibling's mathematics with this score or more."""


async def rewrite(traced: Traced, annotator: Annotator, options: RewriteOptions) -> Result:
    """Ask about all blocks of a sample at once, and apply the replacements.

    A thread whose reply cannot be used stays as it is; if it seems to depend on a sibling, its block becomes
    sequential again. A call without a reply fails the sample.
    """
    trajectory = markup.parse(traced.text)
    lineage = traced.lineage or bare_lineage(trajectory.blocks, traced.id)
    before = BlockLeaks.read(trajectory, lineage.problem)
    asked = edit_questions(trajectory, lineage)
    answers = await asyncio.gather(*(annotator.edits(question) for question in asked))
    facts = add_up(answers)
    if lost := next((answer for answer in answers if answer.lost), None):
        return Result("failed", lost.reason, facts=facts)
    answered = list(zip(asked, answers, strict=True))
    text, lineage = apply_answers(
        trajectory, lineage, [(question, answer.value or {}) for question, answer in answered]
    )
    refused = {
        (question.block, number - 1): answer.reason
        for question, answer in answered
        if answer.refused
        for number in question.asked
    }
    facts |= {
        "edits": sum(len(thread.edits) for block in lineage.blocks for thread in block.threads),
        "edited_characters": edited_characters(lineage),
        "left_out": [item.code for block in lineage.blocks for thread in block.threads for item in thread.skipped],
        "leaks_before": len(before.notes(options.max_leak)),
        "not_rewritten": len(refused),
    }
    text, lineage = sequentialize_unrewritten(text, lineage, before, refused)
    text, lineage, after = sequentialize_leaking(text, lineage, before, options.max_leak)
    facts |= {"leaks_after": len(after.notes(options.max_leak)), "blocks": len(lineage.blocks)}
    reason = None if facts["edits"] else _why_unchanged(trajectory, refused)
    return Result(
        "unchanged" if reason else "ok",
        reason,
        traced_files(traced.id, text, lineage),
        facts,
        value=Traced(traced.id, text, lineage),
    )


def _why_unchanged(trajectory: markup.Trajectory, refused: Mapping) -> str:
    """Return why a sample has no edits: a reply that cannot be read is no opinion."""
    if not trajectory.blocks:
        return "no_block"
    return "not_rewritten" if refused else "nothing_to_change"


def edit_questions(trajectory: markup.Trajectory, lineage: Lineage) -> list[EditQuestion]:
    """Return one question per block, or several for one of many threads; all threads are shown and asked about.

    Also the first: it depends on no thread before it, but its end may announce the next one.
    """
    asked = []
    known = zip(trajectory.blocks, lineage.blocks, contexts(trajectory, lineage), strict=True)
    for number, (block, origin, context) in enumerate(known):
        threads = tuple(thread.body for thread in block.threads)
        plans = tuple(thread.plan for thread in origin.threads)
        asked += [
            EditQuestion(number, lineage.problem, context, threads, numbers, plans)
            for numbers in portions(len(threads))
        ]
    return asked


def apply_answers(
    trajectory: markup.Trajectory,
    lineage: Lineage,
    answers: Sequence[tuple[EditQuestion, Mapping[int, Sequence[Replacement]]]],
) -> tuple[str, Lineage]:
    """Return the trajectory with the replacements applied, and the lineage that can undo them."""
    bodies = [[thread.body for thread in block.threads] for block in trajectory.blocks]
    thread_lineages = [list(block.threads) for block in lineage.blocks]
    for question, proposed in answers:
        for number, passage in question.passages.items():
            applied = edits.apply(passage, proposed.get(number, ()))
            bodies[question.block][number - 1] = applied.text
            note = thread_lineages[question.block][number - 1]
            thread_lineages[question.block][number - 1] = replace(
                note, edits=(*note.edits, *applied.edits), skipped=(*note.skipped, *applied.skipped)
            )
    written = [
        markup.canonical(block, threads=threads) for threads, block in zip(bodies, trajectory.blocks, strict=True)
    ]
    blocks = tuple(
        replace(block, threads=tuple(notes)) for block, notes in zip(lineage.blocks, thread_lineages, strict=True)
    )
    return trajectory.replace_blocks(written), replace(lineage, blocks=blocks)


def sequentialize_unrewritten(
    text: str, lineage: Lineage, before: BlockLeaks, refused: Mapping[tuple[int, int], str]
) -> tuple[str, Lineage]:
    """Make the blocks sequential again in which a thread seems to depend on a sibling and was not rewritten.

    `refused` maps block and thread, from 0, to the reason code; `before` is the analysis of the text before the
    edits.
    """
    notes = [
        {"kind": "not_rewritten", "block": block + 1, "thread": thread + 1, "code": code}
        for (block, thread), code in refused.items()
    ]
    lineage = replace(lineage, notes=(*lineage.notes, *notes))
    back = {
        block + 1: (code, f"thread {thread + 1} leans on a sibling and was not rewritten")
        for (block, thread), code in refused.items()
        if thread in before.suspects(block)
    }
    return sequentialize(markup.parse(text), lineage, back) if back and lineage.sha256 else (text, lineage)


def sequentialize_leaking(
    text: str, lineage: Lineage, before: BlockLeaks, threshold: float
) -> tuple[str, Lineage, BlockLeaks]:
    """Make the blocks sequential again in which a thread still uses a sibling's mathematics; also return the new
    analysis."""
    leaks = _read(text, lineage, before)
    notes = leaks.notes(threshold)
    back = {
        block: ("leak", f"thread {leak.target + 1} uses {leak.what} of thread {leak.source + 1}")
        for block, leak in leaks.strongest(threshold).items()
    }
    if back and lineage.sha256:  # without a lineage no block can be restored
        text, lineage = sequentialize(leaks.trajectory, lineage, back)
        leaks = _read(text, lineage, leaks)
    return text, replace(lineage, notes=(*lineage.notes, *notes)), leaks


def _read(text: str, lineage: Lineage, known: BlockLeaks) -> BlockLeaks:
    """Analyse a text, unless it is the one already analysed."""
    return known if text == known.trajectory.text else BlockLeaks.read(markup.parse(text), lineage.problem)


def edited_characters(lineage: Lineage) -> int:
    """Count the characters removed and inserted by the edits of all threads."""
    return sum(
        len(edit.src) + len(edit.dest) for block in lineage.blocks for thread in block.threads for edit in thread.edits
    )
