"""A passage read once: what it names, where, and in which role."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from threadweaver.independence.finds import Find, Role, opening_end
from threadweaver.independence.formulas import scan_formulas
from threadweaver.independence.labels import scan_labels
from threadweaver.independence.quantities import scan_applications, scan_equalities, scan_numbers
from threadweaver.independence.symbols import scan_symbols

Key = tuple[str, str]  # kind, name
Places = list[tuple[int, Role]]  # ascending offsets

_SCANNERS = (scan_symbols, scan_numbers, scan_equalities, scan_formulas, scan_applications, scan_labels)


@dataclass
class Passage:
    """A text with its finds; offsets count from its beginning."""

    text: str
    places: dict[Key, Places] = field(default_factory=dict)
    raw: dict[Key, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Passage:
        passage = cls(text)
        for scanner in _SCANNERS:
            for find in scanner(text):
                passage._add(find)
        for places in passage.places.values():
            places.sort()
        return passage

    def _add(self, find: Find) -> None:
        key = (find.kind, find.name)
        self.places.setdefault(key, []).append((find.offset, find.role))
        self.raw.setdefault(key, find.raw)

    @cached_property
    def opening_end(self) -> int:
        return opening_end(self.text)
