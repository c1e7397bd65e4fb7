"""Headings: the explicit structure of a chain, line by line.

A heading opens a part: `Case 2: n is odd`, `Option B.`, `**Tens place:**`, `If n = 3, …`. What it announces is its
`subject`, in the chain's own words. Every pattern is anchored and bounded, so that a line is read in linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE = 240
"""Characters of a line that are read: a heading is at its beginning."""
_MAX_TITLE_WORDS = 7

_MARKS = r"[\s#>*_+\-•–]{0,12}+"
_LEAD = (
    r"(?:(?:(?:now|next|then|so|okay|ok|first|second|third|finally|lastly|for|on to|moving on to|as for|consider(?:ing)?"
    r"|starting with|similarly|likewise|also|let(?:'|’)?s\s(?:now\s|first\s|next\s)?(?:consider|look at|check|take|try|do|examine|handle|start with|move on to|go to)"
    r"|let\sme\s(?:now\s|first\s|next\s)?(?:consider|look at|check|take|try|do|examine|handle|start with|move on to)"
    r"|check(?:ing)?|test(?:ing)?|try(?:ing)?|what\sabout|how\sabout|the)(?:,|:|\.{3})?\s{1,3}){0,3}+)"
)
_NOUN = (
    r"(?P<noun>sub-?case|case|option|choice|scenario|possibility|situation|method|approach|way|part|interpretation"
    r"|candidate|configuration|arrangement)"
)
_TAG = r"[\s(#]{0,3}+(?P<tag>\d{1,2}(?:[.\-]\d{1,2})?|(?-i:[A-H])|one|two|three|four|five|(?<=\()[a-h](?=\))|(?-i:[ivx]{1,4}|I{1,3}|IV|V))(?![\w^'’])"
_LABEL = re.compile(rf"{_MARKS}{_LEAD}{_MARKS}{_NOUN}{_TAG}", re.IGNORECASE)
_ORDINAL = re.compile(
    rf"{_MARKS}{_LEAD}{_MARKS}(?P<tag>first|second|third|fourth|fifth)\s(?P<noun>[a-z][a-z-]{{3,14}}(?:\s[a-z]{{4,12}})?)"
    r"(?=\s?[:,(*—–]|\.\s|\s+(?:is|when|where|if)\b|\s*$)",
    re.IGNORECASE,
)
_PASSING = re.compile(r"(?:step|thing|thought|idea|note|attempt|glance|move|time|part of)s?\b", re.IGNORECASE)
_LETTERED = re.compile(r"[\s#>*_\-]{0,8}+(?:\((?P<tag>[A-Fa-f])\)|(?P<tag2>[A-F])[.)])\**[ \t]{1,3}(?=\S)")
# what may follow a label that heads something; "Case 1 gives 5" speaks of a case and opens none
_AFTER_LABEL = re.compile(
    r"[)\s]{0,3}+(?:[:.,(*—–-]|$|(?:when|where|if|with|is\swhen|is\swhere|is\sif|using|via|by|:)\b)", re.IGNORECASE
)
_NUMERAL = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}

_VARIABLE = r"(?P<name>[A-Za-z](?:_?\{?\w\}?)?|\\[a-z]{2,8}|\|[A-Z](?:\s?\\cap\s?[A-Z])?\|)"
_VALUE = r"(?P<value>-?\d{1,7}(?:[./]\d{1,5})?|[-+]?\\[dt]?frac\{\d{1,4}\}\{\d{1,4}\}|odd|even|prime|positive|negative|zero|[A-Za-z]\b)"
_INSTANCE = re.compile(
    rf"{_MARKS}{_LEAD}{_MARKS}(?:(?:if|for|when|suppose|assume|case|take|try|let)\s(?:that\s)?)?[\s$\\(*]{{0,4}}+{_VARIABLE}"
    rf"(?P<sign>\s?(?:=|≡|\\equiv|<|>|≤|≥|≠|\\leq?|\\geq?|\\neq?|\\ne)\s?|\s(?:is|equals)\s(?:an?\s)?){_VALUE}(?P<modulus>\s?(?:\\pmod\{{?\d{{1,4}}\}}?|\(?mod\s\d{{1,4}}\)?))?(?P<after>[\s$*)\\]{{0,5}}(?:[:,.;]|\b[a-z]{{2,}}|$))",
    re.IGNORECASE,
)
_TRIED = re.compile(r"\b(?:if|for|when|suppose|assume|case|(?:consider|check|test|try|take)(?:ing)?)\b", re.IGNORECASE)
_CASE = re.compile(r"\bcase\b|\*\*|^#", re.IGNORECASE)
_FOLLOWS = re.compile(r"\b(?:so|then)\b", re.IGNORECASE)
_BOLD = re.compile(r"[\s#>\-]{0,8}+(?:\(?\d{1,2}[.)]\s{1,2})?\*\*(?P<title>[^*\n]{2,60}?)[:.]?\*\*(?P<colon>:?)")
_HASHED = re.compile(r"#{2,5}\s(?:\d{1,2}[.)]\s{1,2})?(?P<title>[^\n]{2,60}?):?\s{0,3}$")
_PLAIN = re.compile(r"[\s>\-•]{0,8}+(?:\(?\d{1,2}[.)]\s{1,2})?(?P<title>[A-Z][\w'° -]{1,40}):(?=\s|$)")
# what is said in passing before a colon, and what continues from one to the next: layers, steps, months
_NO_TITLE = re.compile(
    r"^(?:let|but|so|from|wait|then|thus|hence|therefore|given|substitut\w*|divid\w*|multipl\w*|after|before|the equations?|now|next|and|or|if|this|that|which)\b"
    r"|\b(?:equation|steps?|layer|level|move|round|iteration|generation|stage|state|base|day|month|year|week|turn|idea|attempt|next|last|remaining|other)s?\b",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\s*(?:---|\*\*\*|#{1,5}\s|\*\*[^*\n]{2,80}\*\*\s*:?\s*$)")


@dataclass(frozen=True, slots=True)
class Head:
    """What a line opens. Heads of one `key` may be members of one series; `slot` tells them apart."""

    kind: str
    """label (Case 2), case (Case n = 3), instance (If n = 3), title (**Tens place:**)."""
    key: str
    slot: str
    label: str
    """The heading's name: "Case 2", "n = 3", "Tens place"."""
    end: int
    """Where the heading's name ends in its line; its subject may follow."""

    @property
    def place(self) -> int | None:
        """The number of a labelled part within its series, from 1."""
        last = re.split(r"[.\-]", self.slot)[-1]
        if last.isdigit():
            return int(last)
        return _NUMERAL.get(last) or (
            ord(last) - ord("a") + 1 if len(last) == 1 and "a" <= last <= "h" else _ROMAN.get(last)
        )


