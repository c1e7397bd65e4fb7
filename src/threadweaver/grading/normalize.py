r"""Bring an answer into a normal form: one spelling for what LaTeX and plain text spell in many ways.

The normal form has no spaces except those that separate two tokens (`\pi r`, `1 2`), LaTeX commands for functions and
constants, braces around every argument, `,` between the items of a list, `%` and `°` for percent and degrees, and words
in double quotes (`10"units"`, `"no solution"`), which `shapes` reads as a unit or a text answer. Nothing is computed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from threadweaver.grading import notation, units, wording

_NAMED = (  # a character and its command
    "× times ✕ times · cdot ⋅ cdot √ sqrt ∞ infty π pi ≤ leq ⩽ leq ≥ geq ⩾ geq ≠ neq ∪ cup ∩ cap ∈ in "
    "± pm ∓ mp ≈ approx Ω Omega \u2126 Omega θ theta α alpha β beta γ gamma λ lambda φ phi ω omega ∅ emptyset ∖ setminus … ldots"
).split()
_SPACES = "\t\n\r\f\v\u00a0\u202f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_FULL_WIDTH = {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F)}
# Without the overrides of direction, U+202D and U+202E, which show 12 as 21.
_INVISIBLE = [*map(chr, (0xAD, 0x61C, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202D), *range(0x2060, 0x206A)))]
_RATIOS = "12 13 23 14 34 15 25 35 45 16 56 18 38 58 78".split()
_SCRIPTS = {"^": ("⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ⁺⁻", "0123456789n+-"), "_": ("₀₁₂₃₄₅₆₇₈₉", "0123456789")}
_RAISED = {mark: (re.compile(f"[{chars}]+"), str.maketrans(chars, plain)) for mark, (chars, plain) in _SCRIPTS.items()}
_TRANSLATION = str.maketrans(
    {
        **_FULL_WIDTH,
        **{character: rf"\{name} " for character, name in zip(_NAMED[::2], _NAMED[1::2], strict=True)},
        **dict.fromkeys(_SPACES, " "),
        **dict.fromkeys([*_INVISIBLE, *'"“”„‟«»「」『』'], ""),
        **dict.fromkeys("−–—‐‑﹣", "-"),
        **dict.fromkeys("‘’′", "'"),
        **{part: rf"\frac{ratio}" for part, ratio in zip("½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", _RATIOS, strict=True)},
        **{letter: rf"\mathbb{{{plain}}}" for letter, plain in zip("ℝℤℕ", "RZN", strict=True)},
        **{
            "÷": "/",
            "⁄": "/",
            "∛": r"\sqrt[3]",
            "∶": ":",
            "。": ". ",
            "｡": ". ",
            "、": ", ",
            "￥": "¥",
            "或": " or ",
            "和": " and ",
            "∠": r"\angle ",
        },
    }
)

# pattern → replacement, applied to the raw text in this order. No pattern backtracks more than quadratically, in at most
# 2,000 characters.
_LAYOUT = [
    (r"\\[$]|(?<!\\)[$]", " "),
    (r"(?<!\\)\\[()\[\]]", " "),
    (r"\\(?:left|right)\s*\.", ""),
    (r"\\(?:left|right|[bB]igg?[lrm]?|middle)(?![a-zA-Z])", ""),
    (r"\\(?:displaystyle|textstyle|limits|nolimits|(?:math)?strut|rm|bf|it|small|large)(?![a-zA-Z])", " "),
    (r"\\(?:phantom|hspace\*?|vspace\*?|label|tag\*?)\s*\{[^{}]*\}", " "),
    (r"\{,\}(?=\d{3})|,\s*\\!\s*(?=\d{3})", ""),
    (r"(?<=\d)\s*\\[,;:]\s*(?=\d{3}(?!\d))", ""),
    (r"\\[,;:! >]|\\(?:quad|qquad|thinspace|enspace|space)(?![a-zA-Z])|~|(?<!\\)\\ ", " "),
    (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
    (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
    (r"\\lvert|\\rvert|\\vert(?![a-zA-Z])", "|"),
    (r"\\lbrace(?![a-zA-Z])", r"\\{"),
    (r"\\rbrace(?![a-zA-Z])", r"\\}"),
    (r"\\lbrack(?![a-zA-Z])", "["),
    (r"\\rbrack(?![a-zA-Z])", "]"),
    (r"\\(?:langle|rangle)(?![a-zA-Z])", lambda m: "(" if m[0] == r"\langle" else ")"),
    (r"\\(?:displaylines|boxed|fbox|ensuremath|underline)\s*(?=\{)", ""),
]
_SYMBOLS = [
    (r"\*\*", "^"),
    (r"\\(?:leqslant|le)(?![a-zA-Z])|<=|=<", r"\\leq "),
    (r"\\(?:geqslant|ge)(?![a-zA-Z])|>=", r"\\geq "),
    (r"\\ne(?![a-zA-Z])|!=|\\not\s*=", r"\\neq "),
    (r"\\lt(?![a-zA-Z])", "<"),
    (r"\\gt(?![a-zA-Z])", ">"),
    (r"\+\s*/\s*-|\+-", r"\\pm "),
    (r"\\(?:dots|cdots|dotsc|dotsb)(?![a-zA-Z])|\.\.\.", r"\\ldots "),
    (r"\\(?:varnothing)(?![a-zA-Z])|\\\{\s*\\\}", r"\\emptyset "),
    (r"\\(?:backslash)(?![a-zA-Z])", r"\\setminus "),
    (r"\\R(?![a-zA-Z])", r"\\mathbb{R}"),
    (r"\\(?:simeq|thickapprox)(?![a-zA-Z])", r"\\approx "),
    (r"\\(?:cdot|times|ast)(?![a-zA-Z])", "*"),
    (r"\\(?:colon|ratio)(?![a-zA-Z])", ":"),
    (r"\\(?:div)(?![a-zA-Z])", "/"),
    (r"\\(?:lor|vee)(?![a-zA-Z])", ","),
    (r"\\(?:mid)(?![a-zA-Z])", "|"),
    (r"\\infin(?![a-zA-Z])", r"\\infty "),
    (r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![a-zA-Z])|°", "°"),
    (r'°\s*"?([CF])"?(?![a-zA-Z])', lambda m: '"celsius"' if m[1] == "C" else '"fahrenheit"'),
    (r"\\%|%|\b(?:percent(?:age)?|pct)\b", "%"),
    (r"\\mathbb\s*([A-Z])", r"\\mathbb{\1}"),
    (r"\\imath(?![a-zA-Z])", "i"),
    (r"(?<=\d)\.(?!\d|\\(?:overline|bar|dot))", ""),
]
_PLAIN = [
    (r"(?<![\\a-zA-Z\"])(sqrt|cbrt)\s*(?=\()", lambda m: "\\sqrt" + ("[3]" if m[1] == "cbrt" else "")),
    (r"(?<![\\a-zA-Z\"])((?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|ln|log|exp|max|min|gcd)(?![a-zA-Z])", r"\\\1 "),
    (r"(?<![\\a-zA-Z\"])(pi|infty|theta|alpha|beta)(?![a-zA-Z])", r"\\\1 "),
    (r"(?<![\\a-zA-Z\"])(?:infinity|inf|oo)(?![a-zA-Z])", r"\\infty "),
    (r"\\(?:arg)?(?:operatorname)\s*\{\s*([a-zA-Z]+)\s*\}", r"\\\1 "),
]
_LAYOUT, _SYMBOLS, _PLAIN = ([(re.compile(p), r) for p, r in rules] for rules in (_LAYOUT, _SYMBOLS, _PLAIN))
_TEXT_MACRO = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mbox|hbox|emph|bold|boldsymbol|pmb|bm|math(?:rm|bf|it|sf))\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_MATH_MACRO = ("\\mathrm", "\\mathbf", "\\mathit", "\\mathsf", "\\bold", "\\boldsymbol", "\\pmb", "\\bm")
_BOLD = ("\\mathbf", "\\bm", "\\bold", "\\pmb", "\\textbf")
_CONSTANTS = ("e", "i", "d")
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_VALUE_BEFORE = re.compile(r"[\d})\"]\s*$")  # a text macro after a number is a unit
_TEXT_WORD = re.compile(r"(?<![\\a-zA-Z\"])[A-Za-z]{2,}(?![a-zA-Z\"])")
_TEXT_LETTER = re.compile(r"(?<![\\a-zA-Z\"])[A-Za-z]+(?![a-zA-Z\"])")
_KEPT_WORD = re.compile(
    r"\\[a-zA-Z]+|(?<![a-zA-Z])(?:[a-zA-Z]{4,}|[Tt]he|of|is|not|for|are|all|has|[Ss]he|was|than)(?![a-zA-Z])|"
    r"[\u4e00-\u9fff]+"
)
_AND = re.compile(r"[,;]?\s*(?<![\\a-zA-Z])(?:and|or)(?![a-zA-Z])\s*|\s*&\s*(?=\\)|;", re.IGNORECASE)
_INEQUALITY = re.compile(r"[<>]|\\leq|\\geq|\\neq")
_PURE_WORDS = re.compile(r"[A-Za-z]{2,}(?:[\s'-]+[A-Za-z]+)*")
_GROUPED_FACTOR = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?=\s*(?:\\(?:pi|sqrt)|[a-zA-Z*^\"%°]))")
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?: \d{3})+)(?![\d ]*\d)")


@lru_cache(maxsize=4096)
def normalize(raw: str) -> str:
    """Return the normal form of one answer. The guards must have passed it, so that depth and length are bounded."""
    if _PLAIN_NUMBER.fullmatch(raw):
        return raw
    for mark, (pattern, plain) in () if raw.isascii() else _RAISED.items():
        raw = pattern.sub(lambda m, mark=mark, plain=plain: f"{mark}{{{m[0].translate(plain)}}}", raw)
    text = _undouble(raw.translate(_TRANSLATION))
    text = notation.money(wording.bare(text))
    text = notation.rewrite(_rows(_systems(text)))
    text = _substitute(_LAYOUT, text).strip()
    text = _words(_text_macros(text))
    text = _substitute(_PLAIN, text)
    text = _substitute(_SYMBOLS, text)
    text = _separators(text)
    text = _arguments(text)
    text = _numbers(text)
    return _squeeze(text).strip(" .,")


@lru_cache(maxsize=8192)
def key(normal: str) -> str:
    """Return what equally written answers share.

    This is the normal form with words in lower case, and without quotes, spare spaces, leading zeros and optional
    multiplication signs.
    """
    text = re.sub(r'"([^"]*)"', lambda m: m[1] if len(m[1]) == 1 else m[1].lower(), normal)
    text = re.sub(r"(?<![\d.,])0+(?=\d)", "", text)
    text = re.sub(r"\*(?=[a-zA-Z({]|\\(?!frac))", "", text)
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def _substitute(rules: list[tuple[re.Pattern[str], Any]], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _undouble(text: str) -> str:
    r"""Halve backslashes that one JSON or Python escape too many has doubled, but not `\\` that ends a matrix row."""
    if re.search(r"(?<!\\)\\\\begin", text):
        return text.replace("\\\\", "\\")
    return text if r"\begin" in text else re.sub(r"\\\\(?=[a-zA-Z{}%$])", lambda _: "\\", text)


_SYSTEM = re.compile(
    r"(?:\\left\s*)?(?:\\\{\s*)?\\begin\s*\{(cases|aligned|align\*?|gathered|split|array)\}(?:\{[clr| ]*\})?"
    r"((?:(?!\\begin).)*?)\\end\s*\{\1\}(?:\s*\\right\s*\.)?",
    re.DOTALL,
)
_SIGN = r"=|<|>|\\[lg]eq?(?![a-z])|\\in(?![a-z])"
_ALIGNED = re.compile(rf"&?\s*({_SIGN})\s*&?")
_CONDITION = re.compile(r"(?<![a-zA-Z])(?:if|when|for|otherwise|else)(?![a-zA-Z])")


def _systems(text: str) -> str:
    r"""Write a system of equations or conditions as a list: every row states one, so `&` only aligns."""

    def as_list(match: re.Match[str]) -> str:
        rows = [_ALIGNED.sub(r" \1 ", row.strip(" ,;.")) for row in match[2].split(r"\\") if row.strip(" ,;.")]
        stated = all(re.search(_SIGN, row.split(",")[0]) and "&" not in row for row in rows)
        return ", ".join(rows) if stated and not _CONDITION.search(match[2]) else match[0]

    return _SYSTEM.sub(as_list, text) if r"\begin" in text else text


ROW = "\ue000"  # ends a row of a matrix, in the normal form
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{\s*[a-zA-Z]+\*?\s*\}")


def _rows(text: str) -> str:
    r"""Replace `\\` by ROW between the rows of a matrix, elsewhere by a comma."""
    text = re.sub(r"\\begin\s*\{array\}\s*\{[clr| ]*\}", r"\\begin{array}", text)
    text = _ENVIRONMENT.sub(lambda m: m[0].replace(" ", "").replace("array", "matrix"), text)
    if r"\begin{" in text:
        return re.sub(r"\\\\(?:\[[^\]]*\])?", ROW, text)
    return re.sub(r"\\\\\s*$", "", text).replace("\\\\", ", ")


def _text_macros(text: str) -> str:
    r"""Turn `\text{units}` into `"units"`; single letters and upright mathematics lose only the macro."""

    def unwrap(match: re.Match[str]) -> str:
        content = match[1].strip()
        if len(content) == 1 and match[0].startswith(_BOLD):  # a vector or a matrix, never a unit
            return " " + content
        if content in _CONSTANTS or (
            match[0].startswith(_MATH_MACRO) and not _VALUE_BEFORE.search(text[: match.start()])
        ):
            return " " + content if len(content) == 1 else " " + _TEXT_WORD.sub(_quote, content) + " "
        letters = _TEXT_LETTER if _VALUE_BEFORE.search(text[: match.start()]) else _TEXT_WORD
        return " " + letters.sub(_quote, content) + " "

    for _ in range(3):
        text, count = _TEXT_MACRO.subn(unwrap, text)
        if not count:
            break
    return re.sub(r'(?<=[a-zA-Z])"\s+"(?=[a-zA-Z])', " ", text)


def _quote(match: re.Match[str]) -> str:
    word = match[0].strip()
    return word if word.lower() in ("and", "or", "percent", "pct") else f'"{word}"'


def _words(text: str) -> str:
    """Quote words outside text macros: long runs of letters, units after a number, text answers."""
    stripped = text.strip(" .")
    if _PURE_WORDS.fullmatch(stripped) and not (
        stripped.islower() and len(stripped) < 4 and stripped not in ("no", "yes", "odd")
    ):
        return stripped if stripped in ("infinity", "infty") else '"' + re.sub(r"\s+", " ", stripped) + '"'
    text = re.sub(r'(?<=[a-zA-Z}"])\s+per\s+(?=[a-zA-Z\\"])', "/", text)
    text = re.sub(r"(?<=\d)\s*(square|cubic|sq|cu)\.?\s+([a-zA-Z]{1,2})(?![a-zA-Z])", r'"\1""\2"', text)
    for _ in range(2):
        text = units.AFTER_NUMBER.sub(lambda m: m[1] + f'"{m[2]}"', text)
    text = re.sub(r"(?<=\d)\s+(?!and\b|or\b|pi\b)([a-z]{2,5})\s+(?=[\d\\])", r'"\1"', text)  # `2 to 3`
    text = re.sub(r'"\s*([/*])\s*([A-Za-z]{1,3})(?![a-zA-Z"])', r'"\1"\2"', text)
    return re.sub(
        r'"[^"]*"|\\(?:begin|end)\{[a-zA-Z]+\*?\}|' + _KEPT_WORD.pattern,
        lambda m: m[0] if m[0][0] in '\\"' or m[0] in units.PLAIN_COMMANDS else _spaced(m[0]),
        text,
    )


def _spaced(word: str) -> str:
    """Quote a word; a Chinese scale before its unit is a word of its own."""
    scale, unit = re.fullmatch(r"([百千万亿]*)(.*)", word).groups()
    return f'"{scale} {unit}"' if scale and unit else f'"{word}"'


def _separators(text: str) -> str:
    text = text.replace('"and"', "and").replace('"or"', "or")
    if _INEQUALITY.search(text):
        text = re.sub(r",?\s*(?<![\\a-zA-Z])and(?![a-zA-Z])", r"\\land ", text)
    return _AND.sub(", ", text)


# ---- arguments


_TAKES = {"frac": 2, "binom": 2, "sqrt": 1}
_COMMAND = re.compile(r"\\(frac|binom|sqrt)(?![a-zA-Z])|[\^_]")
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\S", re.DOTALL)
_SCRIPT = re.compile(r"[-+]?\d+|[-+]?\\[a-zA-Z]+|[-+]?\S")
_CLOSING = {"{": "}", "(": ")", "[": "]"}


def group_end(text: str, start: int) -> int:
    """Return the offset after the bracket that closes the one at `start`, or -1 if it is never closed."""
    opening, closing = text[start], _CLOSING[text[start]]
    depth = 0
    for i in range(start, len(text)):
        if i and text[i - 1] == "\\" and opening == "{":
            continue
        depth += (text[i] == opening) - (text[i] == closing)
        if depth == 0:
            return i + 1
    return -1


def _arguments(text: str) -> str:
    r"""Put braces around every argument, as in `\frac12`, `\frac{14}3`, `\sqrt2`, `sqrt(2)`, `x^2`, `x^(n+1)`, `a_1`."""
    out, i = [], 0
    while match := _COMMAND.search(text, i):
        out.append(text[i : match.start()])
        name, i = match[1] or match[0], match.end()
        out.append(match[0])
        if name == "sqrt" and (root := re.match(r"\s*\[([^\[\]]*)\]", text[i:])):
            out.append(f"[{root[1].strip()}]")
            i += root.end()
        for _ in range(_TAKES.get(name, 1)):
            argument, i = _argument(text, i, name)
            out.append(argument)
    return "".join(out) + text[i:]


def _argument(text: str, i: int, name: str) -> tuple[str, int]:
    while i < len(text) and text[i] == " ":
        i += 1
    if i >= len(text):
        return "", i
    rounded = text[i] == "(" and name in ("sqrt", "^", "_")
    if text[i] == "{" or rounded:
        end = group_end(text, i)
        return ("{" + _arguments(text[i + 1 : end - 1]).strip() + "}", end) if end > 0 else ("", i)
    token = (_SCRIPT if name in "^_" else _TOKEN).match(text, i)
    if token is None or token[0] in ("}", ")", "^", "_", ",") or token[0] == "\\frac":
        return "", i
    return "{" + token[0] + "}", token.end()


# ---- numbers and spaces


def _numbers(text: str) -> str:
    r"""Write mixed numbers as `1\frac{1}{2}`, `.5` as `0.5`, and join groups of digits (`1 000`, `1,000\pi`)."""
    text = re.sub(r"(?<![\d.])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])", r"\1\\frac{\2}{\3}", text)
    text = _GROUPED.sub(lambda m: m[1].replace(" ", ""), text)
    if text[:1] not in ("(", "[", "\\"):
        text = _GROUPED_FACTOR.sub(lambda m: m[1].replace(",", ""), text)
    text = re.sub(r"(?<![\d])\.(?=\d)", "0.", text)
    return re.sub(r"(?<=[(,=\[{])\s*\+(?=[\d\\])|^\+(?=[\d\\])", "", text)


def _squeeze(text: str) -> str:
    """Remove spaces that separate nothing. One stays after a comma: `1,000` is a number, `1, 000` is not."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r'"[^"]*"', lambda m: m[0].replace(" ", "\0"), text)
    text = re.sub(r"(?<=\d) (?=\d)|(?<=,) |(\\[a-zA-Z]+) (?=[a-zA-Z])", r"\1" "\0", text)
    return text.replace(" ", "").replace("\0", " ")
