"""Refuse texts whose evaluation would not end, or would not fit into memory.

The limits are far above any answer of a mathematics dataset and far below what hurts: 2 ** 100,000 has 30,103 digits and
is computed at once. What slips through is killed in its worker; a guard is only cheaper.
"""

from __future__ import annotations

import math
import re

MAX_CHARS = 2_000
MAX_ALGEBRA_CHARS = 400  # of one expression; longer ones are compared exactly only
MAX_DEPTH = 30
MAX_DIGITS = 1_000  # of one integer literal
MAX_EXPONENT = 100_000
MAX_FACTORIAL = 5_000
MAX_LOOPS = 3  # sums, products, integrals and limits of one answer
MAX_SCIENTIFIC = 400  # 1e400: beyond a double, and beyond any physical constant

# What sympy, math-verify and pylatexenc raise on mathematics that they cannot handle.
MATHEMATICS_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError, NotImplementedError),
    *(RecursionError, SyntaxError, TypeError, ValueError),
)

_POWER = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*[-+]?\s*(\d+(?:\.\d+)?)")
_CHAIN = re.compile(r"(?:(?:\^|\*\*)[\s{(]*(?:\d+(?:\.\d+)?|[A-Za-z]|\\[a-z]+)[\s})]*){3,}")
_TWO_LEVELS = re.compile(r"(?:\^|\*\*)[\s{(]*(\d+)\s*(?:\^|\*\*)[\s{(]*(\d+)")
_SCIENTIFIC = re.compile(r"\d\s*[eE]\s*[-+]?\s*(\d+)")
_FACTORIAL = re.compile(r"(\d+)[\s)}]*!")
_FACTORIAL_TWICE = re.compile(r"!\s*[)}][\s)}]*!")
_BINOMIAL = re.compile(r"\\[dt]?binom\s*\{?\s*(\d+)")
_LIMIT = re.compile(r"\\(?:sum|prod)\b.{0,60}?\^\s*\{?\s*(\d+)", re.DOTALL)
_ENVIRONMENT = re.compile(r"(\\begin)(?![a-zA-Z])|(\\end)(?![a-zA-Z])")
_LOOP = re.compile(r"\\(?:sum|prod|i*int|lim)(?![a-z])")


def too_long(text: str) -> bool:
    return len(text) > MAX_CHARS


def refusal(text: str) -> str | None:
    """Return why `text` must not be normalized or evaluated, or None if it may be."""
    if too_long(text):
        return "too long"
    if _depth(text) > MAX_DEPTH or _nested_environments(text):
        return "too deep"
    if re.search(rf"\d{{{MAX_DIGITS + 1}}}", text):
        return "too many digits"
    if any(float(n) > MAX_EXPONENT for n in _POWER.findall(text)) or _tower(text):
        return "huge power"
    if any(_exceeds(n, MAX_SCIENTIFIC) for n in _SCIENTIFIC.findall(text)):
        return "huge exponent"
    if any(_exceeds(n, MAX_FACTORIAL) for n in _FACTORIAL.findall(text)) or _FACTORIAL_TWICE.search(text):
        return "huge factorial"
    if any(_exceeds(n, MAX_EXPONENT) for n in _BINOMIAL.findall(text)):
        return "huge binomial"
    if any(_exceeds(n, MAX_EXPONENT) for n in _LIMIT.findall(text)) or len(_LOOP.findall(text)) > MAX_LOOPS:
        return "huge sum"
    return None


def _exceeds(digits: str, limit: int) -> bool:
    return len(digits) > 20 or int(digits) > limit


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth = max(depth - 1, 0)
    return deepest


def _nested_environments(text: str) -> bool:
    """Return whether there is a matrix in a matrix: not an answer, and each level doubles the time of pylatexenc."""
    open_environments = 0
    for opening, _ in _ENVIRONMENT.findall(text):
        open_environments += 1 if opening else -1
        if open_environments > 1:
            return True
    return False


def _tower(text: str) -> bool:
    """Return whether there are three nested powers, or two with too large an exponent (9 ** 9 in 2 ** 9 ** 9)."""
    if _CHAIN.search(text):
        return True
    return any(
        len(base) > 20 or len(exponent) > 6 or int(exponent) * math.log10(max(int(base), 1)) > math.log10(MAX_EXPONENT)
        for base, exponent in _TWO_LEVELS.findall(text)
    )
