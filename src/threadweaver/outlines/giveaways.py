"""Find what an outline gives away: numbers, formulas and expressions that only its thread derives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property

from threadweaver.independence import Context, Passage, Role
from threadweaver.outlines.notation import to_compact, to_plain

OPENING = 200
"""Characters at a thread's beginning that state its case: a number there is an assumption, not a result."""

MAX_DIGITS = 80
"""A longer number is compared as text: nobody computes it by hand."""

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


_LISTED = r"(?:[^\W\d]\w{0,5}\s?=\s?-?[\d.]{1,8}(?:,\s?|\s?and\s)){0,5}"
# What a thread takes as given from its beginning on, wherever it does so: the case, the candidate, the split of a product.
_ASSUMING = re.compile(
    r"\b(?:if|for|when|let|take|try(?:ing)?|suppose|assum(?:e|ing)|consider(?:ing)?|case|say|put|set|test(?:ing)?|check(?:ing)?"
    r"|start(?:s|ing)?|from|at|with|place|choos(?:e|ing)|pick(?:ing)?|plug(?:ging)?)\b(?P<between>[^.;:!?\n=]{0,60}?)"
    + _LISTED
    + r"$"
    r"|\bsum\s?_\($",
    re.I,
)
_CONCLUDING = re.compile(
    r"=>|→|⇒|[=≈≡]|\b(?:so|then|thus|hence|therefore|gets?|giv(?:es|ing)|we have|impl(?:y|ies)|yields?|find|which|that)\b",
    re.I,
)
_COMES_TO = re.compile(
    r"(?:=>|→|⇒|\b(?:so|thus|hence|therefore|gets?|giv(?:es|ing)|have|impl(?:y|ies)|yields?|find))[\s,$(\\]{0,4}$", re.I
)
_HEADING = re.compile(rf"(?:^|\n)[\s#>*•\-–$(]{{0,8}}{_LISTED}$")
# What an outline itself sets out from: "for k = 3 and k = 4", "from n = 0 to 15", "setting z = x^2", "case (ii), …".
_SETTING_OUT = (
    r"(?<!only )(?<!holds )(?<!works )(?<!true )(?:for|when|if|case|at|from|between|up to|through|until|base|such as|example|let(?:ting)?|set(?:ting)?|tak(?:e|ing)|put(?:ting)?"
    r"|try(?:ing)?|test(?:ing)?|check(?:ing)?|plug(?:ging)?(?: in)?|substitut(?:e|ing)|assum(?:e|ing)|suppos(?:e|ing)|consider(?:ing)?|with|writ(?:e|ing)|treat(?:ing)?)"
)
_ITEM = r"[$\\(]{0,3}(?:[^\W\d]\w{0,5}(?:\(\w\))?(?:\s?=\s?|\s?\())?[$\\(]{0,2}"
_JOINT = r"(?:,\s?|,?\s(?:to|and|or)\s)(?:(?:for|at)\s)?"
_SET_OUT = re.compile(
    rf"(?:\b{_SETTING_OUT}|\([ivx]{{1,4}}\),?|\d[)$]{{0,2}}(?:,?\s(?:to|and|or)|,|\s?\.{{2,3}}|\s?…|–))[\s\-]{{0,2}}"
    rf"(?:{_ITEM}-?[\w.]{{1,8}}(?:\s?[+\-]\s?[\w.]{{1,4}})?[)$\\]{{0,3}}{_JOINT}){{0,8}}{_ITEM}-?$",
    re.I,
)
_NAME = re.compile(r"[^\W\d]\w{0,5}\s*[=≡]\s*-?\s*$")
_OPERATOR = re.compile(r"[+\-−*/·×^]")
_BEFORE = 100
"""Characters before an occurrence in which its role shows."""


