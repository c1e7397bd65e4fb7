"""The text before a block: asked about single names, it is searched for them and never read in full."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

from threadweaver.dependencies.quantities import scan_applications, scan_equalities, scan_expressions
from threadweaver.dependencies.symbols import segments

Key = tuple[str, str]  # kind, name

_SUBSCRIPT_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_NUMBER = re.compile(r"(?<![\d.])\d+(?:(?:,|\{,\})\d{3})*(?:\.\d+)?(?:\s?/\s?\d+)?")
_FORMULA_COMMAND = re.compile(r"\\[A-Za-z]+")


@lru_cache(maxsize=4096)
def _standing_alone(name: str) -> re.Pattern[str]:
    """Finds a symbol by its name in any notation; a letter that is also a word only amid mathematics."""
    forms = [re.escape(name)]
    stem, _, index = name.partition("_")
    if index:
        forms += [re.escape(f"{stem}_{{{index}}}"), re.escape(f"{stem}{index.translate(_SUBSCRIPT_DIGITS)}")]
        if index.isdigit():
            forms.append(re.escape(f"{stem}{index}"))
    after = r"(?=\s?[=+*/^²³<>(),_-])" if name in ("a", "A", "I") else r"(?![A-Za-z0-9_₀-₉])"
    return re.compile(rf"(?<![A-Za-z\\])\\?(?:{'|'.join(forms)}){after}")


_SCANNERS = {
    "value": scan_equalities,
    "relation": scan_equalities,
    "application": scan_applications,
    "expression": scan_expressions,
}


class Lookup:
    """A chain's text, searched for names; what was found once is remembered."""

    def __init__(self, text: str):
        self.text = text
        self._first: dict[Key, int] = {}
        self._scanned: dict[str, dict[str, int]] = {}

    def first(self, key: Key, raw: str) -> int:
        """Offset of the first occurrence of a name or a word; the text's length where there is none."""
        if key not in self._first:
            kind, name = key
            if kind == "symbol":
                at = self._first_symbol(name)
            elif kind == "number":
                at = self._first_number(name, raw)
            elif kind == "word":
                at = self._lower.find(name)
            else:
                at = self._named(kind).get(name, -1)
            self._first[key] = at if at >= 0 else len(self.text)
        return self._first[key]

    def _named(self, kind: str) -> dict[str, int]:
        """Values, relations, applications or compound expressions, each name with its first offset."""
        if kind not in self._scanned:
            self._scanned[kind] = {}
            for find in _SCANNERS[kind](self.text):
                self._scanned.setdefault(find.kind, {}).setdefault(find.name, find.offset)
        return self._scanned[kind]

    @cached_property
    def _lower(self) -> str:
        return self.text.lower()

    def _first_symbol(self, name: str) -> int:
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
            found.setdefault(match[0].replace("{,}", "").replace(",", "").replace(" ", ""), match.start())
        return found


class Context:
    """The first `end` characters of a text, as what is known before a block begins."""

    def __init__(self, text: str | Lookup, end: int | None = None):
        self._lookup = text if isinstance(text, Lookup) else Lookup(text)
        self._end = len(self._lookup.text) if end is None else end

    def holds(self, key: Key, raw: str) -> bool:
        """Whether the name stands there, in whatever notation; `raw` is how the passage writes it."""
        return self._lookup.first(key, raw) < self._end

    def holds_word(self, stem: str) -> bool:
        return self._lookup.first(("word", stem), stem) < self._end
