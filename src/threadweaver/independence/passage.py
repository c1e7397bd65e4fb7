"""A passage read once: what it names, where, in which role, and where it points back."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from threadweaver.independence.anaphora import Phrase, phrases
from threadweaver.independence.conclusions import Clause, Sentences, clauses, stem
from threadweaver.independence.finds import Find, Role, lowered
from threadweaver.independence.formulas import scan_formulas
from threadweaver.independence.labels import coined, scan_labels
from threadweaver.independence.openings import Opening, open_end, read_opening
from threadweaver.independence.pointing import Pointer, opening_end, pointers
from threadweaver.independence.quantities import scan_applications, scan_equalities, scan_numbers
from threadweaver.independence.symbols import scan_symbols

Key = tuple[str, str]  # kind, name
Places = list[tuple[int, Role]]  # ascending offsets

_WORD = re.compile(r"(?<![a-z\\])[a-z]{4,}")
_SCANNERS = (scan_symbols, scan_numbers, scan_equalities, scan_formulas, scan_applications, scan_labels)


@dataclass
class Passage:
    """A text with its finds; offsets count from its beginning."""

    text: str
    places: dict[Key, Places] = field(default_factory=dict)
    raw: dict[Key, str] = field(default_factory=dict)
    parts: Sequence[tuple[int, Passage]] = ()

    @classmethod
    def read(cls, text: str) -> Passage:
        passage = cls(text)
        for scanner in _SCANNERS:
            for find in scanner(text):
                passage._add(find)
        for places in passage.places.values():
            places.sort()
        return passage

    @classmethod
    def join(cls, text: str, parts: Sequence[tuple[int, Passage]]) -> Passage:
        """The passage `text` from parts of it that were read before, each at its offset, in order."""
        joined = cls(text, parts=parts)
        for offset, part in parts:
            for key, places in part.places.items():
                shifted = [(at + offset, role) for at, role in places]
                if key in joined.places:
                    joined.places[key] += shifted
                else:
                    joined.places[key] = shifted
                    joined.raw[key] = part.raw[key]
        return joined

    @cached_property
    def found_pointers(self) -> list[Pointer]:
        if not self.parts:
            return list(pointers(self.text))
        return [pointer.moved(offset) for offset, part in self.parts for pointer in part.found_pointers]

    def _add(self, find: Find) -> None:
        key = (find.kind, find.name)
        self.places.setdefault(key, []).append((find.offset, find.role))
        self.raw.setdefault(key, find.raw)

    @cached_property
    def _trail(self) -> list[tuple[int, Key]]:
        return sorted((at, key) for key, places in self.places.items() for at, _ in places)

    @cached_property
    def opening_end(self) -> int:
        return opening_end(self.text)

    @cached_property
    def opening(self) -> Opening:
        return read_opening(self.text)

    @cached_property
    def open_end(self) -> list[tuple[str, float]]:
        return list(open_end(self.text))

    @cached_property
    def sentences(self) -> Sentences:
        return Sentences(self.text)

    @cached_property
    def lower(self) -> str:
        return lowered(self.text)

    @cached_property
    def words(self) -> dict[str, int]:
        """The stems of the longer words, each with its first offset."""
        found: dict[str, int] = {}
        if not self.parts:
            for match in _WORD.finditer(self.lower):
                found.setdefault(stem(match[0]), match.start())
        for offset, part in self.parts:
            for word, at in part.words.items():
                found.setdefault(word, at + offset)
        return found

    @cached_property
    def phrases(self) -> list[Phrase]:
        return list(phrases(self.text))

    @cached_property
    def coined(self) -> list[tuple[str, int]]:
        return list(coined(self.text))

    @cached_property
    def found_clauses(self) -> list[Clause]:
        return list(clauses(self.text))

    def names(self, start: int, end: int) -> list[Key]:
        """What occurs at start ≤ offset < end, each once."""
        low, high = bisect_left(self._trail, (start,)), bisect_left(self._trail, (end,))
        return list(dict.fromkeys(key for _, key in self._trail[low:high]))
