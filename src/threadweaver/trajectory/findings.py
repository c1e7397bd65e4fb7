"""What a referee finds about a block: what its threads take from each other, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

WORK = ("new", "re-check", "restatement")
OUTLINE = ("good", "tells", "void", "depends")
WORTH = ("high", "some", "none")


@dataclass(frozen=True, slots=True)
class Taken:
    """Something that a thread has from a sibling; threads are numbered from 1."""

    sibling: int
    quote: str
    """Literally in the thread."""
    rests_on: str
    """Literally in the sibling."""
    wording: bool = False
    """Only words point there: no content is taken."""


@dataclass(frozen=True, slots=True)
class ThreadFindings:
    takes: tuple[Taken, ...]
    work: str
    outline: str


@dataclass(frozen=True, slots=True)
class BlockFindings:
    threads: tuple[ThreadFindings, ...]
    sensible: bool
    worth: str

    @property
    def independent(self) -> bool:
        """Whether no thread takes anything but wording from a sibling."""
        return self.dependence is None

    @property
    def dependence(self) -> tuple[int, Taken] | None:
        """Return the first thread (from 1) that takes content from a sibling, and what it takes."""
        found = (
            (number, taken)
            for number, thread in enumerate(self.threads, 1)
            for taken in thread.takes
            if not taken.wording
        )
        return next(found, None)

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping) -> BlockFindings:
        """Read what `to_json` returned; raises KeyError, TypeError or ValueError for anything else."""
        threads = tuple(
            ThreadFindings(tuple(Taken(**taken) for taken in thread["takes"]), thread["work"], thread["outline"])
            for thread in data["threads"]
        )
        return cls(threads, data["sensible"], data["worth"])
