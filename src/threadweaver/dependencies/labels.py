"""Labels: "Case 2", "Lemma 1", "equation (3)", "(*)": who heads a passage with one, who cites it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from threadweaver.dependencies.finds import Find, Role, lowered

_NOUNS = (
    r"case|sub-?case|lemma|claim|theorem|proposition|corollary|method|approach|step|part|equation|eq"
    r"|formula|scenario|possibility"
    r"|option|level|row|stage|round|layer|generation|iteration|day|week|attempt|observation|fact|condition"
    r"|property|identity|inequality|relation|way|root|solution|question"
)
_LABEL = re.compile(
    rf"\b(?:(?P<noun>{_NOUNS})s?\.?\s*(?:\\?\(|#|\$|\*\*)*\s*(?P<tag>\d+(?:\.\d+)*|[a-z]|[ivx]{{1,4}}"
    rf"|\*{{1,3}})(?![a-z])"
    rf"|(?P<ordinal>first|second|third|fourth|fifth|1st|2nd|3rd)\s+(?P<noun2>{_NOUNS})\b)"
)
_EQUATION_TAG = re.compile(
    r"\\tag\{(?P<a>[^{}\n]{1,6})\}|(?<=[\s$=\]])\((?P<b>\d{1,2}|\*{1,3}|[A-Z]|†)\)[.,:\s$*]*$", re.MULTILINE
)
_EQUATION_REF = re.compile(
    r"\b(?:equations?|eqs?\.?|from|in|into|using|by|via|with|of|to|and|identity|relation|substituting"
    r"|adding|subtracting|formula)\s*"
    r"(?:\\eqref\{|\\?\()(?P<tag>\d{1,2}|\*{1,3}|[a-z]|†)\\?[)}](?![\w(^²³])"
)
_ORDINALS = {
    "first": "1",
    "second": "2",
    "third": "3",
    "fourth": "4",
    "fifth": "5",
    "1st": "1",
    "2nd": "2",
    "3rd": "3",
}
_HEAD_BEFORE = re.compile(
    r"[\s#*\-•>\d.()$]*(?:(?:now|next|then|so|first|second|finally|okay|ok|and|for|in|consider|starting "
    r"with|let'?s\b[\w\s]{0,24})"
    r"[,:]?\s*){0,2}[*$\\(]*"
)
_NAMING = re.compile(r"\b(?:call|name|label|denote|mark)\w*\s+(?:\w+\s+){0,2}(?:as\s+)?(?:the\s+)?$")


def scan_labels(text: str) -> Iterator[Find]:
    """Labels of cases, methods, results and equations; a heading introduces, everything else cites."""
    small = lowered(text)
    named: set[int] = set()
    for match in _LABEL.finditer(small):
        noun, tag = match["noun"] or match["noun2"], match["tag"] or _ORDINALS[match["ordinal"] or "1st"]
        if (
            tag.isalpha()
            and len(tag) == 1
            and text[match.start("tag")].islower()
            and text[match.start("tag") - 1] != "("
        ):
            continue  # "in case a number …"
        noun = "equation" if noun == "eq" else noun.replace("-", "")
        role = Role.INTRO if _heads(small, match) else Role.USE
        named.add(match.end())
        yield Find("label", f"{noun} {tag}", match.start(), role, match[0])
    for match in _EQUATION_TAG.finditer(text):
        yield Find(
            "label", f"equation {(match['a'] or match['b']).lower()}", match.start(), Role.DEFINE, match[0]
        )
    for match in _EQUATION_REF.finditer(small):
        if not named & {match.end() - 1, match.end()}:
            yield Find("label", f"equation {match['tag']}", match.start(), Role.USE, match[0])


def _heads(small: str, match: re.Match[str]) -> bool:
    """A label that opens its line or sentence, or that something is named by, stands for what comes there."""
    start = match.start()
    after = small[match.end() : match.end() + 6].lstrip(" )*$")
    if after[:1] in ("-", "+", "−"):
        return False
    if _NAMING.search(small, max(0, start - 20), start):
        return True
    line_start = small.rfind("\n", max(0, start - 60), start) + 1
    if line_start == 0 and start > 60:
        return False
    if after[:1] == ":" and small[:start].rstrip()[-1:] in (".", "!", "?"):
        return True
    return _HEAD_BEFORE.fullmatch(small, line_start, start) is not None and after[:2] not in (
        "'s",
        "ga",
        "we",
    )
