"""The text before a block: asked about single names, it is searched for them and never read in full."""

from __future__ import annotations

import re
from functools import cached_property

from threadweaver.dependencies.quantities import squeezed
from threadweaver.dependencies.symbols import segments, symbol_name

Key = tuple[str, str]     # kind, name

_ALONE = re.compile(r"(?<![A-Za-z\\])(?:[A-Z]{2,4}|[A-Za-zα-ωΓΔΘΛΞΦΨΩ](?:_\{[^{}\n]{1,12}\}|_\w|[₀-₉]+|\d)?)(?![A-Za-z])")
_IN_FORMULA = re.compile(r"\\[A-Za-z]+|[A-Za-z](?:_\{[^{}\n]{1,12}\}|_\w)?")
_ARTICLES = ("a", "A", "I")
_ARTICLE_AS_SYMBOL = re.compile(r"(?<![A-Za-z\\])([aAI])(?=\s?[=+*/^²³<>(),_-])")


class Lookup:
    """A chain's text, searched for names; what was found once is remembered."""

    def __init__(self, text: str):
        self.text = text
        self._first: dict[Key, int] = {}

    def first(self, key: Key, raw: str) -> int:
        """Offset of the first occurrence of a symbol, a number or a word; the text's length where there is none."""
        if key not in self._first:
            kind, name = key
            if kind == "symbol":
                at = self._symbols.get(name, -1)
            elif kind == "number":
                at = self._first_number(name, raw)
            else:
                at = self._lower.find(name)
            self._first[key] = at if at >= 0 else len(self.text)
        return self._first[key]

    @cached_property
    def _lower(self) -> str:
        return self.text.lower()

    @cached_property
    def _symbols(self) -> dict[str, int]:
        """Every symbol with its first offset: letters that stand alone, and each letter of a formula (`xyz`)."""
        found: dict[str, int] = {}
        for match in _ALONE.finditer(self.text):
            if match[0] not in _ARTICLES:
                found.setdefault(symbol_name(match[0]), match.start())
        for match in _ARTICLE_AS_SYMBOL.finditer(self.text):
            found.setdefault(match[1], match.start())
        for start, end, is_math in segments(self.text):
            for match in _IN_FORMULA.finditer(self.text, start, end) if is_math else ():
                name = symbol_name(match[0])
                found[name] = min(match.start(), found.get(name, match.start()))
        return found

    def _first_number(self, name: str, raw: str) -> int:
        forms = {raw, name, f"{int(name):,}"} if name.isdigit() else {raw, name}
        places = [at for form in forms if (at := self._alone(form)) >= 0]
        return min(places, default=-1)

    def _alone(self, form: str) -> int:
        """Where a number stands that is not a part of another one."""
        at = self.text.find(form)
        while at >= 0:
            end = at + len(form)
            if not self.text[end:end + 1].isdigit() and self.text[at - 1:at] not in _NUMBER_BEFORE:
                return at
            at = self.text.find(form, at + 1)
        return -1


_NUMBER_BEFORE = tuple("0123456789.")


class Context:
    """The first `end` characters of a text, as what is known before a block begins."""

    def __init__(self, text: str | Lookup, end: int | None = None):
        self._lookup = text if isinstance(text, Lookup) else Lookup(text)
        self._end = len(self._lookup.text) if end is None else end

    def holds(self, key: Key, raw: str) -> bool:
        """Whether the name stands there, in whatever notation; `raw` is how the passage writes it."""
        kind, name = key
        if kind in ("symbol", "number"):
            return self._lookup.first(key, raw) < self._end
        if kind in ("value", "relation"):
            left, _, right = name.partition("=")
            if any(f"{left}{sign}{right}" in self._squeezed for sign in ("=", "is", "≈", "isequalto")):
                return True
        return squeezed(raw) in self._squeezed

    def holds_word(self, stem: str) -> bool:
        return self._lookup.first(("word", stem), stem) < self._end

    @cached_property
    def _squeezed(self) -> str:
        return squeezed(self._lookup.text[:self._end])
