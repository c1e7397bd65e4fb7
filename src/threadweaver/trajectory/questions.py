"""The questions that an annotator is asked about the blocks of a trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditQuestion:
    """One thread under review. `block` and `thread` count from 0; `context` is all that precedes the block."""

    block: int
    thread: int
    problem: str
    context: str
    siblings: Mapping[int, str]
    """Number (from 1) -> text of the threads that this one must not lean on."""
    passage: str


@dataclass(frozen=True, slots=True)
class OutlineQuestion:
    """One block (`block` counts from 0) and what precedes it."""

    block: int
    problem: str
    context: str
    """What an annotator is shown: all that precedes the block, or its last lines."""
    threads: tuple[str, ...]
    before: str | None = None
    """All that precedes the block, where `context` is less."""

    @property
    def known(self) -> str:
        """What an outline may speak of: the problem and all that precedes the block."""
        return f"{self.problem}\n{self.context if self.before is None else self.before}"
