r"""Compare two expressions with math-verify and sympy. For workers only: it is slow to import and may hang.

Where both sides can be evaluated, they are, at a few points and to 30 digits. Values that differ overrule math-verify,
which rounds to six decimals and ignores units and upper case; values that agree everywhere mean equality. math-verify
decides what cannot be evaluated: inequalities, sets, sums without a value.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from threadweaver.grading import guards, values
from threadweaver.grading.shapes import PARAMETER

DIGITS = 30
SAME = 1e-25  # relative
SAME_FLOAT = 1e-12  # where a decimal is involved: it carries 15 digits
POINTS = 4
NOISE_BITS = 20

# Notation that the LaTeX parser misreads: `n!!` as (n!)!, `x'` as x, `\pmod{7}` as letters.
# Letters that do not stand for numbers: angles, figures, cross products, indices above indices.
_MISREAD = re.compile(
    r"!!|\\[pb]?mod(?![a-z])|\\equiv|\\gcd|\\max|\\min|\"|\\ldots|\\lim|°|\d_\{\d|\\cross|\\angle|\\triangle|"
    r"\\over(?:line|leftrightarrow|rightarrow)\{[A-Z]|[AP]_\{\w+\}\^\{\w+\}|\^\{(?:T|\\top ?)\}"
)
_CAPITALS = re.compile(r"[A-Z]{2,}")  # a segment, a code, or a product of matrices
# The inverse of a function, and products of matrices, which do not commute.
_INVERSE = re.compile(
    r"(?<![a-zA-Z])[fghFGH](?:_\{\w+\})?\^\{-1\}(?=[({])|[A-Z]\^\{-1\}[A-Z]|[A-Z][A-Z]\^\{-1\}"
    r"|\\(?:ln|log|lg|exp)(?:_\{\w+\})?\^\{-1\}"
)
_PRIMES = re.compile(r"'|\\prime")
_UPPER = re.compile(r"\\mathbb\{[A-Z]\}|\\(?:begin|end)\{[a-zA-Z]+\}|(\\[A-Z][a-z]+|\\[a-z]+|[A-Z])(?:_\{([^{}]*)\})?")
_ODD_SYMBOLS = {"I": r"\upsilon", "E": r"\xi"}  # read as the imaginary unit and as an exponent


class TooLong(Exception):
    """An expression is longer than guards.MAX_ALGEBRA_CHARS and is not judged."""


def leaf(answer: str, reference: str) -> bool | None:
    """Return whether two normal forms of single values or relations are equal, or None if that is not known."""
    progressions = answer.endswith(PARAMETER) and reference.endswith(PARAMETER)
    answer, reference = (_radians(text).removesuffix(PARAMETER) for text in (answer, reference))
    mine, theirs = _readable(answer, reference)
    if mine is None or theirs is None:
        return None
    if progressions:
        return same_progression(mine, theirs)
    verdict = probe(mine, theirs)
    if verdict is False and (_rounds(answer, theirs) or _rounds(reference, mine)):
        return True
    return verdict if verdict is not None else verify(mine, theirs) or None


def whole(answer: str, reference: str) -> bool | None:
    """Compare two entire answers whose shapes do not correspond, for example a set and an inequality."""
    mine, theirs = _readable(_radians(answer), _radians(reference))
    if mine is None or theirs is None:
        return None
    return False if probe(mine, theirs) is False else verify(mine, theirs) or None


def _radians(normal: str) -> str:
    r"""Turn `\sin(30°)` into `\sin(\frac{30\pi}{180})`."""
    return re.sub(r"(\d+(?:\.\d+)?)°", r"\\frac{\1\\pi}{180}", normal)


def _readable(answer: str, reference: str) -> tuple[Any, Any]:
    if max(len(answer), len(reference)) > guards.MAX_ALGEBRA_CHARS:
        raise TooLong
    if _MISREAD.search(answer + reference) or len(_PRIMES.findall(answer)) != len(_PRIMES.findall(reference)):
        return None, None
    if _CAPITALS.fullmatch(answer) and _CAPITALS.fullmatch(reference):
        return None, None
    if max(answer.count(":"), reference.count(":")) > 1:  # `a:b:c` is no quotient
        return None, None
    if _INVERSE.findall(answer) or _INVERSE.findall(reference):
        return None, None
    if not (_balanced(answer) and _balanced(reference)):
        return None, None
    return parse(answer), parse(reference)


def _balanced(normal: str) -> bool:
    """Return whether the braces balance: a stray one would end the box that the text is passed in, and hide the rest."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", normal):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


