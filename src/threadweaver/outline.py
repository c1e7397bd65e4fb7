"""Outlines: what each thread of a block sets out to do, told before any of them begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from threadweaver import markup

MAX_CHARS = 600
"""An outline is a plan, not the thread: the published mean is about 60 tokens a block of 2.6."""

_PLACEHOLDER = re.compile(
    r"\W*+(?:(?:outline|thread|step|part|case|approach|plan|path|branch)?\W*+(?:\d+|[a-z])?|n/?a|none|null|todo|tbd|text|"
    r"description|placeholder|lorem ipsum.*)\W*+|\W*?(?:<.*>|\[.*\])\W*+",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Question:
    """One block (`block` counts from 0) and what precedes it."""

    block: int
    problem: str
    context: str
    threads: tuple[str, ...]


def questions(trajectory: markup.Trajectory, problem: str, context_lines: int | None = None) -> list[Question]:
    """One question a block; `context_lines` keeps only the last lines of the text before it."""
    return [
        Question(
            number, problem, _last_lines(trajectory.text[: block.start], context_lines),
            tuple(thread.body for thread in block.threads),
        )
        for number, block in enumerate(trajectory.blocks)
    ]


def _last_lines(text: str, count: int | None) -> str:
    return text if count is None else "\n".join(text.split("\n")[-count - 1 :])


def fault(outlines: Sequence[str], threads: int) -> str | None:
    """What makes these outlines unfit for a block of so many threads, in words; None when nothing does."""
    if len(outlines) != threads:
        return f"{len(outlines)} outlines for {threads} threads"
    seen: set[str] = set()
    for number, text in enumerate(outlines, 1):
        plain = " ".join(text.split()).lower().rstrip(".")
        if is_placeholder(text):
            return f"outline {number} says nothing ({text.strip()[:40]!r})"
        if markup.TAG_SHAPED.search(text):
            return f"outline {number} holds a tag"
        if len(text.strip()) > MAX_CHARS:
            return f"outline {number} has {len(text.strip())} characters, {MAX_CHARS} are allowed"
        if plain in seen:
            return f"outline {number} repeats one before it"
        seen.add(plain)
    return None


def is_placeholder(text: str) -> bool:
    return not text.strip() or _PLACEHOLDER.fullmatch(text.strip()) is not None


def insert(trajectory: markup.Trajectory, outlines: Sequence[Sequence[str]]) -> str:
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
