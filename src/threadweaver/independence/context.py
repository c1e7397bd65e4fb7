"""The text before a block: asked about single names, it is searched for them and never read in full."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import accumulate

from threadweaver.independence.finds import Find, Role
from threadweaver.independence.formulas import squeezed
from threadweaver.independence.labels import scan_labels
from threadweaver.independence.quantities import scan_applications, scan_equalities
from threadweaver.independence.symbols import scan_symbols, segments

Key = tuple[str, str]  # kind, name

_NUMBER = re.compile(r"(?<![\d.])\d+(?:(?:,|\{,\})\d{3})*(?:\.\d+)?(?:\s?/\s?\d+)?")
_FORMULA_COMMAND = re.compile(r"\\[A-Za-z]+")


@lru_cache(maxsize=256)
def _standing_alone(name: str) -> re.Pattern[str]:
    """Return what finds a letter, Latin or Greek, as a symbol; a letter that is also a word only amid mathematics."""
    after = r"(?=\s?[=+*/^²³<>(),_-])" if name in ("a", "A", "I") else r"(?![A-Za-z0-9_₀-₉])"
    return re.compile(rf"(?<![A-Za-z\\])\\?{re.escape(name)}{after}")


@lru_cache(maxsize=64)
def _point(letter: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z])[A-Z]{{0,4}}{letter}[A-Z]{{0,4}}(?![A-Za-z])")


def _headings(text: str) -> Iterator[Find]:
    return (find for find in scan_labels(text) if find.role > Role.USE)


_SCANNERS = {
    "symbol": scan_symbols,
    "label": _headings,
    "value": scan_equalities,
    "relation": scan_equalities,
    "application": scan_applications,
}


class Lookup:
    """A chain's text, searched for names; what was found once is remembered."""

    def __init__(self, text: str):
        self.text = text
        self._first: dict[Key, int] = {}
        self._scanned: dict[str, dict[str, int]] = {}

    def first(self, key: Key, raw: str) -> int:
        """Offset of the first occurrence of a name; the text's length where there is none."""
        if key not in self._first:
            kind, name = key
            if kind == "symbol":
                at = self._first_symbol(name)
            elif kind == "number":
                at = self._first_number(name, raw)
            elif kind == "point":
                found = _point(name).search(self.text)
                at = found.start() if found else -1
            elif kind == "expression":
                at = self._first_formula(name)
            else:
                at = self._named(kind).get(name, -1)
            self._first[key] = at if at >= 0 else len(self.text)
        return self._first[key]

    def _named(self, kind: str) -> dict[str, int]:
        """Values, relations, applications or headings, each name with its first offset."""
        if kind not in self._scanned:
            self._scanned[kind] = {}
            for find in _SCANNERS[kind](self.text):
                self._scanned.setdefault(find.kind, {}).setdefault(find.name, find.offset)
        return self._scanned[kind]

    def _first_formula(self, name: str) -> int:
        """Where the line begins in which a formula stands, whatever its blanks and sizes."""
        text, squeezed_at, starts = self._squeezed
        at = text.find(name)
        return starts[bisect_right(squeezed_at, at) - 1] if at >= 0 else -1

    @cached_property
    def _squeezed(self) -> tuple[str, list[int], list[int]]:
        """The text squeezed line by line, where each line begins in it and where in the text."""
        lines = self.text.split("\n")
        small = [squeezed(line) for line in lines]
        return (
            "\n".join(small),
            [0, *accumulate(len(line) + 1 for line in small)],
            [0, *accumulate(len(line) + 1 for line in lines)],
        )

    def _first_symbol(self, name: str) -> int:
        if "_" in name or "'" in name or (len(name) > 1 and name.isupper()):
            return self._named("symbol").get(name, -1)
        alone = _standing_alone(name).search(self.text)
        at = alone.start() if alone else len(self.text)
        # In a formula letters stand side by side: xyz.
        for start, formula in self._formulas:
            if start >= at:
                break
            if name in formula:
                return start
        return at

    @cached_property
    def _formulas(self) -> list[tuple[int, str]]:
        return [
            (start, _FORMULA_COMMAND.sub(" ", self.text[start:end]))
            for start, end, is_math in segments(self.text)
            if is_math
        ]

    def _first_number(self, name: str, raw: str) -> int:
        if name in self._numbers:
            return self._numbers[name]
        return -1 if name.replace(".", "").isdigit() else self.text.find(raw)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Every number in figures with its first offset."""
        found: dict[str, int] = {}
        for match in _NUMBER.finditer(self.text):
            number = match[0].replace("{,}", "").replace(",", "").replace(" ", "")
            found.setdefault(number, match.start())
            if "/" in number:
                for part in number.split("/"):
                    found.setdefault(part, match.start())
        return found


class Context:
    """The first `end` characters of a text, as what is known before a block begins."""

    def __init__(self, text: str | Lookup, end: int | None = None):
        self._lookup = text if isinstance(text, Lookup) else Lookup(text)
        self._end = len(self._lookup.text) if end is None else end

    def holds(self, key: Key, raw: str) -> bool:
        """Whether the name stands there, in whatever notation; `raw` is how the passage writes it."""
        return self._lookup.first(key, raw) < self._end

    def holds_point(self, letter: str) -> bool:
        """Whether a capital stands there as a point, alone or in the name of a line or an angle."""
        return self._lookup.first(("point", letter), letter) < self._end
