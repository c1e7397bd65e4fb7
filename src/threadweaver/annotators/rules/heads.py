"""Headings: lines that open a part of a chain, such as `Case 2: n is odd`, `**Tens place:**`, `If n = 3, …`.

Every pattern is anchored and bounded, so that a line is read in linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE = 240  # characters of a line that are read: a heading is at its beginning
_MAX_TITLE_WORDS = 7

_MARKS = r"[\s#>*_+\-•–]{0,12}+"
_OPENING = (
    r"now|next|then|so|okay|ok|finally|lastly|for|on to|moving on to|as for|consider(?:ing)?"
    r"|starting with|similarly|likewise|also|let(?:(?:'|’)?s|\sme)\s(?:now\s|first\s|next\s)?(?:consider|look at|check|take|try|do|examine|handle|start with|move on to|go to)"
    r"|check(?:ing)?|test(?:ing)?|try(?:ing)?|what\sabout|how\sabout|the"
)
_LEAD = rf"(?:(?:{_OPENING}|first|second|third)(?:,|:|\.{{3}})?\s{{1,3}}){{0,3}}+"
_NOUN = (
    r"(?P<noun>sub-?case|case|option|choice|scenario|possibility|situation|method|approach|way|part|interpretation"
    r"|candidate|configuration|arrangement)"
)
_TAG = r"[\s(#]{0,3}+(?P<tag>\d{1,2}(?:[.\-]\d{1,2})?|(?-i:[A-H])|one|two|three|four|five|six|(?<=\()[a-h](?=\))|(?-i:[ivx]{1,4}|I{1,3}|IV|V))(?![\w^'’])"
_LABEL = re.compile(rf"(?i){_MARKS}{_LEAD}{_MARKS}{_NOUN}{_TAG}")
_ORDINAL = re.compile(
    rf"(?i){_MARKS}(?:(?:{_OPENING})(?:,|:|\.{{3}})?\s{{1,3}}){{0,3}}+{_MARKS}(?P<tag>first|second|third|fourth|fifth)\s(?P<noun>[a-z][a-z-]{{2,14}}(?:\s[a-z]{{4,12}})?)"
    r"(?=\s?[:,(*—–]|\.\s|\s+(?:is|when|where|if)\b|\s*$)"
)
_PASSING = re.compile(r"(?i)(?:one|two|few|step|thing|thought|idea|note|attempt|glance|move|time|part of)s?\b")
# what may follow a label that heads something; "Case 1 gives 5" speaks of a case and opens none
_AFTER_LABEL = re.compile(
    r"(?i)[)\s]{0,3}+(?:[:.,(*—–-]|$|(?:when|where|if|with|is\swhen|is\swhere|is\sif|using|via|by|:)\b)"
)
_NUMERALS = "first second third fourth fifth|one two three four five six|i ii iii iv v vi vii viii|a b c d e f g h"
NUMERAL = {word: place for row in _NUMERALS.split("|") for place, word in enumerate(row.split(), 1)}

_VARIABLE = r"(?P<name>[A-Za-z](?:_?\{?\w\}?)?|\\[a-z]{2,8}|\|[A-Z](?:\s?\\cap\s?[A-Z])?\|)"
_VALUE = r"(?P<value>-?\d{1,7}(?:[./]\d{1,5})?|[-+]?\\[dt]?frac\{\d{1,4}\}\{\d{1,4}\}|odd|even|prime|positive|negative|zero|[A-Za-z]\b)"
_INSTANCE = re.compile(
    rf"(?i){_MARKS}{_LEAD}{_MARKS}(?:(?:if|for|when|suppose|assume|case|take|try|let)\s(?:that\s)?)?[\s$\\(*]{{0,4}}+{_VARIABLE}"
    rf"(?P<sign>\s?(?:=|≡|\\equiv|<|>|≤|≥|≠|\\leq?|\\geq?|\\neq?|\\ne)\s?|\s(?:is|equals)\s(?:an?\s)?){_VALUE}(?P<modulus>\s?(?:\\pmod\{{?\d{{1,4}}\}}?|\(?mod\s\d{{1,4}}\)?))?(?P<after>[\s$*)\\]{{0,5}}(?:[:,.;]|\b[a-z]{{2,}}|$))"
)
_TRIED = re.compile(r"(?i)\b(?:if|for|when|suppose|assume|case|(?:consider|check|test|try|take)(?:ing)?)\b")
_CASE = re.compile(r"(?i)\bcase\b|\*\*|^#")
_FOLLOWS = re.compile(r"(?i)\b(?:so|then)\b")
_BOLD = re.compile(r"[\s#>\-]{0,8}+(?:\(?\d{1,2}[.)]\s{1,2})?\*\*(?P<title>[^*\n]{2,60}?)[:.]?\*\*(?P<colon>:?)")
_HASHED = re.compile(r"#{2,5}\s(?:\d{1,2}[.)]\s{1,2})?(?P<title>[^\n]{2,60}?):?\s{0,3}$")
_PLAIN = re.compile(
    r"[\s>\-•]{0,8}+(?:\(?\d{1,2}[.)]\s{1,2})?(?:(?:First|Second|Third|Next|Then|Now|Finally|Lastly),\s|(?=[A-Z]))(?P<title>[A-Za-z][\w'° -]{1,40}):(?=\s|$)"
)
# what is said in passing before a colon, and what continues from one to the next: layers, steps, months
_NO_TITLE = re.compile(
    r"(?i)^(?:comput\w*|calculat\w*|simplif\w*|convert\w*|add\w*|using|i|we|let|but|so|from|wait|then|thus|hence|therefore|given|substitut\w*|divid\w*|multipl\w*|after|before|the equations?|now|next|and|or|if|this|that|which)\b"
    r"|\b(?:equation|steps?|layer|level|move|round|iteration|generation|stage|state|base|day|month|year|week|turn|idea|attempt|next|last|remaining|other)s?\b"
)
_GLOSS = re.compile(r"\s\([^()]{1,30}\)$")
_SECTION = re.compile(r"\s*(?:(?P<rule>---|\*\*\*)|(?P<hashes>#{1,5})\s|\*\*[^*\n]{2,80}\*\*\s*:?\s*$)")


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
        return int(last) if last.isdigit() else NUMERAL.get(last)


def head_of(line: str) -> Head | None:
    """Return what a line opens, None if it opens nothing of its own."""
    line = line[:MAX_LINE]
    return _labelled(line) or _instance(line) or _titled(line)


def rank(text: str) -> int:
    """Return how high a line stands as a heading of a section: a rule 7, markdown headings 6 to 2, bold 1, others 0."""
    match = _SECTION.match(text[:MAX_LINE].split("\n", 1)[0])
    return 0 if match is None else 7 if match["rule"] else 7 - len(match["hashes"] or "######")


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
    title = _GLOSS.sub("", match["title"].strip(" :."))
    if not title or len(title.split()) > _MAX_TITLE_WORDS or _NO_TITLE.search(title):
        return None
    style = "bold" if "**" in line[: match.end()] else "hashed" if line.startswith("#") else "plain"
    return Head("title", style, title.lower(), title, match.end())


def parallel_titles(titles: list[str]) -> bool:
    """Whether titles are alike but for one word: "tens place" and "units place", "modulo 7" and "modulo 11"."""
    split = [title.split() for title in titles]
    if len({len(words) for words in split}) != 1 or len(split[0]) < 2 or len(set(titles)) < len(titles):
        return False
    apart = [column for column in zip(*split, strict=True) if len(set(column)) > 1]
    return len(apart) == 1 and len({word[:4] for word in apart[0]}) == len(titles)
