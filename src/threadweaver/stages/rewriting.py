"""Rewriting threads so that none leans on a sibling: the questions of one trajectory, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from threadweaver import independence
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import Lineage, Replacement
from threadweaver.trajectory.questions import EditQuestion

SUSPECTED = 0.3
"""From this score on a leak is worth an annotator's look; `dependencies.CERTAIN` is where it is taken for sure."""


def edit_questions(trajectory: markup.Trajectory, problem: str, *, only_suspected: bool = False) -> list[EditQuestion]:
    """One question for each thread but the first of its block; with `only_suspected` for those alone that seem to
    lean on a sibling.

    A thread is held against exactly the siblings that the evidence points at, in full; where there is none, against
    all of them.
    """
    asked = []
    for number, block in enumerate(trajectory.blocks):
        context = trajectory.text[: block.start]
        suspects = _suspects(block, problem, context)
        for at, thread in enumerate(block.threads):
            sources = suspects.get(at, set())
            if at and (sources or not only_suspected):
                siblings = {
                    k + 1: other.body
                    for k, other in enumerate(block.threads)
                    if k != at and (k in sources or not sources)
                }
                asked.append(EditQuestion(number, at, problem, context, siblings, thread.body))
    return asked


def _suspects(block: markup.Block, problem: str, context: str) -> dict[int, set[int]]:
    """Thread -> the siblings that it seems to lean on."""
    found: dict[int, set[int]] = {}
    for leak in independence.leaks(f"{problem}\n\n{context}", [thread.body for thread in block.threads]):
        if leak.score >= SUSPECTED:
            found.setdefault(leak.target, set()).add(leak.source)
    return found


def leaks(trajectory: markup.Trajectory, problem: str, threshold: float = independence.CONFIDENT) -> list[dict]:
    """Every leak between siblings of this score or more: block and threads (from 1), what, where defined and used
    (offsets in the two threads), score."""
    found = []
    for number, block in enumerate(trajectory.blocks, 1):
        context = f"{problem}\n\n{trajectory.text[: block.start]}"
        for leak in independence.leaks(context, [thread.body for thread in block.threads]):
            if leak.score >= threshold:
                found.append(
                    {
                        "kind": "leak",
                        "block": number,
                        "source": leak.source + 1,
                        "target": leak.target + 1,
                        "evidence": leak.kind,
                        "what": leak.what,
                        "defined_at": leak.defined_at,
                        "used_at": leak.used_at,
                        "score": round(leak.score, 3),
                    }
                )
    return found


def apply_answers(
    trajectory: markup.Trajectory, record: Lineage, answers: Sequence[tuple[EditQuestion, Sequence[Replacement]]]
) -> tuple[str, Lineage]:
    """The trajectory with the replacements made, and the record that can undo them."""
    bodies = [[thread.body for thread in block.threads] for block in trajectory.blocks]
    records = [list(block.threads) for block in record.blocks]
    for question, replacements in answers:
        applied = edits.apply(question.passage, replacements)
        bodies[question.block][question.thread] = applied.text
        note = records[question.block][question.thread]
        records[question.block][question.thread] = replace(
            note, edits=(*note.edits, *applied.edits), skipped=(*note.skipped, *applied.skipped)
        )
    written = [
        markup.write_block(
            threads, [outline.body for outline in block.outlines], block.conclusion.body if block.conclusion else None
        )
        for threads, block in zip(bodies, trajectory.blocks, strict=True)
    ]
    blocks = tuple(replace(block, threads=tuple(notes)) for block, notes in zip(record.blocks, records, strict=True))
    return trajectory.replace_blocks(written), replace(record, blocks=blocks)


def sequentialize(
    trajectory: markup.Trajectory, record: Lineage, back: Mapping[int, tuple[str, str]]
) -> tuple[str, Lineage]:
    """The trajectory with these blocks (number from 1 -> code and detail) put back as the chain had them, and its record."""
    texts, kept, unused = [], [], list(record.unused)
    for number, (block, note) in enumerate(zip(trajectory.blocks, record.blocks, strict=True), 1):
        if number in back:
            texts.append(edits.restore_block(block, note))
            unused.append(edits.Unused(number, note.first, note.last, *back[number]))
        else:
            texts.append(markup.canonical(block))
            kept.append(note)
    return trajectory.replace_blocks(texts), replace(record, blocks=tuple(kept), unused=tuple(unused))


def sequentialize_leaking(text: str, record: Lineage, threshold: float) -> tuple[str, Lineage]:
    """The trajectory with the blocks put back in sequence of which a thread still holds mathematics of a sibling.

    Wording that points at a sibling is noted and left: the annotator saw it, and may have known better.
    """
    trajectory = markup.parse(text)
    found = leaks(trajectory, record.problem, threshold)
    why = {
        leak["block"]: ("leak", f"thread {leak['target']} uses {leak['what']} of thread {leak['source']}")
        for leak in reversed(found)
        if leak["evidence"] in independence.MATHEMATICAL
    }
    if why and record.sha256:  # without a lineage nothing can be put back
        text, record = sequentialize(trajectory, record, why)
    return text, replace(record, notes=(*record.notes, *found))


def edited_characters(record: Lineage) -> int:
    """Characters taken out and put in by the edits of all threads."""
    return sum(
        len(edit.src) + len(edit.dest) for block in record.blocks for thread in block.threads for edit in thread.edits
    )
