"""A chain cut into units, read passage by passage: every cut of it is scanned once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from threadweaver.annotators.rules.heads import Head
from threadweaver.annotators.rules.passages import Unit, units
from threadweaver.annotators.rules.skeletons import BLANKS, skeleton
from threadweaver.independence import Context, Leak, Lookup, Passage


class Span(NamedTuple):
    """Units first … last of a passage, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring passages that may run side by side; `kind` says what they have in common."""

    kind: str  # label, instance, item, counterpart, repeat or method
    threads: tuple[Span, ...]


@dataclass
class Chain:
    text: str  # the problem, a blank line, the chain
    base: int  # where the chain begins in `text`
    units: list[Unit]
    evidence: dict[tuple[Span, ...], list[Leak]] = field(default_factory=dict)
    """Threads and the passage held against them → what shows that it stands on one of them."""
    _read: dict[int, Passage] = field(default_factory=dict)
    _skeletons: dict[int, tuple[str, str] | None] = field(default_factory=dict)
    _joined: dict[Span, Passage] = field(default_factory=dict)

    @classmethod
    def read(cls, problem: str, thinking: str) -> Chain:
        return cls(f"{problem}\n\n{thinking}", len(problem) + 2, units(thinking))

    def head(self, index: int) -> Head | None:
        return self.units[index].head if index < len(self.units) else None

    def skeleton(self, index: int) -> tuple[str, str] | None:
        """The opening of a unit without what it is about, and what that is."""
        if index not in self._skeletons:
            self._skeletons[index] = skeleton(self.units[index].text)
        return self._skeletons[index]

    def opens_way(self, index: int) -> bool:
        """Whether the unit sets out on another way ("Alternatively, …")."""
        head = self.head(index)
        return head is not None and head.kind == "method"

    def offsets(self, span: Span) -> tuple[int, int]:
        last = self.units[span.last]
        return self.base + self.units[span.first].offset, self.base + last.offset + len(last.text)

    def chars(self, span: Span) -> int:
        start, end = self.offsets(span)
        return end - start

    def sizes(self, spans: Sequence[Span]) -> list[int]:
        return [self.chars(span) for span in spans]

    def text_of(self, span: Span) -> str:
        start, end = self.offsets(span)
        return self.text[start:end]

    def passage(self, span: Span) -> Passage:
        if span not in self._joined:
            start = self.base + self.units[span.first].offset
            parts = [
                (self.base + self.units[index].offset - start, self._unit(index))
                for index in range(span.first, span.last + 1)
            ]
            self._joined[span] = parts[0][1] if len(parts) == 1 else Passage.join(self.text_of(span), parts)
        return self._joined[span]

    def _unit(self, index: int) -> Passage:
        if index not in self._read:
            self._read[index] = Passage.read(self.units[index].text)
        return self._read[index]

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.text)

    def squeezed_to(self, first: int) -> str:
        """All that stands before the unit `first`, without blanks and the marks of formulas."""
        return self.text[: self.base + self.units[first].offset].translate(BLANKS)

    def context(self, first: int) -> Context:
        """All that stands before the unit `first`, the problem included."""
        return Context(self._lookup, self.base + self.units[first].offset)
