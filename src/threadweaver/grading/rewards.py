r"""The verdict of a typical reinforcement-learning reward of this field, reported next to ours.

Such rewards clean both strings as the MATH benchmark did and compare them, then clean them again into plain mathematics
and ask sympy whether the difference is zero. They are fast and strict (`2/4` is not `1/2`, an exponent of two digits is
not evaluated), and lenient in odd places (`x=5` is `y=5`, a number within 1e-7 of an integer is that integer). The quirks
are kept on purpose: who trains with such a reward wants to know what it will pay.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from threadweaver.grading import estimates, guards, values

_UNITS = "degree|cm|centimeter|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard|unit"
_DROPPED = ("\n", r"\!", r"\left", r"\right", r"^{\circ}", r"^\circ", r"\$", r"\%", "%")
_GROUPED = re.compile(r"(?<!\d)[-+]?\d{1,3}(?:,\d{3})+(?!\d)")
_FRACTION = re.compile(r"-?\d+/-?\d+")
_UNEVALUATED = re.compile(r"\^\d+\^|\^\d\d|\^[{(]")
_EVALUABLE = re.compile(r"[0-9a-zA-Z+\-*/^(). !]+")
_NAMES = ("sqrt", "pi", "sin", "cos", "tan", "log", "ln", "exp", "asin", "acos", "atan", "sec", "csc", "cot")
_FLAT = {"infty": "∞", "pi": "π", "cdot": "·", "times": "×", "cup": "∪"}
_SYMBOLS = {"√": "sqrt", "π": "pi", "∞": "inf", "∪": "U", "·": "*", "×": "*", "⋅": "*"}
MAX_UNKNOWNS = 2
INTEGER_TOLERANCE = 1e-7


def without_algebra(answer: str, reference: str) -> bool | None:
    """Return the verdict if strings and numbers settle it, or None if pylatexenc or sympy are needed."""
    return _judge(answer, reference, _flat_latex, lambda a, r: None)


def verdict(answer: str, reference: str) -> bool:
    """Return the verdict of the whole procedure. For workers: pylatexenc and sympy can both be made to hang."""
    return bool(_judge(answer, reference, _latex, _difference_is_zero))


def _judge(
    answer: str, reference: str, read_latex: Callable[[str], str | None], evaluate: Callable[[str, str], bool | None]
) -> bool | None:
    if _math_style(answer) == _math_style(reference):
        return True
    mine, theirs = _plain_style(answer, read_latex), _plain_style(reference, read_latex)
    if mine is None or theirs is None:
        return None
    if mine == theirs:
        return bool(mine)
    left, right = _elements(mine), _elements(theirs)
    if not mine or not theirs or len(left) != len(right):
        return False
    if len(right) > 1 and (mine[0], mine[-1]) != (theirs[0], theirs[-1]):
        return False
    verdicts = [_same_element(a, r, evaluate) for a, r in zip(left, right, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


# ---- the first cleaning


def _math_style(text: str) -> str:
    text = text.strip().replace("\\\\", "\\")
    for dropped in _DROPPED:
        text = text.replace(dropped, "")
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    text = re.sub(r"^\\text\{([^{}]*)\}$", r"\1", text.strip())
    text = text.split(r"\text{ ")[0]
    text = re.sub(r"(?<![\d])\.(?=\d)", "0.", text)
    left, equals, right = text.partition("=")
    if equals and "=" not in right and len(left.strip()) <= 2:
        text = right
    text = re.sub(r"\\sqrt\s*([^{\[\s\\])", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac(\{[^{}]*\})(\d)", r"\\frac\1{\2}", text)
    text = re.sub(r"\\frac(\d)(?=\{)", r"\\frac{\1}", text)
    if text == "0.5":
        return r"\frac{1}{2}"
    return re.sub(r"^(-?\d+)/(-?\d+)$", r"\\frac{\1}{\2}", text)


# ---- the second cleaning, and sympy


def _plain_style(text: str, read_latex: Callable[[str], str | None]) -> str | None:
    text = re.sub(r"^\\text\{([^{}]*)\}$", r"\1", text.strip())
    text = text.replace(r"\%", "").replace(r"\$", "").replace("$", "").replace("%", "")
    text = text.replace(" or ", " , ").replace(" and ", " , ")
    text = re.sub(rf"(?:{_UNITS})(?:es)?s? *(?:\^\d+)?", "", text)
    text = re.sub(r"\^ *(?:\\circ|\{\\circ\})", "", text).replace(r"\!", "")
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    if "\\" in text:
        plain = read_latex(re.sub(r"\\[dt]?frac(?![a-zA-Z])", r" \\frac", text))
        if plain is None:
            return None
        text = "".join(_SYMBOLS.get(character, character) for character in plain.strip())
    text = re.sub(r"- +", "-", text)
    text = re.sub(r"(?<=\d) +(?=\d)", "+", text)
    text = re.sub(r"[ {}]", "", text).lower()
    text = _GROUPED.sub(lambda m: m[0].replace(",", ""), text) if not text.startswith(("(", "[")) else text
    return str(round(float(text))) if _is_integer(text) else text


def _flat_latex(text: str) -> str | None:
    """Return what pylatexenc makes of the LaTeX found in most answers, or None for other LaTeX. Always ends."""
    text = re.sub(r"\\(?:left|right)(?![a-zA-Z])", "", text)
    text = re.sub(r"\\(infty|pi|cdot|times|cup)(?![a-zA-Z]) *", lambda m: _FLAT[m[1]], text)
    while True:
        flatter = re.sub(r"\\frac\{([^{}\\]*)\}\{([^{}\\]*)\}", r"\1/\2", text)
        flatter = re.sub(r"\\sqrt\{([^{}\\]*)\}", r"√(\1)", flatter)
        flatter = re.sub(r"([\^_])\{([^{}\\]*)\}", r"\1\2", flatter)
        if flatter == text:
            return None if "\\" in text else text
        text = flatter


def _latex(text: str) -> str:
    from pylatexenc.latex2text import LatexNodes2Text
    from pylatexenc.latexwalker import LatexWalkerError

    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)  # it reports every broken macro on stderr
    try:
        return LatexNodes2Text().latex_to_text(text)
    except (LatexWalkerError, *guards.MATHEMATICS_ERRORS):
        return text


def _elements(text: str) -> list[str]:
    if len(text) > 2 and text[0] in "([" and text[-1] in ")]" and not re.search(r"[()\[\]]", text[1:-1]):
        return [element.strip() for element in text[1:-1].split(",")]
    return [text]


def _same_element(answer: str, reference: str, evaluate: Callable[[str, str], bool | None]) -> bool | None:
    if answer == reference:
        return True
    if _FRACTION.fullmatch(answer) and _FRACTION.fullmatch(reference):
        return False  # fractions must be reduced alike
    if _is_integer(answer) != _is_integer(reference) or _is_integer(answer):
        return False
    if not (_may_be_evaluated(answer) and _may_be_evaluated(reference)):
        return False
    mine, theirs = values.number(answer), values.number(reference)
    if mine is not None and theirs is not None:
        return mine == theirs
    return False if estimates.differ(answer, reference) else evaluate(answer, reference)


def _is_integer(text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return abs(value) < 1e15 and abs(value - round(value)) <= INTEGER_TOLERANCE


def _difference_is_zero(answer: str, reference: str) -> bool:
    import sympy

    try:
        difference = _expression(answer) - _expression(reference)
        return bool(sympy.simplify(difference) == 0)
    except (*guards.MATHEMATICS_ERRORS, sympy.SympifyError):
        return False


def _may_be_evaluated(text: str) -> bool:
    """Return whether sympy's parser, which evaluates, may see the text: only mathematics, no quote, attribute or name."""
    if len(text) > guards.MAX_ALGEBRA_CHARS or not _EVALUABLE.fullmatch(text):
        return False
    if _UNEVALUATED.search(text) or re.search(r"[a-zA-Z]\s*\.|\.\s*[a-zA-Z]", text):
        return False
    names = [name for name in _NAMES if name in text]
    for name in names:
        text = text.replace(name, " ")
    return len(set(re.findall(r"[a-zA-Z]", text))) <= MAX_UNKNOWNS


def _expression(text: str) -> Any:
    import sympy
    from sympy.parsing import sympy_parser

    known = {name: getattr(sympy, name) for name in _NAMES}
    makers = ("Symbol", "Integer", "Float", "Rational", "factorial", "factorial2", "Function")
    steps = (*sympy_parser.standard_transformations, sympy_parser.implicit_multiplication_application)
    return sympy_parser.parse_expr(
        text.replace("^", "**"),
        local_dict=known,
        global_dict={"__builtins__": {}, **{name: getattr(sympy, name) for name in makers}},
        transformations=steps,
    )
