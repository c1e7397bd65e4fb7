"""The questions put to an annotator about the blocks of a trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditQuestion:
    """One thread to be rewritten. `block` and `thread` count from 0; `context` is everything before the block."""

    block: int
    thread: int
    problem: str
    context: str
    siblings: Mapping[int, str]
    """Number (from 1) -> text of the threads that this one must not depend on."""
    passage: str


@dataclass(frozen=True, slots=True)
class OutlineQuestion:
    """One block whose threads need outlines; `block` counts from 0."""

    block: int
    problem: str
    context: str
    """What the annotator sees: everything before the block, or its last lines."""
    threads: tuple[str, ...]
    before: str | None = None
    """Everything before the block, where `context` is less than that."""

    @property
    def known(self) -> str:
        """Return what an outline may refer to: the problem and everything before the block."""
        return f"{self.problem}\n{self.context if self.before is None else self.before}"


@dataclass(frozen=True, slots=True)
class RefereeQuestion:
    """A block to be judged by a referee; `block` counts from 0, `context` is everything before the block."""

    block: int
    problem: str
    context: str
    threads: tuple[str, ...]
    outlines: tuple[str, ...]
    """Empty for a block without outlines."""
