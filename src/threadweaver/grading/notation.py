r"""Notation of other schools and of geometry, rewritten into the notation that `normalize` reads.

An angle keeps its vertex but not its direction, a triangle and a segment keep neither, and the vector from A to B is B-A,
so that the opposite vector is its negative. The cross product gets a sign of its own, `\cross`, as it does not commute.
"""

from __future__ import annotations

import math
import re
from typing import Any

_FUNCTIONS = {
    **{name: name for name in "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp".split()},
    **{"tg": "tan", "ctg": "cot", "cotg": "cot", "cosec": "csc", "arctg": "arctan", "sh": "sinh", "ch": "cosh"},
    **{"asin": "arcsin", "acos": "arccos", "atan": "arctan"},
}
_FUNCTION = re.compile(
    r"\\(?:operatorname\*?|mathrm|text)\s*\{\s*(" + "|".join(_FUNCTIONS) + r")\s*\}|"
    r"\\(tg|ctg|cotg|cosec|arctg|sh|ch)(?![a-zA-Z])"
)
_INDEX = r"\{?\s*(\d{1,4}|[a-z])\s*\}?"
_UPRIGHT = r"(?:\\(?:mathrm|text|rm)\s*\{C\}|(?<![a-zA-Z\\])C)"
_VECTOR = r"\\(?:vec|mathbf|bm|boldsymbol|pmb|overrightarrow|hat)\s*\{[^{}]*\}|(?<![a-zA-Z\\])[A-Z](?![a-zA-Z])"
_LETTERS = r"\s*\{?\s*((?:[A-Z]\s*){%s})\}?(?![a-zA-Z])"


def _binomial(match: re.Match[str]) -> str:
    """Write the larger number first: both orders of the indices are in use."""
    lower, upper = match.groups()
    if lower.isdigit() and upper.isdigit() and int(lower) < int(upper):
        lower, upper = upper, lower
    return rf"\binom{{{lower}}}{{{upper}}}"


def _arrangements(match: re.Match[str]) -> str:
    n, k = map(int, match.groups())
    return str(math.perm(n, k)) if k <= n <= 200 else match[0]


def _double_factorial(match: re.Match[str]) -> str:
    n = int(match[1])
    return str(math.prod(range(n, 0, -2))) if n <= 300 else match[0]


def _angle(match: re.Match[str]) -> str:
    first, vertex, last = "".join(match[1].split())
    return rf"\angle {min(first, last)}{vertex}{max(first, last)} "


def _unordered(match: re.Match[str]) -> str:
    return f"{match[1]}{{{''.join(sorted(''.join(match[2].split())))}}}"


