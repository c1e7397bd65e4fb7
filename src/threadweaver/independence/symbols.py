"""Symbols and functions: `x`, `x₁`, `x_{1}`, `\\alpha`, points `AB`; who introduces them, who uses them.

LaTeX (`$…$`, `\\(…\\)`, `\\[…\\]`) and plain notation give the same names.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from threadweaver.independence.finds import Find, Role, lowered, starts_clause

_MATH = re.compile(r"\$\$[^$]{1,2000}\$\$|\$[^$\n]{1,400}\$|\\\[.{1,2000}?\\\]|\\\(.{1,600}?\\\)", re.DOTALL)
_PROSE_IN_MATH = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}")
_GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|rho|sigma"
    "|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Phi|Psi|Omega"
)
_SUBSCRIPT = r"(?:_\{[^{}\n]{1,12}\}|_[A-Za-z0-9]|[₀-₉ₐ-ₜ]+)"
_IN_MATH = re.compile(
    r"\\(?:text|mathrm|operatorname|begin|end|label|mbox|textbf|mathbf|tag|quad|qquad)\*?\s{0,3}+(?:\{[^{}]{0,200}\})?"
    rf"|(?P<sym>\\(?:{_GREEK})(?![A-Za-z]){_SUBSCRIPT}?|[A-Z]{{2,4}}(?![A-Za-z])|[A-Za-z]{_SUBSCRIPT}?'{{0,3}})"
    rf"|\\[A-Za-z]+"
)
_PLAIN = re.compile(
    rf"(?<![A-Za-z\\'’])(?P<sym>[A-Z]{{2,4}}|[A-Za-zα-ωΓΔΘΛΞΦΨΩ](?:{_SUBSCRIPT}|\d)?)'{{0,2}}(?![A-Za-z’'])"
)
_SUB_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_MATH_AFTER = frozenset("=+-*/^²³<>≤≥()[]|·×√_,")
_MATH_BEFORE = frozenset("=+-*/^<>≤≥([|·×√0123456789")
# Abbreviations and words in capitals that look like a product of points.
_ABBREVIATIONS = frozenset(
    "AM GM QM LHS RHS GCD LCM AMC AIME PIE OK DP AP GP MOD II III IV VI VII LCD CRT IE EG QED AND OR NOT "
    "HCF WLOG CM KM IS SO IF IT NO".split()
)
_DEFINING = re.compile(
    r"\b(?:let(?:ting)?|denot(?:e[sd]?|ing)|defin(?:e[sd]?|ing)|call(?:ed|ing)?|where|puts?|putting"
    r"|suppos(?:e|ing)"
    r"|assum(?:e|ing)|introduc(?:e|ing)|choos(?:e|ing)|say|set(?:ting)?|nam(?:e|ing|ed)|label(?:ed|ing)?"
    r"|represent(?:s|ed|ing)?|write|written|consider|with|for some|there exists?|variable|parameter|constant"
    r"|function|sequence|point|midpoint|line|circle|centre|center|event|for (?:each|every|any|all)|given)\b"
)
_DEFINING_REACH = 60  # characters between the defining word and its symbol
_EQUALS_AFTER = re.compile(r"\s{0,9}+(?:\([^()\n]{1,16}\))?\s{0,9}+(?::=|=|≈|\\approx|≡|\\equiv)(?!=)")
_BEING = re.compile(
    r"[\s$)]{0,9}+(?:\([^()\n]{1,12}\))?[\s$\\)]{0,9}+(?:be|denotes?|represents?|stands for|means|is the|are the|is "
    r"defined|as the)\b"
)
_IS_BEFORE = re.compile(r"\b(?:is|are|be|called|named) (?:\\\\\(\s*|\$)?$")
_ALONE_AFTER = re.compile(r"[$\\)]{0,9}+(?:[.,;:]|\s{1,9}+[a-z]{2,}|\s{0,9}+$)")
_LIST_GLUE = re.compile(r"^[\s$\\(){},]*+(?:and|or)?[\s$\\(){},]*+$")


def segments(text: str) -> Iterator[tuple[int, int, bool]]:
    """Pieces of the text in order: (start, end, is mathematics)."""
    at = 0
    for match in _MATH.finditer(text):
        start, end = match.span()
        if start > at:
            yield at, start, False
        # Two dollar amounts with prose between them are no formula.
        yield (start, end, not (match[0][0] == "$" and "\\" not in match[0] and _PROSE_IN_MATH.search(match[0])))
        at = end
    if at < len(text):
        yield at, len(text), False


def scan_symbols(text: str) -> Iterator[Find]:
    """Every symbol of the text; a role tells whether it is introduced there or only used."""
    defining = [match.end() for match in _DEFINING.finditer(lowered(text))]
    last_defined = -1  # end of the last symbol that a defining word introduced
    for start, end, is_math in segments(text):
        for match in (_IN_MATH if is_math else _PLAIN).finditer(text, start, end):
            raw = match["sym"]
            if raw is None or raw in _ABBREVIATIONS or (not is_math and not _is_symbol(text, match)):
                continue
            role = _role(text, match.start("sym"), match.end(), defining, last_defined)
            if role == Role.DEFINE:
                last_defined = match.end()
            yield Find("symbol", symbol_name(raw), match.start("sym"), role, raw)


def _is_symbol(text: str, match: re.Match[str]) -> bool:
    """Whether a letter in prose is a symbol, not a word ("a", "I") or part of an abbreviation ("e.g.")."""
    raw, start, end = match["sym"], match.start(), match.end()
    if raw in ("a", "A"):
        after, before = text[end : end + 3].lstrip(), text[max(0, start - 2) : start].rstrip()
        return after[:1] in _MATH_AFTER or before[-1:] in _MATH_BEFORE
    if raw == "I" or (raw == "h" and text[start - 1 : start] == "/" and text[start - 2 : start - 1].isalpha()):
        return False  # the speaker; km/h
    return not (raw in ("e", "g") and text[end : end + 1] == "." and text[start - 1 : start] in " (.")


def symbol_name(raw: str) -> str:
    """One name for `x_{1}`, `x_1`, `x1` and `x₁`; `\\alpha` and `α` stay apart (chains do not mix them)."""
    if len(raw) == 1:
        return raw
    name = raw.translate(_SUB_DIGITS).replace("{", "").replace("}", "").replace("\\", "")
    return name if "_" in name or not name[-1].isdigit() else f"{name[:-1]}_{name[-1]}"


def _role(text: str, start: int, end: int, defining: list[int], last_defined: int) -> Role:
    if 0 <= last_defined < start <= last_defined + 12 and _LIST_GLUE.match(text[last_defined:start]):
        return Role.DEFINE
    index = bisect_left(defining, start + 1) - 1
    if index >= 0 and start - defining[index] <= _DEFINING_REACH:
        between = text[defining[index] : start]
        if not between.strip(" $\\("):
            return Role.DEFINE
        if not _ends_sentence(between) and (
            _BEING.match(text, end) or (len(between) <= 40 and not any(c in "=+<>" for c in between))
        ):
            return Role.DEFINE
    if _EQUALS_AFTER.match(text, end) and starts_clause(text, start):
        return Role.INTRO
    if _IS_BEFORE.search(text, max(0, start - 12), start) and _ALONE_AFTER.match(text, end):
        return Role.INTRO
    return Role.USE


def _ends_sentence(between: str) -> bool:
    return "\n" in between or ". " in between or "; " in between or "," in between