@lru_cache(maxsize=256)
def parse(normal: str) -> Any:
    """Return the sympy object of a normal form, or None. Unlike in math-verify, case is significant."""
    import math_verify
    from latex2sympy2_extended import NormalizationConfig

    # it would warn that no signal limits its time: the process is limited instead
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    cleaning = NormalizationConfig(basic_latex=True, malformed_operators=True, nits=True, boxed="all")
    # otherwise it would take any fraction that it finds in what it cannot read
    config = math_verify.LatexExtractionConfig(try_extract_without_anchor=False, normalization_config=cleaning)
    found = math_verify.parse(
        rf"\boxed{{{_without_upper_case(normal)}}}", [config], fallback_mode="no_fallback", parsing_timeout=None
    )
    return found[0] if found and not isinstance(found[0], str) else None


def verify(answer: Any, reference: Any) -> bool:
    import math_verify

    return math_verify.verify(reference, answer, timeout_seconds=None)


def _without_upper_case(normal: str) -> str:
    def lower(match: re.Match[str]) -> str:
        name, index = match[1], match[2]
        if name is None or not (name in _ODD_SYMBOLS or name[:2].strip("\\")[:1].isupper()):
            return match[0]
        return f"{_ODD_SYMBOLS.get(name, name.lower())}_{{{'u' + (index or '')}}}"

    return _UPPER.sub(lower, normal)


def _rounds(text: str, exact: Any) -> bool:
    """Return whether `text` is a decimal that gives the irrational or repeating value `exact` to enough digits."""
    import sympy

    if "." not in text or not isinstance(exact, sympy.Expr) or exact.free_symbols or exact.has(sympy.Float):
        return False
    value = _evaluate(exact, {})
    if value is None or sympy.im(value) != 0:
        return False
    return values.number(text) is not None and values.approximates(text, Fraction(str(sympy.re(value))))


def probe(answer: Any, reference: Any) -> bool | None:
    """Return equality by value at points, or None if the two cannot be evaluated or agree only at some points."""
    import sympy
    from sympy.core.relational import Relational

    if isinstance(answer, Relational) and isinstance(reference, Relational):
        return _probe_relations(answer, reference)
    if not (isinstance(answer, sympy.Expr) and isinstance(reference, sympy.Expr)):
        return None
    try:
        mine, theirs = _opaque(answer), _opaque(reference)
        agreed = 0
        tolerance = SAME_FLOAT if mine.has(sympy.Float) or theirs.has(sympy.Float) else SAME
        for point, positive in _points(mine, theirs):
            verdict = _close(_evaluate(mine, point), _evaluate(theirs, point), tolerance)
            if verdict is False:
                return False if positive else None
            agreed += bool(verdict)
    except guards.MATHEMATICS_ERRORS:
        return None
    if agreed == 0 and mine.free_symbols != theirs.free_symbols:
        return False
    return True if agreed >= (POINTS if mine.free_symbols | theirs.free_symbols else 1) else None


def same_progression(answer: Any, reference: Any) -> bool | None:
    """Return whether two arithmetic progressions over all integers have the same members; other expressions: equal."""
    import sympy

    verdict = probe(answer, reference)
    if not (isinstance(answer, sympy.Expr) and isinstance(reference, sympy.Expr)):
        return verdict
    symbols = [s for s in answer.free_symbols | reference.free_symbols if s.name == "n"]
    if verdict or len(symbols) != 1:
        return verdict or None
    (firsts, steps) = ([], [])
    for expression in (answer, reference):
        values = [_evaluate(expression, {symbols[0]: sympy.Integer(n)}) for n in range(4)]
        if None in values or not all(_close(values[i] + values[i + 2], 2 * values[i + 1], SAME_FLOAT) for i in (0, 1)):
            return None
        firsts.append(values[0])
        steps.append(values[1] - values[0])
    if expression.free_symbols - set(symbols) or 0 in steps:
        return None
    shift = sympy.re((firsts[0] - firsts[1]) / steps[1])
    return _close(abs(steps[0]), abs(steps[1]), SAME_FLOAT) and bool(abs(shift - round(shift)) < SAME_FLOAT)


