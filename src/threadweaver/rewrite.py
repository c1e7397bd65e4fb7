"""Rewriting threads so that none leans on a sibling: the questions of one trajectory, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from threadweaver import edits, markup
from threadweaver.edits import Record, Replacement


@dataclass(frozen=True, slots=True)
class Question:
    """One thread under review. `block` and `thread` count from 0; `context` is all that precedes the block."""

    block: int
    thread: int
    problem: str
    context: str
    siblings: tuple[str, ...]
    """The other threads of the block, in order: what this one must not lean on."""
    passage: str


def questions(trajectory: markup.Trajectory, problem: str) -> list[Question]:
    """One question for each thread but the first of its block."""
    return [
        Question(
            number, at, problem, trajectory.text[: block.start],
            tuple(other.body for other in block.threads if other is not thread), thread.body,
        )
        for number, block in enumerate(trajectory.blocks)
        for at, thread in enumerate(block.threads)
        if at
    ]


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
            threads,
            [outline.body for outline in block.outlines],
            block.conclusion.body if block.conclusion else None,
        )
        for threads, block in zip(bodies, trajectory.blocks, strict=True)
    ]
    blocks = tuple(
        replace(block, threads=tuple(notes)) for block, notes in zip(record.blocks, records, strict=True)
    )
    return trajectory.replace_blocks(written), replace(record, blocks=blocks)


def edited_characters(record: Record) -> int:
    """Characters taken out and put in by the edits of all threads."""
    return sum(
        len(edit.src) + len(edit.dest) for block in record.blocks for thread in block.threads for edit in thread.edits
    )
