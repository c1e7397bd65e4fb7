"""Formulas read as mathematics: their sides (`(n+1)/2`, `\\frac{17a}{5}`) and whole equations, notation aside.

A formula is a run of signs, numbers, commands and single letters, in LaTeX or plain; words end it. What stands
between two relation signs is a side. Names are squeezed: without blanks, braces and sizes, `²` as `^2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from threadweaver.independence.finds import Find, Role

_SHORT_WORDS = (
    "is|in|of|to|so|we|it|as|at|be|by|do|if|no|on|or|an|am|my|me|up|us|he"
    "|Is|In|Of|To|So|We|It|As|At|By|Do|If|No|On|Or|An|My|I"
)
_RUN = re.compile(
    r"(?:\\[A-Za-z]+(?:\s?\{[A-Za-z ]{1,12}\})?|\\[^A-Za-z\n]"
    rf"|(?<![A-Za-z])(?!(?:{_SHORT_WORDS})(?![A-Za-z])|[aA] [\w\\$])[A-Za-z]{{1,2}}(?![A-Za-z])"
    r"|(?:sin|cos|tan|log|ln|exp|sqrt|gcd|max|min|mod)(?![a-z])"
    r"|[\d+*/^_=<>≤≥≈≡×·−()\[\]{}|!'²³⁰¹⁴⁵⁶⁷⁸⁹√π°&$ -]|[.,](?=\d))+"
)
_RELATION = re.compile(
    r"\\(?:leq?|geq?|neq?|equiv|approx|sim|implies|iff|Rightarrow|Leftrightarrow|rightarrow|to|in|mid|qquad|quad|text"
    r"|pmod)(?![A-Za-z])|[=<>≤≥≈≡]|\\\\|\\,\s|\\[\[\]();]|\$|&(?!=)"
)
_EQUATING = frozenset("=<>≤≥≈≡") | {r"\le", r"\leq", r"\ge", r"\geq", r"\equiv", r"\approx"}
_SQUEEZE = str.maketrans(
    {
        " ": None,
        "{": None,
        "}": None,
        "$": None,
        "&": None,
        "²": "^2",
        "³": "^3",
        "−": "-",
        "·": "*",
        "×": "*",
        "√": "sqrt",
        "\\": None,
        "⁴": "^4",
    }
)
_SIZES = re.compile(r"\\(?:left|right|bigg?|Bigg?|displaystyle|,|;|!|:|cdot|times|tfrac|dfrac)(?![A-Za-z])")
_PLAIN = {"\\cdot": "*", "\\times": "*", "\\tfrac": "frac", "\\dfrac": "frac"}
_OPERATOR = re.compile(r"[-+*/^!|]|frac|sqrt|binom|sum|log|sin|cos|tan|\w\(")
_APPLICATION = re.compile(r"[A-Za-z]\w{0,3}\([^()+*/-]{0,8}\)")
_ANGLE = re.compile(r"-?[\d./]+\^?(?:circ|°)")
# Four numbers or more in a row, joined by one sign, are as distinct as a formula with letters.
_LIST = re.compile(r"\d+(?:\^\d+)?(?:(?:[-+*])\d+(?:\^\d+)?){3,}")
_ROW = re.compile(r"(?<![\d.,])\d{1,5}(?:,\s?\d{1,5}){3,}(?![\d.]*\d)")
_WHOLE = re.compile(r"\d+")
_INNER = re.compile(r"\(([^()|]{4,40})\)|\|([^()|]{4,40})\|")
_RESULT_BEFORE = re.compile(
    r"(?:=|≈|≡|\\(?:approx|equiv|implies|Rightarrow)|⇒|→|:|\b(?:is|are|was|be|get|gets|got|gives?|giving|yields?"
    r"|equals?|obtain|to|becomes?|have|has|simply|with|as|form|that))[\s$\\(\[{*&]*$"
)
_RECALLED = re.compile(
    r"\b(?:since|because|given that|know(?:n|ing)?|recall(?:ing)?|using|use|uses|substitut\w*|plug\w*|insert\w*"
    r"|from|into|in)\b[^.;\n=]{0,40}$",
    re.IGNORECASE,
)
MIN_NAME = 4
_MAX_NAME = 80


@lru_cache(maxsize=1 << 15)
def squeezed(text: str) -> str:
    """The text as formulas are compared: the same formula in other clothes is the same string."""
    if "\\" in text:
        text = _SIZES.sub(lambda match: _PLAIN.get(match[0], ""), text)
    return text.translate(_SQUEEZE)


def scan_formulas(text: str) -> Iterator[Find]:
    """Sides of formulas and equations; an INTRO is the result of something, a USE is worked with."""
    for run in _RUN.finditer(text):
        if run.end() - run.start() >= MIN_NAME and _OPERATOR.search(text, run.start() + 1, run.end()):
            yield from _sides(text, run.start(), run.end())
    yield from _rows(text)


def _rows(text: str) -> Iterator[Find]:
    """Rows of four numbers or more ("3, 5, 6, 10"), those that a reader could count on alone left out."""
    for match in _ROW.finditer(text):
        numbers = [int(number) for number in _WHOLE.findall(match[0])]
        steps = {later - earlier for earlier, later in pairwise(numbers)}
        if len(steps) > 1:
            role = Role.INTRO if _stated(text, match.start()) else Role.USE
            yield Find("expression", squeezed(match[0])[:_MAX_NAME], match.start(), role, match[0])


def _sides(text: str, start: int, end: int) -> Iterator[Find]:
    at, sign, left = start, "", ""
    for cut in [*_RELATION.finditer(text, start, end), None]:
        stop = cut.start() if cut else end
        raw = text[at:stop]
        name = squeezed(raw).strip(".,:'")
        where = at + len(raw) - len(raw.lstrip())
        if is_telling(name):
            role = Role.INTRO if sign or _stated(text, where) else Role.USE
            yield Find("expression", name, where, role, raw.strip())
            for inner in _INNER.finditer(name):
                part = inner[1] or inner[2]
                if is_telling(part):
                    yield Find("expression", part, where, role, part)
        if left and name and sign and len(left) + len(name) <= _MAX_NAME:
            recalled = _RECALLED.search(text, max(0, start - 60), start + 1)
            yield Find("expression", f"{left}={name}", start, Role.USE if recalled else Role.INTRO, f"{left}={name}")
        if cut:
            at = cut.end()
            relates = cut[0] in _EQUATING
            sign = cut[0] if relates else sign if not name else ""
            left = (name if is_telling(name) else "") if relates and name else left if not name else ""


def _stated(text: str, at: int) -> bool:
    before = text[max(0, at - 60) : at]
    return _RESULT_BEFORE.search(before) is not None and _RECALLED.search(before) is None


@lru_cache(maxsize=1 << 15)
def is_telling(name: str) -> bool:
    """Whether two passages with this side speak of one thing: it holds a letter, a number or more, and an operation."""
    if not MIN_NAME <= len(name) <= _MAX_NAME or not _OPERATOR.search(name[1:]):
        return False
    if _APPLICATION.fullmatch(name) or _ANGLE.fullmatch(name):
        return False
    if _LIST.fullmatch(name):
        return True
    letters = sum(c.isalpha() for c in name)
    return letters > 0 and len(name) - letters >= 2
