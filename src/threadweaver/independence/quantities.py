"""Numbers, values (`x = 4`), relations (`z = x/y`), applications (`f(3)`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from threadweaver.independence.finds import Find, Role, starts_clause
from threadweaver.independence.symbols import symbol_name

# Single digits are in every text: they are not even looked at, except in fractions, decimals and roots.
_NUMBER = re.compile(
    r"(?=[\\√s\d])(?:\\[dt]?frac\s{0,3}+\{\s{0,3}+(?P<fa>-?[^{}\n]{1,24}?)\s{0,3}\}\s{0,3}+\{\s{0,3}+(?P<fb>[^{}\n]{1,24}?)\s{0,3}\}"
    r"|\\sqrt\s{0,3}+\{\s{0,3}+(?P<ra>\d{1,30})\s{0,3}\}|√\(?(?P<rb>\d{1,30})\)?|\bsqrt\(?(?P<rc>\d{1,30})\)?"
    r"|(?<![\w.,])(?P<num>\d{1,3}(?:(?:,|\{,\})\d{3})++(?!\d)(?:\.\d++)?|\d{2,}+(?:\.\d++)?(?:\s?/\s?\d++)?"
    r"|\d(?:\.\d++|\s?/\s?\d++)))"
)
_INTERVAL = re.compile(r"[\[({]\d{1,3},\d{3}[\])}]")
_MENTIONED = re.compile(r"\b(?:the|our|this|that|these|those)\s+(?:\w+\s+)?[\s$\\(]*$", re.IGNORECASE)
_RESULT_BEFORE = re.compile(
    r"(?:=|≈|≡|\\approx|\\equiv|\\boxed\{|\b(?:is|are|was|be|get|gets|got|gives?|giving|yields?|equals?"
    r"|obtain|to|becomes?"
    r"|have|has|total(?:s|ing)?|makes?|about|approximately|only|exactly))[\s$\\({:*]*(?:-\s*)?$"
)
_RECALLED = re.compile(
    r"\b(?:since|because|given that|know(?:n|ing)?|recall(?:ing)?|using|use|used|uses|with|from"
    r"|substitut\w*|plug\w*|put\w*"
    r"|remember\w*|as)\b[^.;\n]{0,60}$",
    re.IGNORECASE,
)
_RECALL_WINDOW = 70
# Round numbers, powers, angles: they come up by themselves.
_ROUND = frozenset(
    "100 120 180 200 300 360 365 400 500 600 720 900 101 99 1000 10000 100000 1000000 3.14 1.414 1.732 2.236 "
    "105 135 150 165 195 210 225 240 255 270 285 300 315 330 345 "
    "3.1416 3.14159 0.5 0.25 0.75 1.5 2.5 144 121 169 196 225 256 512 1024 128 125 216 343 729 243 "
    "625".split()
)
_RELATION_SIGN = re.compile(r"=|≈|\\approx|\bis\b|\bequals\b")
_LEFT = re.compile(
    r"(?<![\w\\.^|])(?P<name>\\?[A-Za-z]{1,4}(?:_\{[^{}\n]{1,8}\}|_\w|[₀-₉]|\d)?(?:\([^()\n]{1,10}\))?"
    r"|\\[a-z]{2,8})[\s$]*$"
)
_VALUE = re.compile(
    r"[\s$]{0,9}+(?:(?:indeed|also|equal to|about|approximately|exactly|actually|just|therefore|thus)\s{1,9}+)?[\s$]{0,9}+"
    r"(?P<value>-?\d[\d,]{0,40}+(?:\.\d{1,40}+)?(?:/\d{1,40}+)?)(?![\w.]{0,40}\d)(?!\s{0,9}[-+*/^·×!(\\%])"
)
_RIGHT = re.compile(
    r"\s{0,9}+(?:also )?(?:equal to )?(?P<right>-?[\w\\(][\w\\(){}^²³_/*+\-·×√° ]{1,28}?)"
    r"(?=\s{0,9}(?:[.,;:$\n=)]|\\\)|⇒|=>|→|$|\b(?:and|so|which|where|is|then|in|into|for|from|we|because|since"
    r"|if|but)\b))"
)
_SUMMAND_BEFORE = tuple("+-−*/^·×")  # "x + y = 4" says nothing of y alone
_LEFT_WINDOW = 26
_COMMAND = re.compile(r"\\[A-Za-z]+")
_ARITHMETIC = re.compile(r"\d\}?\)?\s?(?:[-+*/×·^(]|\\cdot|\\times)[\s({-]*(?:\\[a-z]+\{?)?\d")
_WORDS = re.compile(r"[A-Za-z]{3,}")
_OPERATORS = frozenset("+-*/^²³·×−")
_STRIP = str.maketrans({" ": None, "{": None, "}": None, "²": "^2", "³": "^3", "−": "-", "·": "*", "×": "*", "$": None})
_APPLIED = re.compile(
    r"(?<![A-Za-z\\])(?P<name>[A-Za-z]'?(?:_\{?\w{1,2}\}?"
    r"|[₀-₉])?)\s?\((?P<args>-?\d{1,4}(?:\s?,\s?-?\d{1,4})*)\)"
)
_ASSIGNS = re.compile(r"\s{0,9}+(?:\\?[\])}$]{0,2}\s{0,9}+)?(?:=|≈|\\approx|:|\bis\b)")


def distinctness(key: str) -> float:
    """How surely a number seen in two passages is one quantity, in [0, 1]; small ones are in every text."""
    if key[0] == "√":
        return 0.3 if len(key) > 2 else 0.15
    if key in _ROUND:
        return 0.15
    if "/" in key and not key.replace("/", "").replace("-", "").isdigit():
        return 0.2
    if "/" in key:
        return 0.75 if len(key) >= 5 else 0.5 if len(key) == 4 else 0.12
    if "." in key:
        return 0.8 if len(key) >= 5 else 0.45 if len(key) == 4 else 0.2
    return (0.0, 0.0, 0.2, 0.62, 0.75)[len(key)] if len(key) <= 4 else 0.85


def recalled(text: str, offset: int) -> bool:
    """Whether the clause before `offset` brings up something known ("since x = 4", "using 2513")."""
    return _RECALLED.search(text, max(0, offset - _RECALL_WINDOW), offset) is not None


def scan_numbers(text: str) -> Iterator[Find]:
    for match in _NUMBER.finditer(text):
        key = _number_key(match)
        at = match.start()
        if distinctness(key) <= 0 or ("," in match[0] and _INTERVAL.match(text, max(0, at - 1))):
            continue
        role = Role.USE
        before = text[max(0, at - 28) : at]
        if _worked_out(text, at):
            role = Role.DEFINE
        elif (
            _RESULT_BEFORE.search(before)
            and not _MENTIONED.search(before)
            and (before.rstrip(" $\\(")[-1:] in ("=", "≈", "≡") or not recalled(text, at))
        ):
            role = Role.INTRO
        yield Find("number", key, at, role, match[0])
        yield from _inside(match, role)


def _worked_out(text: str, at: int) -> bool:
    """Whether a number stands on the right of an equation whose left side is arithmetic."""
    sign = text.rfind("=", max(0, at - 40), at)
    return (
        sign >= 0
        and not _WORDS.search(_COMMAND.sub("", text[sign + 1 : at]))
        and _ARITHMETIC.search(text, max(0, sign - 50), sign) is not None
    )


def _inside(match: re.Match[str], role: Role) -> Iterator[Find]:
    """The numbers of three digits or more under a root or in a fraction, as numbers of their own."""
    for group in ("fa", "fb", "ra", "rb", "rc"):
        part = match[group]
        if part and len(part) >= 3 and part.isdigit():
            yield Find("number", part, match.start(group), role, part)


def _number_key(match: re.Match[str]) -> str:
    if match["num"]:
        return match["num"].replace("{,}", "").replace(",", "").replace(" ", "")
    root = match["ra"] or match["rb"] or match["rc"]
    if root:
        return f"√{root}"
    return f"{match['fa']}/{match['fb']}".replace(" ", "").replace("\\", "")


def scan_equalities(text: str) -> Iterator[Find]:
    """Values and relations, found from their sign outwards."""
    for sign in _RELATION_SIGN.finditer(text):
        left = _LEFT.search(text, max(0, sign.start() - _LEFT_WINDOW), sign.start())
        if not left or text[max(0, left.start("name") - 3) : left.start("name")].rstrip()[-1:] in _SUMMAND_BEFORE:
            continue
        at, name = left.start("name"), symbol_name(left["name"].strip("\\"))
        value = _VALUE.match(text, sign.end())
        if value:
            kind, right, raw = "value", value["value"].replace(",", ""), text[at : value.end()]
        else:
            other = _RIGHT.match(text, sign.end())
            if not other or not is_compound(other["right"]):
                continue
            kind, right, raw = "relation", other["right"].strip().translate(_STRIP), text[at : other.end()]
        yield Find(kind, f"{name}={right}", at, Role.USE if recalled(text, at) else Role.INTRO, raw)


def is_compound(expression: str) -> bool:
    """Whether a right side is an expression in symbols and not a phrase or a lone letter."""
    if _WORDS.search(_COMMAND.sub("", expression)) or not any(c.isalpha() for c in expression):
        return False
    return bool(_OPERATORS & set(expression)) or "frac" in expression or "sqrt" in expression


def scan_applications(text: str) -> Iterator[Find]:
    """Values of functions and sequences (`f(3)`, `S(2, 1)`) as names of their own."""
    for match in _APPLIED.finditer(text):
        assigned = _ASSIGNS.match(text, match.end()) and starts_clause(text, match.start())
        name = f"{match['name']}({match['args'].replace(' ', '')})"
        yield Find("application", name, match.start(), Role.INTRO if assigned else Role.USE, match[0])
