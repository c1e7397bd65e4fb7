"""Stage 4: one question per block, and the answers written into the trajectory."""

from __future__ import annotations

from collections.abc import Sequence

from threadweaver.trajectory import markup
from threadweaver.trajectory.questions import OutlineQuestion


def outline_questions(
    trajectory: markup.Trajectory, problem: str, context_lines: int | None = None
) -> list[OutlineQuestion]:
    """One question a block; `context_lines` shows only the last lines of the text before it."""
    asked = []
    for number, block in enumerate(trajectory.blocks):
        before = trajectory.text[: block.start]
        shown = _last_lines(before, context_lines)
        threads = tuple(thread.body for thread in block.threads)
        asked.append(OutlineQuestion(number, problem, shown, threads, None if shown == before else before))
    return asked


def _last_lines(text: str, count: int | None) -> str:
    return text if count is None else "\n".join(text.split("\n")[-count - 1 :])


def insert_outlines(trajectory: markup.Trajectory, outlines: Sequence[Sequence[str]]) -> str:
    """The trajectory with the outlines of each block; line breaks inside an outline become spaces."""
    written = [
        markup.write_block(
            [thread.body for thread in block.threads],
            [" ".join(text.split()) for text in texts],
            block.conclusion.body if block.conclusion else None,
        )
        for block, texts in zip(trajectory.blocks, outlines, strict=True)
    ]
    return trajectory.replace_blocks(written)
