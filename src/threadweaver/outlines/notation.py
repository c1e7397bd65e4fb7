"""Mathematics in one notation: LaTeX, Unicode and plain text of the same formula become the same characters."""

from __future__ import annotations

import re

_SIGNS = {
    "−": "-",
    "–": "-",
    "·": "*",
    "⋅": "*",
    "×": "*",
    "÷": "/",
    "⩽": "≤",
    "<=": "≤",
    "⩾": "≥",
    ">=": "≥",
    "!=": "≠",
    "∈": " in ",
    "∞": "infty",
    "°": "",
    "π": "pi",
    "θ": "theta",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "λ": "lambda",
    "μ": "mu",
    "σ": "sigma",
    "φ": "phi",
    "ω": "omega",
    "Δ": "Delta",
    "½": "1/2",
    "⅓": "1/3",
    "¼": "1/4",
    "⅔": "2/3",
    "¾": "3/4",
}
_COMMANDS = {
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "le": "≤",
    "leq": "≤",
    "leqslant": "≤",
    "ge": "≥",
    "geq": "≥",
    "geqslant": "≥",
    "ne": "≠",
    "neq": "≠",
    "lt": "<",
    "gt": ">",
    "approx": "≈",
    "equiv": "≡",
    "degree": "",
    "left": "",
    "right": "",
    "big": "",
    "Big": "",
    "bigl": "",
    "bigr": "",
    "displaystyle": "",
    "quad": " ",
    "qquad": " ",
    "boxed": "",
    "text": "",
    "mathrm": "",
    "operatorname": "",
    "mathbf": "",
    "textbf": "",
    "bmod": " mod ",
    "dfrac": r"\frac",
    "tfrac": r"\frac",
    "cfrac": r"\frac",
    "in": " in ",
    "ldots": "...",
    "dots": "...",
    "cdots": "...",
    "varphi": "phi",
    "lbrace": "{",
    "rbrace": "}",
}
"""LaTeX commands with another name in plain text; all others keep their name without the backslash."""
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SPACE = re.compile(r"\\[,;:!> ]|~")
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
_ROOT = re.compile(r"(?:\\?sqrt|√)\s*(?:\{([^{}]*)\}|\(([^()]*)\)|(\w+))")
_SCRIPT = re.compile(r"([\^_])\s*\{([^{}]*)\}")
_MODULUS = re.compile(r"\\pmod\s*(?:\{([^{}]*)\}|(\w))")
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,|\{,\}|\\,)\d{3})+(?![\d])")
_DELIMITER = re.compile(r"\$+|\\[()\[\]]")
_ATOM = re.compile(r"√?[\w.]+")
_NESTED = 6
"""Levels of nested fractions and roots that are converted; deeper ones stay as they are written."""
_PRODUCT_SIGN = re.compile(r"(?<=[\w)])\s*\*\s*(?=[A-Za-z(])|(?<=[A-Za-z)])\s*\*\s*(?=\w)")


def to_plain(text: str) -> str:
    """Return the text with its formulas as one would type them (`\\dfrac{1}{2}` as `1/2`, `x^{2}` and `x²` as `x^2`)."""
    text = _THOUSANDS.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    text = _DEGREES.sub("", _SPACE.sub(" ", _DELIMITER.sub("", text)))
    text = _MODULUS.sub(lambda match: f"(mod {_first(match)})", text)
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = _SUBSCRIPT.sub(lambda match: "_" + match[0].translate(_SUBSCRIPTS), text)
    text = _SIGN.sub(lambda match: _SIGNS[match[0]], text)
    text = _COMMAND.sub(_command, text)
    for _ in range(_NESTED):
        before = text
        text = _SCRIPT.sub(lambda match: match[1] + _grouped(match[2]), text)
        text = _ROOT.sub(lambda match: f"√{_grouped(_first(match))}", text)
        text = _FRACTION.sub(_fraction, text)
        if text == before:
            break
    return text.replace("{", "").replace("}", "")


def to_compact(text: str) -> str:
    """Return `to_plain` without white space and multiplication signs, so that formulas can be searched for."""
    return re.sub(r"\s+", "", _PRODUCT_SIGN.sub("", to_plain(text)))


def _command(match: re.Match[str]) -> str:
    name = match[1]
    return match[0] if name in ("frac", "sqrt") else _COMMANDS.get(name, f" {name} ")


def _fraction(match: re.Match[str]) -> str:
    over, under = _grouped(match[1] or match[2] or ""), _grouped(match[3] or match[4] or "")
    return f"{over}/{under}"


def _first(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group is not None), "")


def _grouped(text: str) -> str:
    """Put the text in brackets unless it is a single name or number."""
    text = text.strip()
    return text if _ATOM.fullmatch(text) else f"({text})"
