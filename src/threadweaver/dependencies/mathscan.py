"""Reads mathematics as mathematics: which symbols, values and labels a text holds, and in which role.

One pass of precompiled expressions over the text; every find is an offset, so a passage is a range and
nothing is scanned twice. LaTeX (`$…$`, `\\(…\\)`, `\\[…\\]`) and plain notation (`x₁`, `3x² + 1`) give the
same names.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum


class Role(IntEnum):
    """What an occurrence does, the strongest last."""

    USE = 0        # an operand, a mention
    INTRO = 1      # the left side of an equation, the result of a computation, a heading
    DEFINE = 2     # introduced by a word: let, denote, where, call


Places = list[tuple[int, Role]]


@dataclass
class Facts:
    """Where a text holds what: (kind, name) → ascending (offset, role); kind is symbol, number, value or label."""

    places: dict[tuple[str, str], Places] = field(default_factory=dict)
    _trail: list[tuple[int, tuple[str, str]]] = field(default_factory=list)

    def add(self, kind: str, name: str, offset: int, role: Role) -> None:
        self.places.setdefault((kind, name), []).append((offset, role))
        self._trail.append((offset, (kind, name)))

    def close(self) -> Facts:
        self._trail.sort()
        for places in self.places.values():
            places.sort()
        return self

    def names(self, start: int, end: int) -> list[tuple[str, str]]:
        """What occurs at start ≤ offset < end, each once, in order of appearance."""
        low, high = bisect_left(self._trail, (start,)), bisect_left(self._trail, (end,))
        return list(dict.fromkeys(key for _, key in self._trail[low:high]))


def within(places: Places, start: int, end: int) -> Places:
    """The occurrences at start ≤ offset < end."""
    return places[bisect_left(places, (start, Role.USE)):bisect_left(places, (end, Role.USE))]


_MATH = re.compile(r"\$\$[^$]{1,2000}\$\$|\$[^$\n]{1,400}\$|\\\[.{1,2000}?\\\]|\\\(.{1,600}?\\\)", re.DOTALL)
_PROSE_IN_MATH = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}")
_GREEK = ("alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho "
          "sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Phi Psi Omega")
_GREEK_COMMANDS = {f"\\{name}": name for name in _GREEK.split()}
_SUBSCRIPT = r"(?:_\{[^{}\n]{1,12}\}|_[A-Za-z0-9]|[₀-₉ₐ-ₜ]+)"
_IN_MATH = re.compile(
    r"\\(?:text|mathrm|operatorname|begin|end|label|mbox|textbf|mathbf|tag|quad|qquad)\*?\s*(?:\{[^{}]*\})?"
    rf"|(?P<sym>\\(?:{'|'.join(_GREEK.split())})(?![A-Za-z]){_SUBSCRIPT}?|[A-Z]{{2,4}}(?![A-Za-z])"
    rf"|(?<!\\)[A-Za-z](?:{_SUBSCRIPT})?'*)|\\[A-Za-z]+")
_PLAIN = re.compile(rf"(?<![A-Za-z\\'’])(?P<sym>[A-Z]{{2,4}}|[A-Za-zα-ωΓΔΘΛΞΦΨΩ](?:{_SUBSCRIPT}|\d)?)'{{0,2}}(?![A-Za-z’'])")
_SUB_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_ARTICLE_AFTER = re.compile(r"\s+[A-Za-z(]{2}|\s*[,.]\s+[A-Za-z]{2}")
_MATH_AROUND = frozenset("=+-*/^²³<>≤≥()[]|·×{}√%_,")
# Abbreviations that look like a product of points.
_ABBREVIATIONS = frozenset(
    "AM GM QM LHS RHS GCD LCM AMC AIME PIE OK DP AP GP MOD II III IV VI VII LCD CRT IE EG QED AND OR NOT "
    "HCF BC AD WLOG CM KM IS SO IF IT NO".split()) - {"BC", "AD"}

_EQUALS_AFTER = re.compile(r"\s*(?:\([^()\n]{1,16}\))?\s*(?::=|=|≈|\\approx|≡|\\equiv)(?!=)")
_DEFINING = re.compile(
    r"\b(?:let(?:ting)?|denot(?:e[sd]?|ing)|defin(?:e[sd]?|ing)|call(?:ed|ing)?|where|puts?|putting|suppos(?:e|ing)"
    r"|assum(?:e|ing)|introduc(?:e|ing)|choos(?:e|ing)|say|set(?:ting)?|nam(?:e|ing|ed)|label(?:ed|ing)?"
    r"|represent(?:s|ed|ing)?|write|written|consider|with|for some|there exists?|variable|parameter|constant"
    r"|function|sequence|point|midpoint|line|circle|centre|center|event|for (?:each|every|any|all)|given)\b",
    re.IGNORECASE)
_BEING = re.compile(r"[\s$)]*(?:\([^()\n]{1,12}\))?[\s$\\)]*(?:be|denotes?|represents?|stands for|means|is the|are the|is defined|as the)\b")
_LIST_GLUE = re.compile(r"^[\s$\\(){},]*(?:and|or)?[\s$\\(){},]*$")

_NUMBER = re.compile(
    r"\\[dt]?frac\s*\{\s*(?P<fa>-?[^{}\n]{1,24}?)\s*\}\s*\{\s*(?P<fb>[^{}\n]{1,24}?)\s*\}"
    r"|\\sqrt\s*\{\s*(?P<ra>\d+)\s*\}|√\(?(?P<rb>\d+)\)?|\bsqrt\(?(?P<rc>\d+)\)?"
    r"|(?<![\w.,])(?P<num>\d{1,3}(?:(?:,|\{,\})\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:\s?/\s?\d+)?)")
_RESULT_BEFORE = re.compile(
    r"(?:=|≈|≡|\\approx|\\equiv|\\boxed\{|\b(?:is|are|was|be|get|gets|got|gives?|giving|yields?|equals?|obtain|to|becomes?"
    r"|have|has|total(?:s|ing)?|makes?|about|approximately|only|exactly))[\s$\\({:*]*(?:-\s*)?$")
_RECALLED = re.compile(
    r"\b(?:since|because|given that|know(?:n|ing)?|recall(?:ing)?|using|use|used|uses|with|from|substitut\w*|plug\w*|put\w*"
    r"|remember\w*|as)\b[^.;\n]{0,60}$", re.IGNORECASE)
_VALUE = re.compile(
    r"(?P<name>\\?[A-Za-z][A-Za-z]{0,10}(?:_\{[^{}\n]{1,8}\}|_\w|[₀-₉])?(?:\([^()\n]{1,10}\))?)\s*(?:=|≈|\\approx|\bis\b|\bequals\b)\s*(?:(?:indeed|also|equal to|about|approximately|exactly|actually|just|therefore|thus)\s+)?\$?\s*"
    r"(?P<value>-?\d[\d,]*(?:\.\d+)?(?:/\d+)?)(?![\w.]*\d)(?!\s*[-+*/^·×!(\\%])")

# `z = x / y`, "z is equal to x/y": a relation, not only a value.
_EQUATION = re.compile(
    r"(?<![\w\\=+\-*/^.|)(])(?P<left>(?:[A-Z]{2,4}|[A-Za-z])(?:_\{?\w{1,2}\}?|[₀-₉]|\d)?(?:\([^()\n]{1,6}\))?)\s*(?:=|\bis (?:also )?(?:equal to )?|\bequals )\s*"
    r"(?P<right>-?[\w\\(][\w\\(){}^²³_/*+\-·×√ ]{1,28}?)(?=\s*(?:[.,;:$\n=)]|\\\)|⇒|=>|→|$|\b(?:and|so|which|where|is|then|in|into|for|from|we|because|since|if|but)\b))")


_LABEL_NOUNS = (
    r"case|sub-?case|lemma|claim|theorem|proposition|corollary|method|approach|step|part|equation|eq|formula"
    r"|scenario|possibility|option|attempt|observation|fact|condition|property|identity|inequality|relation|way|root|solution|question")
_LABEL = re.compile(
    rf"\b(?P<noun>{_LABEL_NOUNS})s?\.?\s*(?:\\?\(|#|\$|\*\*)*\s*(?P<tag>\d+(?:\.\d+)*|[A-Z]|[ivx]{{1,4}}|\*{{1,3}})(?![A-Za-z])"
    rf"|\b(?P<ordinal>first|second|third|fourth|fifth|1st|2nd|3rd)\s+(?P<noun2>{_LABEL_NOUNS})\b", re.IGNORECASE)
_EQUATION_TAG = re.compile(r"\\tag\{(?P<a>[^{}\n]{1,6})\}|(?<=[\s$=\]])\((?P<b>\d{1,2}|\*{1,3}|[A-Z]|†)\)[.,:\s$*]*$", re.MULTILINE)
_EQUATION_REF = re.compile(
    r"\b(?:equations?|eqs?\.?|from|in|into|using|by|via|with|of|to|and|identity|relation|substituting|adding|subtracting|formula)\s*"
    r"(?:\\eqref\{|\\?\()(?P<tag>\d{1,2}|\*{1,3}|[A-Z]|†)\\?[)}](?![\w(^²³])", re.IGNORECASE)
_ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "1st": "1", "2nd": "2", "3rd": "3"}
_HEAD_BEFORE = re.compile(r"(?:^|\n)[\s#*\-•>\d.()$]*(?:(?:now|next|then|so|first|second|finally|okay|ok|and|for|in|consider|starting with|let'?s\b[\w\s]{0,24})[,:]?\s*){0,2}[*$\\(]*$", re.IGNORECASE)


def scan(text: str) -> Facts:
    """Every symbol, number, value (`x = 4`) and label of `text` with its offsets, ascending."""
    facts = Facts()
    defining = _defining_ends(text)
    _scan_symbols(text, facts, defining)
    _scan_numbers(text, facts)
    _scan_values(text, facts)
    _scan_labels(text, facts)
    _scan_expressions(text, facts)
    _scan_equations(text, facts)
    _scan_applications(text, facts)
    return facts.close()


def _defining_ends(text: str) -> list[int]:
    return [match.end() for match in _DEFINING.finditer(text)]


def _segments(text: str) -> Iterator[tuple[int, int, bool]]:
    """Pieces of the text in order: (start, end, is mathematics)."""
    at = 0
    for match in _MATH.finditer(text):
        start, end = match.span()
        if start > at:
            yield at, start, False
        # Two dollar amounts with prose between them are no formula.
        yield start, end, not (match[0][0] == "$" and "\\" not in match[0] and _PROSE_IN_MATH.search(match[0]))
        at = end
    if at < len(text):
        yield at, len(text), False


def _scan_symbols(text: str, facts: Facts, defining: list[int]) -> None:
    last_defined = -1  # end of the last symbol that a defining word introduced
    for start, end, is_math in _segments(text):
        for match in (_IN_MATH if is_math else _PLAIN).finditer(text, start, end):
            raw = match["sym"]
            if raw is None or (not is_math and not _is_symbol(text, match)):
                continue
            if raw in _ABBREVIATIONS:
                continue
            at = match.start("sym")
            role = _symbol_role(text, at, match.end(), defining, last_defined)
            if role == Role.DEFINE:
                last_defined = match.end()
            facts.add("symbol", _symbol_name(raw), at, role)


def _is_symbol(text: str, match: re.Match[str]) -> bool:
    """Whether a single letter in prose is a symbol, not a word ("a", "I") or a label ("A.")."""
    raw, start, end = match["sym"], match.start(), match.end()
    if raw in ("a", "A", "I") and _ARTICLE_AFTER.match(text, end):
        return False
    if raw == "I" or (raw == "s" and text[start - 1:start] in "'’"):
        return False
    if raw in ("e", "g") and text[end:end + 1] == "." and text[start - 1:start] in " (.":
        return False
    return True


def _symbol_name(raw: str) -> str:
    """One name for `x_{1}`, `x_1`, `x1` and `x₁`; `\\alpha` and `α` stay apart (no chain mixes them)."""
    if len(raw) == 1:
        return raw
    name = raw.translate(_SUB_DIGITS).replace("{", "").replace("}", "").replace("\\", "")
    return name if "_" in name or not name[-1].isdigit() else f"{name[:-1]}_{name[-1]}"


def _symbol_role(text: str, start: int, end: int, defining: list[int], last_defined: int) -> Role:
    if last_defined >= 0 and 0 < start - last_defined <= 12 and _LIST_GLUE.match(text[last_defined:start]):
        return Role.DEFINE
    index = bisect_left(defining, start + 1) - 1
    if index >= 0 and start - defining[index] <= 60:
        between = text[defining[index]:start]
        if len(between) <= 4 and between.strip(" $\\(") == "":
            return Role.DEFINE
        if _BEING.match(text, end) and not _ends_sentence(between):
            return Role.DEFINE
        if len(between) <= 40 and not _ends_sentence(between) and not any(c in "=+<>" for c in between):
            return Role.DEFINE
    if _EQUALS_AFTER.match(text, end) and _starts_clause(text, start):
        return Role.INTRO
    return Role.USE


def _ends_sentence(between: str) -> bool:
    return "\n" in between or ". " in between or "; " in between or "," in between


def _starts_clause(text: str, start: int) -> bool:
    before = text[max(0, start - 3):start].rstrip(" $\\(")
    return not before or before[-1] in ",:;\n.>⇒*{&|-(" or before[-1].isalpha()


def _number_key(match: re.Match[str]) -> str:
    if match["num"]:
        return match["num"].replace("{,}", "").replace(",", "").replace(" ", "")
    root = match["ra"] or match["rb"] or match["rc"]
    if root:
        return f"√{root}"
    return f"{match['fa']}/{match['fb']}".replace(" ", "").replace("\\", "")


def _scan_numbers(text: str, facts: Facts) -> None:
    for match in _NUMBER.finditer(text):
        key = _number_key(match)
        if distinctness(key) <= 0:
            continue
        before = text[max(0, match.start() - 70):match.start()]
        role = Role.INTRO if _RESULT_BEFORE.search(before[-28:]) else Role.USE
        if role == Role.INTRO and before.rstrip(" $\\(")[-1:] not in "=≈≡" and _RECALLED.search(before):
            role = Role.USE
        facts.add("number", key, match.start(), role)


_ROUND = frozenset("100 120 180 200 300 360 365 400 500 600 720 900 101 99 1000 10000 100000 1000000 3.14 1.414 1.732 2.236 3.1416 3.14159 "
                   "0.5 0.25 0.75 1.5 2.5 144 121 169 196 225 256 512 1024 128 125 216 343 729 243 625".split())


def distinctness(key: str) -> float:
    """How surely a number seen in two passages is the same quantity, in [0, 1]; small ones are in every text."""
    if key[0] == "√":
        return 0.3 if len(key) > 2 else 0.15
    if key in _ROUND:
        return 0.15
    if "/" in key:
        return 0.75 if len(key) >= 5 else 0.5 if len(key) == 4 else 0.12
    if "." in key:
        return 0.8 if len(key) >= 5 else 0.45 if len(key) == 4 else 0.2
    return (0.0, 0.0, 0.2, 0.5, 0.75)[len(key)] if len(key) <= 4 else 0.85


def _scan_values(text: str, facts: Facts) -> None:
    for match in _VALUE.finditer(text):
        name = match["name"].strip("\\")
        if len(name) > 4 and "(" not in name and "_" not in name:
            continue
        key = f"{_symbol_name(name)}={match['value'].replace(',', '')}"
        before = text[max(0, match.start() - 70):match.start()]
        role = Role.USE if _RECALLED.search(before) else Role.INTRO
        facts.add("value", key, match.start(), role)


_GROUP = re.compile(r"\((?P<a>[^()\n$]{5,40})\)|(?<![\w^])(?P<b>\d*[a-zA-Z]?[a-zA-Z](?:_?\d)?(?:\^\{?\d\}?|[²³])?(?:\s*[-+]\s*\d*(?:[a-zA-Z](?:_?\d)?){0,2}(?:\^\{?\d\}?|[²³])?){1,4})(?![\w(])")
_OPERATORS = frozenset("+-*/^²³·×−")
_STRIP = str.maketrans({" ": None, "{": None, "}": None, "²": "^2", "³": "^3", "−": "-", "·": "*", "×": "*", "$": None})


def _scan_expressions(text: str, facts: Facts) -> None:
    """Compound expressions (`1 + 3x²`) by their look, blanks and notation of powers aside."""
    for match in _GROUP.finditer(text):
        raw = match["a"] or match["b"]
        if not _OPERATORS & set(raw) or not any(c.isalpha() for c in raw) or _WORDS.search(raw):
            continue
        name = raw.translate(_STRIP)
        if len(name) < 5:
            continue
        before = text[max(0, match.start() - 3):match.start()].rstrip(" $")
        facts.add("expression", name, match.start(), Role.INTRO if before[-1:] in ("=", "≈", "≡") else Role.USE)


_WORDS = re.compile(r"[A-Za-z]{3,}")


_APPLIED = re.compile(r"(?<![A-Za-z\\])(?P<name>[A-Za-z]'?(?:_\{?\w{1,2}\}?|[₀-₉])?)\s?\((?P<args>-?\d{1,4}(?:\s?,\s?-?\d{1,4})*)\)")
_ASSIGNS = re.compile(r"\s*(?:\\?[\])}$]{0,2}\s*)?(?:=|≈|\\approx|:|\bis\b)")


def _scan_applications(text: str, facts: Facts) -> None:
    """Values of functions and sequences (`f(3)`, `S(2, 1)`) as names of their own."""
    for match in _APPLIED.finditer(text):
        name = f"{match['name']}({match['args'].replace(' ', '')})"
        assigned = _ASSIGNS.match(text, match.end()) and _starts_clause(text, match.start())
        facts.add("application", name, match.start(), Role.INTRO if assigned else Role.USE)


def _scan_equations(text: str, facts: Facts) -> None:
    for match in _EQUATION.finditer(text):
        right = match["right"].strip()
        name = right.translate(_STRIP)
        if len(name) < 2 or _WORDS.search(_COMMAND.sub("", right)) or not (_OPERATORS & set(right) or "frac" in right or "sqrt" in right) or not any(c.isalpha() for c in name):
            continue
        before = text[max(0, match.start() - 70):match.start()]
        role = Role.USE if _RECALLED.search(before) else Role.INTRO
        facts.add("relation", f"{_symbol_name(match['left'])}={name}", match.start(), role)


_COMMAND = re.compile(r"\\[A-Za-z]+")


def _scan_labels(text: str, facts: Facts) -> None:
    named: set[int] = set()
    for match in _LABEL.finditer(text):
        if match["noun"]:
            noun, tag = match["noun"].lower(), match["tag"]
        else:
            noun, tag = match["noun2"].lower(), _ORDINALS[match["ordinal"].lower()]
        noun = {"eq": "equation"}.get(noun, noun.replace("-", ""))
        role = Role.INTRO if _heads(text, match) else Role.USE
        facts.add("label", f"{noun} {tag}", match.start(), role)
        named.add(match.end())
    for match in _EQUATION_TAG.finditer(text):
        facts.add("label", f"equation {match['a'] or match['b']}", match.start(), Role.DEFINE)
    for match in _EQUATION_REF.finditer(text):
        if not named & {match.end() - 1, match.end()}:
            facts.add("label", f"equation {match['tag']}", match.start(), Role.USE)


_NAMING = re.compile(r"\b(?:call|name|label|denote|mark)\w*\s+(?:\w+\s+){0,2}(?:as\s+)?(?:the\s+)?$", re.IGNORECASE)


def _heads(text: str, match: re.Match[str]) -> bool:
    """A label that opens its line, or is followed by a colon, names what comes there."""
    after = text[match.end():match.end() + 6].lstrip(" )*$")
    if after[:1] in ("-", "+", "−"):
        return False
    if _NAMING.search(text, max(0, match.start() - 20), match.start()):
        return True
    line_start = text.rfind("\n", max(0, match.start() - 60), match.start()) + 1
    if line_start == 0 and match.start() > 60:
        return False
    if after[:1] == ":" and text[:match.start()].rstrip()[-1:] in (".", "!", "?"):
        return True
    return bool(_HEAD_BEFORE.search(text[max(0, line_start - 1):match.start()])) and after[:2] not in ("'s", "ga", "we")
