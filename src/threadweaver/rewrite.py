"""Rewriting threads so that none leans on a sibling: the questions of one trajectory, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver import dependencies, edits, markup
from threadweaver.edits import Record, Replacement

SUSPECTED = 0.3
"""From this score on a leak is worth an annotator's look; `dependencies.CERTAIN` is where it is taken for sure."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thread under review. `block` and `thread` count from 0; `context` is all that precedes the block."""

    block: int
    thread: int
    problem: str
    context: str
    siblings: Mapping[int, str]
    """Number (from 1) -> text of the threads that this one must not lean on."""
    passage: str


def questions(trajectory: markup.Trajectory, problem: str, *, only_suspected: bool = False) -> list[Question]:
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
                asked.append(Question(number, at, problem, context, siblings, thread.body))
    return asked


def _suspects(block: markup.Block, problem: str, context: str) -> dict[int, set[int]]:
    """Thread -> the siblings that it seems to lean on."""
    found: dict[int, set[int]] = {}
    for leak in dependencies.leaks(f"{problem}\n\n{context}", [thread.body for thread in block.threads]):
        if leak.score >= SUSPECTED:
            found.setdefault(leak.target, set()).add(leak.source)
    return found


def leaks(trajectory: markup.Trajectory, problem: str, threshold: float = dependencies.CERTAIN) -> list[dict]:
    """Every leak between siblings of this score or more: block and threads (from 1), what, where defined and used
    (offsets in the two threads), score."""
    found = []
    for number, block in enumerate(trajectory.blocks, 1):
        context = f"{problem}\n\n{trajectory.text[: block.start]}"
        for leak in dependencies.leaks(context, [thread.body for thread in block.threads]):
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
    trajectory: markup.Trajectory, record: Record, answers: Sequence[tuple[Question, Sequence[Replacement]]]
) -> tuple[str, Record]:
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


def make_sequential(
    trajectory: markup.Trajectory, record: Record, back: Mapping[int, tuple[str, str]]
) -> tuple[str, Record]:
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


def without_leaks(text: str, record: Record, threshold: float) -> tuple[str, Record]:
    """The trajectory with the blocks put back in sequence of which a thread still holds mathematics of a sibling.

    Wording that points at a sibling is noted and left: the annotator saw it, and may have known better.
    """
    trajectory = markup.parse(text)
    found = leaks(trajectory, record.problem, threshold)
    why = {
        leak["block"]: ("leak", f"thread {leak['target']} uses {leak['what']} of thread {leak['source']}")
        for leak in reversed(found)
        if leak["evidence"] in dependencies.SUBSTANCE
    }
    if why and record.sha256:  # without a lineage nothing can be put back
        text, record = make_sequential(trajectory, record, why)
    return text, replace(record, notes=(*record.notes, *found))


def edited_characters(record: Record) -> int:
    """Characters taken out and put in by the edits of all threads."""
    return sum(
        len(edit.src) + len(edit.dest) for block in record.blocks for thread in block.threads for edit in thread.edits
    )