class MathText:
    """A text with its mathematics in one notation; each form is computed on first use."""

    def __init__(self, text: str):
        self.text = text

    @cached_property
    def plain(self) -> str:
        return to_plain(self.text)

    @cached_property
    def compact(self) -> str:
        return to_compact(self.text)

    @cached_property
    def passage(self) -> Passage:
        return Passage.read(self.plain)

    def assumes(self, start: int, end: int) -> bool:
        """Return whether the text takes what it holds at [start, end) of `plain` as given there, and does not find it: after
        a word that assumes, as a heading, or as an operand of what it goes on to compute."""
        before = self.plain[max(0, start - _BEFORE) : start]
        named = _NAME.search(before)
        stem = before[: named.start()] if named else before
        if (match := _ASSUMING.search(stem)) and not _CONCLUDING.search(match["between"] or ""):
            return True
        if _HEADING.search(stem) and self.plain[end : end + 1] in (":", ",", ")"):
            return True
        around = before[-2:].strip()[-1:], self.plain[end : end + 2].strip()[:1]
        operand = not named and any(map(_OPERATOR.fullmatch, around)) and not _STATED.search(before)
        return operand and not self.finds(self.plain[start:end])

    def finds(self, number: str) -> bool:
        """Return whether the text states this number as what comes out somewhere: `6 · 7 = 42.`, but neither `= 42 + 1` nor
        `x = 42`, which may be assumed."""
        found = re.finditer(rf"(?<![\d.]){re.escape(number)}(?![\d/])(?!\.\d)(?!\s?[+\-−*·×^])", self.plain)
        befores = (self.plain[max(0, at.start() - _STATED_WITHIN) : at.start()] for at in found)
        return any(_STATED.search(before) and not _NAME.search(before) for before in befores)

    def concludes(self, formula: str) -> bool:
        """Return whether the text comes to this formula somewhere (`so x = 17`), or to a number of several digits in it."""
        plain = to_plain(formula).strip()
        found = (match.start() for match in re.finditer(rf"(?<![\w.]){re.escape(plain)}(?!\w)", self.plain))
        befores = (self.plain[max(0, at - _STATED_WITHIN) : at] for at in found)
        numbers = (number for number in _DIGITS.findall(plain) if len(number) > 1)
        return any(map(_COMES_TO.search, befores)) or any(map(self.finds, numbers))

    def assumes_value(self, start: int) -> bool:
        """Return the same for a value (`k = 4`) that begins at `start`."""
        number = _NUMBER.search(self.plain, start)
        return self.assumes(start, number.end() if number else start)

    @cached_property
    def context(self) -> Context:
        return Context(self.plain)

    @cached_property
    def values(self) -> frozenset[Fraction | str]:
        """All numbers by their value: 1/2, 2/4 and 0.5 are one."""
        return frozenset(_value(number) for number in _NUMBER.findall(self.plain))

    def first(self, value: Fraction | str) -> tuple[int, int]:
        """Return where a number of this value, one of `values`, first stands in `plain`."""
        return next(match.span() for match in _NUMBER.finditer(self.plain) if _value(match[0]) == value)

    @cached_property
    def digits(self) -> frozenset[Fraction | str]:
        """All numbers written in digits, also those inside fractions and roots."""
        return frozenset(map(_value, _DIGITS.findall(self.plain)))

    def holds_number(self, value: Fraction | str) -> bool:
        return value in self.values or value in self.digits

    def holds(self, formula: str) -> bool:
        """Return whether the text contains this compact formula, and not as part of a longer number."""
        at = self.compact.find(formula)
        while at >= 0:
            if _ends_whole(self.compact, at, at + len(formula)):
                return True
            at = self.compact.find(formula, at + 1)
        return False


def _ends_whole(text: str, start: int, end: int) -> bool:
    before = start > 0 and text[start].isalnum() and text[start - 1].isdigit()
    rest = text[end : end + 2].lstrip(".")
    return not before and not (text[end - 1].isdigit() and rest[:1].isdigit())


Known = tuple[MathText, ...]
"""What an outline may say: the problem and the context, and the opening of its thread."""


