"""The text before a block: asked about single names, it is searched for them and never read in full."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

from threadweaver.dependencies.quantities import squeezed
from threadweaver.dependencies.symbols import segments

Key = tuple[str, str]     # kind, name

_SUBSCRIPT_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_FORMULA_COMMAND = re.compile(r"\\[A-Za-z]+")


@lru_cache(maxsize=4096)
def _standing_alone(name: str) -> re.Pattern[str]:
    """Finds a symbol by its name in any notation; a letter that is also a word only where mathematics surrounds it."""
    forms = [re.escape(name)]
    stem, _, index = name.partition("_")
    if index:
        forms += [re.escape(f"{stem}_{{{index}}}"), re.escape(f"{stem}{index.translate(_SUBSCRIPT_DIGITS)}")]
        if index.isdigit():
            forms.append(re.escape(f"{stem}{index}"))
    after = r"(?=\s?[=+*/^²³<>(),_-])" if name in ("a", "A", "I") else r"(?![A-Za-z0-9_₀-₉])"
    return re.compile(rf"(?<![A-Za-z\\])\\?(?:{'|'.join(forms)}){after}")


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
                at = self._first_symbol(name)
            elif kind == "number":
                at = self._first_number(name, raw)
            else:
                at = self._lower.find(name)
            self._first[key] = at if at >= 0 else len(self.text)
        return self._first[key]

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
        return [(start, _FORMULA_COMMAND.sub(" ", self.text[start:end])) for start, end, is_math in segments(self.text) if is_math]

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