def _probe_relations(answer: Any, reference: Any) -> bool | None:
    """Compare relations: equal if their sides differ by a constant factor, whose sign fits in inequalities."""
    import sympy

    if answer.free_symbols != reference.free_symbols:
        return False
    try:
        mine, theirs = _opaque(answer.lhs - answer.rhs), _opaque(reference.lhs - reference.rhs)
        ratios = []
        for point, _ in _points(mine, theirs):
            left, right = _evaluate(mine, point), _evaluate(theirs, point)
            if left is not None and right is not None and right != 0:
                ratios.append(left / right)
    except guards.MATHEMATICS_ERRORS:
        return None
    proportional = len(ratios) >= POINTS and all(_close(ratio, ratios[0], SAME_FLOAT) for ratio in ratios)
    if not proportional or ratios[0] == 0:
        return None
    if isinstance(answer, sympy.Eq) or isinstance(reference, sympy.Eq):
        return type(answer) is type(reference)
    ratio = sympy.re(ratios[0])
    return type(answer) is (type(reference) if ratio > 0 else type(reference.reversed))


def _opaque(expression: Any) -> Any:
    """Replace unknown functions and derivatives by symbols of their own, and a free `i` by the imaginary unit."""
    import sympy
    from sympy.core.function import AppliedUndef

    unknown = expression.atoms(AppliedUndef, sympy.Derivative)
    expression = expression.xreplace({part: sympy.Symbol(f"<{part}>") for part in unknown})
    return expression.xreplace({s: sympy.I for s in expression.free_symbols if s.name == "i"})


def _points(answer: Any, reference: Any) -> Iterator[tuple[dict[Any, Any], bool]]:
    """Yield points to evaluate at, and whether all their coordinates are positive.

    Coordinates are fixed fractions, or integers where sums and factorials need them. Positive points come first; at
    others roots and logarithms depend on the branch.
    """
    import sympy

    symbols = sorted(answer.free_symbols | reference.free_symbols, key=lambda s: s.name)
    if not symbols:
        yield {}, True
        return
    steps = (sympy.Sum, sympy.Product, sympy.factorial, sympy.binomial)
    rounding = (sympy.floor, sympy.ceiling, sympy.Mod)
    discrete = answer.has(*steps) or reference.has(*steps)
    if not discrete and (answer.has(*rounding) or reference.has(*rounding)):
        discrete = all(symbol.name[0] in "ijklmnpq" for symbol in symbols)
    for k in range(2 * POINTS):
        if discrete:
            yield {s: sympy.Integer(2 + (5 * i + 3 * k + i * k) % 11) for i, s in enumerate(symbols)}, True
            continue
        sign = -1 if k >= POINTS else 1
        numerators = [((7 * i + 11 * k + 3 * i * k) % 29 + 3) * sign ** (i + k) for i in range(len(symbols))]
        yield {s: sympy.Rational(n, 17) for s, n in zip(symbols, numerators, strict=True)}, sign > 0


def _evaluate(expression: Any, point: dict[Any, Any]) -> Any:
    """Return the value to DIGITS digits as a complex number, or None if there is none."""
    import sympy

    value = expression.subs(point)
    if value.has(sympy.Sum, sympy.Product, sympy.Integral):
        value = value.doit()
    parts = sympy.N(value, DIGITS).as_real_imag()
    if not all(part.is_Float or part.is_zero for part in parts):
        return None
    # what is left of a sum that cancels has no significant digits, and is zero
    real, imaginary = (part if part.is_Float and part._prec > NOISE_BITS else sympy.S.Zero for part in parts)
    return real + sympy.I * imaginary


def _close(left: Any, right: Any, tolerance: float) -> bool | None:
    if left is None or right is None:
        return None
    scale = max(abs(left), abs(right))
    return bool(scale == 0 or abs(left - right) <= tolerance * scale)
