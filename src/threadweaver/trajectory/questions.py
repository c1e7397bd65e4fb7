"""The questions put to an annotator about the blocks of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

MOST_ASKED = 12
"""Threads that one call is asked about: the replies of a longer block are asked for in several."""


@dataclass(frozen=True, slots=True)
class EditQuestion:
    """Threads of a block to be rewritten; `block` counts from 0, `context` is everything before the block."""

    block: int
    problem: str
    context: str
    threads: tuple[str, ...]
    """All threads of the block."""
    asked: tuple[int, ...]
    """Numbers (from 1) of the threads to be rewritten."""
    plans: tuple[str, ...]
    """What each thread sets out to do, in the annotator's words; empty where it did not say."""

    @property
    def passages(self) -> dict[int, str]:
        """Return number (from 1) → text of the threads to be rewritten."""
        return {number: self.threads[number - 1] for number in self.asked}


@dataclass(frozen=True, slots=True)
class OutlineQuestion:
    """Threads of a block that need outlines; `block` counts from 0."""

    block: int
    problem: str
    context: str
    """What the annotator sees: everything before the block, or its last lines."""
    threads: tuple[str, ...]
    """All threads of the block."""
    asked: tuple[int, ...]
    """Numbers (from 1) of the threads that need an outline."""
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


def portions(count: int) -> list[tuple[int, ...]]:
    """Return the numbers 1 … count in as few portions as one call each may be asked about, of about the same size."""
    calls = -(-count // MOST_ASKED)
    bounds = [count * call // calls for call in range(calls + 1)]
    return [tuple(range(low + 1, high + 1)) for low, high in pairwise(bounds)]