# pattern → replacement, in this order
_RULES: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\\(?:nicefrac|sfrac|flatfrac|xfrac)(?![a-zA-Z])", r"\\frac"),
        (r"\{([^{}]*)\\over(?![a-zA-Z])([^{}]*)\}", r"\\frac{\1}{\2}"),
        (r"\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}", r"\\binom{\1}{\2}"),
        (rf"{_UPRIGHT}\s*_\s*{_INDEX}\s*\^\s*{_INDEX}", _binomial),
        (rf"{_UPRIGHT}\s*\^\s*{_INDEX}\s*_\s*{_INDEX}", _binomial),
        (rf"(?:\{{\}})?\s*[_^]\s*{_INDEX}\s*{_UPRIGHT}\s*_\s*{_INDEX}", _binomial),
        (r"(?<![a-zA-Z\\])A\s*_\s*\{?(\d{1,3})\}?\s*\^\s*\{?(\d{1,3})\}?", _arrangements),
        (r"(?<![\d.!)}])(\d{1,3})\s*!!(?!!)", _double_factorial),
        (r"(\d)\.\((\d+)\)(?![\d(])", r"\1.\\overline{\2}"),
        (r"\\lg(?![a-zA-Z])", r"\\log_{10} "),
        (_FUNCTION.pattern, lambda m: rf"\{_FUNCTIONS[m[1] or m[2]]} "),
        (r"(\d)\s*(?:\\times|x|X|\*)\s*10\s*(?=\^)", r"\1\\times 10"),
        (r"\(\s*([0-9A-F]{1,60})\s*\)\s*_\s*(\{?)", r"\1_\2"),
        (r"(?<=[0-9A-F])_\s*\{?\s*\(\s*(\d{1,2})\s*\)\s*\}?", r"_{\1}"),
        (r"(?<=[0-9A-F])_\s*\{\s*\\text\s*\{\s*(\d{1,2})\s*\}\s*\}", r"_{\1}"),
        (r"(?<![\w.])([0-9A-F]{1,60})[\s,]*(?:\\text\s*\{)?\s*\(?(?:in |to )?base[\s-]+(\d{1,2})\)?\}?", r"\1_{\2}"),
        (
            r"(?<=\d)(?:\s|\\[ ,;:!]|~)*(?:\\(?:text|mathrm)\s*\{\s*)?([kM]?)\}?\s*\\Omega(?![a-zA-Z])",
            r"\\text{ \1ohm}",
        ),
        (rf"({_VECTOR})\s*\\times(?=\s*(?:{_VECTOR}))", r"\1\\cross "),
        (r"\\(?:overrightarrow|vec)" + _LETTERS % 2, lambda m: f"({m[1].strip()[-1]}-{m[1][0]})"),
        (r"(?:\\measuredangle|\\angle(?![a-zA-Z])|∠)" + _LETTERS % 3, _angle),
        (r"(\\triangle|△)" + _LETTERS % 3, _unordered),
        (r"(\\overline|\\overleftrightarrow)" + _LETTERS % 2, _unordered),
    ]
]


_ANY = re.compile(
    r"\\(?:nice|s|flat|x)frac|\\over|\\choose|[_^]|!!|\\lg|\\operatorname|\\mathrm|\\text|\\times|"
    r"\\(?:tg|ctg|cotg|cosec|arctg|sh|ch)(?![a-z])|triangle|"
    r"base|\\vec|angle|△|\.\(|Omega"
)


def rewrite(text: str) -> str:
    if not _ANY.search(text):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


# ---- money

_AMOUNT = r"(-?(?:\d{1,3}(?:\{?,\}?(?:\\!)?\d{3})+|\d+)?(?:\.\d+)?(?:\\[dt]?frac\s*(?:\{\d+\}\s*\{\d+\}|\d\d))?)"
_ENDS = (
    r"(?=\s*(?:$|[,;.)}$]|\\[,;:! )]|\\(?:text|mathrm|quad|mbox)|and\b|or\b|[a-zA-Z]{3}|/\s*(?:\\text|[a-zA-Z]{3})))"
)
_CURRENCIES = {r"\$": "dollar", "€": "euro", "£": "gbp", "¥": "yuan", "₹": "rupee", "¢": "cent"}
_MONEY = re.compile(
    r"(?:US|USD)?(\\\$|[€£¥₹])(?:\s|\\[,;:! ])*(?=[-\d.\\])" + _AMOUNT + r"(?<=[\d}])(?!\d|\.\d|,\d{3})" + _ENDS
)
_AFTER = re.compile(r"(?<=\d)\s*([€£¥₹¢])")
_CURRENCY = re.compile(r"[$€£¥₹¢]")
_UNESCAPED = re.compile(r"(?<!\\)\$")


def money(text: str) -> str:
    r"""Write `\$5` and `€5` as an amount with a unit. A dollar sign that is not escaped counts where none can close it."""
    if not _CURRENCY.search(text):
        return text
    signs = [sign.start() for sign in _UNESCAPED.finditer(text)]
    amounts = [at for at in signs if re.match(r"\d", text[at + 1 : at + 2]) and not text[at - 1 : at].strip("-( ")]
    if signs and amounts == signs:
        text = _UNESCAPED.sub(lambda _: r"\$", text)
    text = _MONEY.sub(lambda m: rf"{m[2]}\text{{ {_CURRENCIES[m[1]]} }}", text)
    return _AFTER.sub(lambda m: rf"\text{{ {_CURRENCIES[m[1]]} }}", text)
