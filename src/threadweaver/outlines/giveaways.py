"""What an outline gives away: numbers, formulas and expressions that its thread works out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property

from threadweaver.independence import Context, Passage, Role
from threadweaver.outlines.notation import plain, squeezed

OPENING = 200
"""Characters at a thread's beginning that tell which case it takes on: a number there is its assumption, no result."""

MAX_DIGITS = 80
"""A longer number is no value that anybody works out by hand."""

_NUMBER = re.compile(r"√?\d+(?:\.\d+)?(?:\s?/\s?√?\d+(?:\.\d+)?)?")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_STATED = re.compile(
    r"(?:=|≡|\bequals|\bis|\bare|\bto be|\bgets?|\bgiv(?:es|ing)|\byield(?:s|ing)|\bobtain(?:s|ing)?|\bfind(?:s|ing)?)\s*-?\s*$",
    re.I,
)
_STATED_WITHIN = 20
_FORMULA = re.compile(r"\$\$?([^$]+)\$|\\\((.+?)\\\)", re.S)
_RELATION = re.compile(r"[=<>≈≡≤≥≠]|\bin\b")
_EQUATION = re.compile(r"[=≈≡]")
_OUTCOME = re.compile(
    r"(?<!whether )(?<!if )\b(?:which|this|it) (?:fails|works|succeeds|gives|yields|is abandoned|leads (?:nowhere|to))\b"
    r"|(?<!whether )\b(?:it|this) turns out\b|\b(?:reach|obtain|find|get)(?:s|ing)? (?:a contradiction|no solutions?)\b",
    re.I,
)


class Reading:
    """A text's mathematics in one notation, read when it is asked for."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def plain(self) -> str:
        return plain(self.text)

    @cached_property
    def squeezed(self) -> str:
        return squeezed(self.text)

    @cached_property
    def passage(self) -> Passage:
        return Passage.read(self.plain)

    @cached_property
    def context(self) -> Context:
        return Context(self.plain)

    @cached_property
    def values(self) -> frozenset[Fraction | str]:
        """Every number by its value: 1/2, 2/4 and 0.5 are one."""
        return frozenset(_value(number) for number in _NUMBER.findall(self.plain))

    @cached_property
    def digits(self) -> frozenset[Fraction | str]:
        """The numbers in figures, those within fractions and roots too."""
        return frozenset(map(_value, _DIGITS.findall(self.plain)))

    def holds_number(self, value: Fraction | str) -> bool:
        return value in self.values or value in self.digits

    def holds(self, formula: str) -> bool:
        """Whether this squeezed formula stands there, and no longer number in its place."""
        at = self.squeezed.find(formula)
        while at >= 0:
            if _ends_whole(self.squeezed, at, at + len(formula)):
                return True
            at = self.squeezed.find(formula, at + 1)
        return False


def _ends_whole(text: str, start: int, end: int) -> bool:
    before = start > 0 and text[start].isalnum() and text[start - 1].isdigit()
    rest = text[end : end + 2].lstrip(".")
    return not before and not (text[end - 1].isdigit() and rest[:1].isdigit())


Held = tuple[Reading, ...]


def given_away(text: str, thread: str, known: str | Reading) -> list[str]:
    """What an outline says although its thread works it out: formulas, numbers and expressions that stand in the
    thread and neither in what is known (problem and context) nor in the thread's opening, and words that tell how it
    ends. A single digit counts only where it is stated as a value (`= 7`, `gives 7`).
    """
    held = (known if isinstance(known, Reading) else Reading(known), Reading(thread[:OPENING]))
    outline, derived = Reading(text), Reading(thread)
    found = [*_formulas(outline, derived, held), *_named(outline, derived, held), *_numbers(outline, derived, held)]
    found += [match[0] for match in _OUTCOME.finditer(text)]
    bare = [squeezed(piece) for piece in found]
    return [piece for at, piece in enumerate(found) if not any(bare[at] in other for other in bare[:at])]


def _formulas(outline: Reading, derived: Reading, held: Held) -> Iterator[str]:
    """Relations between delimiters; a bound all of whose numbers are known (`q ≥ 5` in the case p = 5) is a plan."""
    for match in _FORMULA.finditer(outline.text):
        formula = next(filter(None, match.groups()))
        bare = squeezed(formula)
        if not _RELATION.search(plain(formula)) or not derived.holds(bare) or any(known.holds(bare) for known in held):
            continue
        numbers = [_value(digits) for digits in _DIGITS.findall(bare)]
        if _EQUATION.search(bare) or not all(any(known.holds_number(n) for known in held) for n in numbers):
            yield formula.strip()


def _named(outline: Reading, derived: Reading, held: Held) -> Iterator[str]:
    """Values and relations that the thread has too, and expressions that are the result of something in it."""
    for key, raw in outline.passage.raw.items():
        places = derived.passage.places.get(key)
        if key[0] not in ("value", "relation", "expression") or not places:
            continue
        results = key[0] != "expression" or any(role > Role.USE for _, role in places)
        if results and not any(known.context.holds(key, raw) or known.holds(squeezed(raw)) for known in held):
            yield raw.strip()


def _numbers(outline: Reading, derived: Reading, held: Held) -> Iterator[str]:
    text = outline.plain
    for match in _NUMBER.finditer(text):
        raw, value = match[0], _value(match[0])
        if value not in derived.values or any(known.holds_number(value) for known in held):
            continue
        if len(raw) > 1 or _STATED.search(text, max(0, match.start() - _STATED_WITHIN), match.start()):
            yield raw


def _value(number: str) -> Fraction | str:
    """The value of a number; where a root or a zero below the line is in it, or endless digits, its form."""
    bare = "".join(number.split())
    over, _, under = bare.partition("/")
    if "√" in bare or len(bare) > MAX_DIGITS or (under and not under.strip("0.")):
        return bare
    return Fraction(over) / Fraction(under or 1)