def find_giveaways(text: str, thread: str, known: str | MathText) -> list[str]:
    """Return what the outline `text` says although only its thread derives it.

    These are formulas, numbers and expressions that are in the thread, but neither in `known` (problem and context) nor in
    the thread's opening, and words that say how the thread ends. A single digit counts only where it is stated as a value
    (`= 7`, `gives 7`).
    """
    givens = (known if isinstance(known, MathText) else MathText(known), MathText(thread[:OPENING]))
    outline, derived = MathText(text), MathText(thread)
    parts = (_formulas, _named, _numbers)
    found = [piece for part in parts for piece in part(outline, derived, givens)]
    found += [match[0] for match in _OUTCOME.finditer(text)]
    compact = [to_compact(piece) for piece in found]
    return [piece for at, piece in enumerate(found) if not any(compact[at] in other for other in compact[:at])]


def _sets_out(text: str, start: int) -> bool:
    """Return whether an outline names what begins at `start` as what it sets out from: a case, a range, a choice."""
    return _SET_OUT.search(text[max(0, start - _BEFORE) : start]) is not None


def _formulas(outline: MathText, derived: MathText, givens: Known) -> Iterator[str]:
    """Yield relations between delimiters; a bound whose numbers are all known (`q ≥ 5` in the case p = 5) is a plan."""
    for match in _FORMULA.finditer(outline.text):
        formula = next(filter(None, match.groups()))
        compact = to_compact(formula)
        if not _RELATION.search(to_plain(formula)) or not derived.holds(compact):
            continue
        if any(given.holds(compact) for given in givens):
            continue
        sets_out = _sets_out(outline.text, match.start()) and not derived.concludes(formula)
        if sets_out or _assumed(MathText(formula), derived):
            continue
        numbers = [_value(digits) for digits in _DIGITS.findall(compact)]
        if _EQUATION.search(compact) or not all(any(given.holds_number(n) for given in givens) for n in numbers):
            yield formula.strip()


def _assumed(formula: MathText, derived: MathText) -> bool:
    """Return whether a formula consists of values that the thread assumes: `m = 6`."""
    found = [derived.passage.places.get(key) for key in formula.passage.places if key[0] == "value"]
    firsts = [min(offset for offset, _ in places) for places in found if places]
    return bool(firsts) and len(firsts) == len(found) and all(map(derived.assumes_value, firsts))


def _named(outline: MathText, derived: MathText, givens: Known) -> Iterator[str]:
    """Yield values and relations that the thread has too, and expressions that are the result of a step in it."""
    for key, raw in outline.passage.raw.items():
        places = derived.passage.places.get(key)
        if key[0] not in ("value", "relation", "expression") or not places:
            continue
        results = key[0] != "expression" or any(role > Role.USE for _, role in places)
        first = min(offset for offset, _ in places)
        if key[0] == "value" and derived.assumes_value(first):
            continue
        if all(_sets_out(outline.plain, offset) for offset, _ in outline.passage.places[key]) and not derived.concludes(
            raw
        ):
            continue
        if results and not any(given.context.holds(key, raw) or given.holds(to_compact(raw)) for given in givens):
            yield raw.strip()


def _numbers(outline: MathText, derived: MathText, givens: Known) -> Iterator[str]:
    text = outline.plain
    for match in _NUMBER.finditer(text):
        raw, value = match[0], _value(match[0])
        if value not in derived.values or any(given.holds_number(value) for given in givens):
            continue
        stated = _STATED.search(text, max(0, match.start() - _STATED_WITHIN), match.start())
        if len(raw) == 1 and not stated:
            continue
        if _sets_out(text, match.start()) and not derived.finds(raw):
            continue
        if (stated and derived.finds(raw)) or not derived.assumes(*derived.first(value)):
            yield raw


def _value(number: str) -> Fraction | str:
    """Return the value of a number, or its text where it has a root, a zero denominator or too many digits."""
    bare = "".join(number.split())
    over, _, under = bare.partition("/")
    if "√" in bare or len(bare) > MAX_DIGITS or (under and not under.strip("0.")):
        return bare
    return Fraction(over) / Fraction(under or 1)