def head_of(line: str) -> Head | None:
    """Return what a line opens, None if it opens nothing of its own."""
    line = line[:MAX_LINE]
    if not line.strip():
        return None
    return _labelled(line) or _instance(line) or _titled(line)


def is_section(line: str) -> bool:
    """Whether a line begins a section of its own: a rule, a markdown heading, a line in bold."""
    return _SECTION.match(line[:MAX_LINE]) is not None


def _labelled(line: str) -> Head | None:
    match = _LABEL.match(line)
    if match and _AFTER_LABEL.match(line, match.end()):
        noun, tag = match["noun"].lower().replace("-", ""), match["tag"]
        group, _, _ = tag.replace("-", ".").rpartition(".")
        style = "1" if tag[-1].isdigit() else "a"
        return Head("label", f"{noun} {group}{style}", tag.lower(), f"{match['noun'].capitalize()} {tag}", match.end())
    if (match := _ORDINAL.match(line)) and not _PASSING.search(match["noun"]):
        label = f"{match['tag'].capitalize()} {match['noun'].lower()}"
        return Head("label", f"ordinal {match['noun'].lower()}", match["tag"].lower(), label, match.end())
    if match := _LETTERED.match(line):
        tag = match["tag"] or match["tag2"]
        return Head("label", f"letter {'A' if tag.isupper() else 'a'}", tag.lower(), f"({tag})", match.end())
    return None


def _instance(line: str) -> Head | None:
    match = _INSTANCE.match(line)
    if not match:
        return None
    before, after = line[: match.start("name")], match["after"].strip(" $*)\\")
    if not _TRIED.search(before) and (after != ":" or _FOLLOWS.search(before)):
        return None  # "x = 3." is a result, "Let x = 3." a definition
    name, value = match["name"], match["value"]
    sign, modulus = " ".join(match["sign"].split()), match["modulus"] or ""
    slot = value.lower() if sign in ("=", "is", "equals") else f"{sign}{value}{modulus}".lower()
    kind = "case" if _CASE.search(before) else "instance"
    return Head(kind, f"{kind} {name}", slot, f"{name} {sign} {value}{modulus}", match.start("after"))


def _titled(line: str) -> Head | None:
    match = _BOLD.match(line) or _HASHED.match(line) or _PLAIN.match(line)
    if not match:
        return None
    title = match["title"].strip(" :.")
    if not title or len(title.split()) > _MAX_TITLE_WORDS or _NO_TITLE.search(title):
        return None
    style = "bold" if "**" in line[: match.end()] else "hashed" if line.startswith("#") else "plain"
    return Head("title", style, title.lower(), title, match.end())


_OPPOSITES = (
    {"numerator", "denominator"}, {"lhs", "rhs"}, {"left", "right"}, {"mean", "variance", "median", "mode"}, {"area", "perimeter"},
    {"domain", "range"}, {"existence", "uniqueness"}, {"sufficiency", "necessity"}, {"even", "odd"}, {"horizontal", "vertical"},
)  # fmt: skip


def parallel_titles(titles: list[str]) -> bool:
    """Whether titles are alike but for one word: "tens place" and "units place", "modulo 7" and "modulo 11"."""
    split = [title.split() for title in titles]
    if any(set(titles) <= group for group in _OPPOSITES):
        return len(set(titles)) == len(titles)
    if len({len(words) for words in split}) != 1 or len(split[0]) < 2 or len(set(titles)) < len(titles):
        return False
    apart = [column for column in zip(*split, strict=True) if len(set(column)) > 1]
    return len(apart) == 1 and len({word[:4] for word in apart[0]}) == len(titles)
