"""Labels: "Case 2", "Lemma 1", "equation (3)", "(*)": who heads a passage with one, who cites it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from threadweaver.independence.finds import Find, Role, lowered

_NOUNS = (
    r"case|sub-?case|lemma|claim|theorem|proposition|corollary|method|approach|step|part|equation|eq"
    r"|formula|scenario|possibility"
    r"|option|level|row|stage|round|layer|generation|iteration|day|week|attempt|observation|fact|condition"
    r"|property|identity|inequality|relation|way|root|solution|question"
)
_LABEL = re.compile(
    rf"\b(?:(?P<noun>{_NOUNS})s?\.?\s{{0,9}}+(?:\\?\(|#|\$|\*\*){{0,6}}+\s{{0,9}}+(?P<tag>\d{{1,9}}+(?:\.\d{{1,9}}+){{0,5}}+|[a-z]|[ivx]{{1,4}}"
    rf"|\*{{1,3}})(?![a-z])(?!\s{{0,3}}+(?:[<>≤≥]|\\[lg](?:eq?|t)\b))"  # "case 1 < x" has no number
    rf"|(?P<ordinal>first|second|third|fourth|fifth|1st|2nd|3rd)\s{{1,9}}+(?P<noun2>{_NOUNS})\b)"
)
_SIGN = r"\*{1,3}|[#†‡§¶★☆✱⋆•♠♣♥♦○●△▲□■◇◆]{1,3}|\\(?:star|ast|dagger|ddagger|clubsuit|spadesuit|diamond)"
_EQUATION_TAG = re.compile(
    rf"\\tag\{{(?P<a>[^{{}}\n]{{1,6}})\}}|(?<=[\s$=\]])\((?P<b>\d{{1,2}}|{_SIGN}|[A-Z])\)[.,:\s$*]{{0,40}}$",
    re.MULTILINE,
)
# A sign in parentheses is no term: at its first mention it names something, later it is cited.
_SIGNED = re.compile(rf"(?<![\w)])[$\\]{{0,2}}\((?P<tag>{_SIGN})\\?\)")
_EQUATION_REF = re.compile(
    r"\b(?:equations?|eqs?\.?|from|in|into|using|by|via|with|of|to|and|identity|relation|substituting"
    r"|adding|subtracting|formula)\s{0,9}+"
    r"(?:\\eqref\{|\\?\()(?P<tag>\d{1,2}|\*{1,3}|[a-z]|†)\\?[)}](?![\w(^²³])"
)
_ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "1st": "1", "2nd": "2", "3rd": "3"}
_HEAD_BEFORE = re.compile(
    r"[\s#*\-•>\d.()$]*(?:(?:now|next|then|so|first|second|finally|okay|ok|and|for|in|consider|starting "
    r"with|let'?s\b[\w\s]{0,24})"
    r"[,:]?\s*){0,2}[*$\\(]*"
)
_SIGN_GIVEN = re.compile(
    r"(?:\bas|\bmark\w*|\bcall\w*|\blabel\w*|\btag\w*|\bdenote\w*|\bby)(?: (?:it|this|that|these))?[\s$\\]*$"
)
# A lemma that does something is cited: "Lemma 2 now guarantees …"; a case or a step may do it in its heading.
_STATEMENTS = frozenset(
    "lemma claim theorem proposition corollary equation formula observation fact condition property identity"
    " inequality relation".split()
)
_ACTS = re.compile(
    r"[\s*$)]{1,9}+(?:(?:now|then|also|thus|already|again|therefore|together|\w{1,20}ly)\s{1,9}+)?(?!(?:is|was|has|this|as|plus)\b)[a-z]{2,30}(?:(?<=s)|(?<=ed))\b"
    r"|[’']s\b|[\s*$)]{1,9}+(?:and|with|we|to)\b"
)
_TELLS_OF = re.compile(r"\b(?:in|for|under)\s+$")
_TOLD_OF = re.compile(r"[\s,*$)]{1,9}+(?:the|an?|it|there|all|both|each|\w{1,30}\s{1,9}(?:is|are|must|equals))\b")
_NAMING = re.compile(r"\b(?:call|name|label|denote|mark)\w*\s+(?:\w+\s+){0,2}(?:as\s+)?(?:the\s+)?$")


def scan_labels(text: str) -> Iterator[Find]:
    """Labels of cases, methods, results and equations; a heading introduces, everything else cites."""
    small = lowered(text)
    named: set[int] = set()
    told: dict[str, dict[str, list[tuple[re.Match[str], bool]]]] = {}
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
        if role == Role.USE and _TELLS_OF.search(small, max(0, match.start() - 6), match.start()):
            told.setdefault(noun, {}).setdefault(tag, []).append(
                (match, _TOLD_OF.match(small, match.end()) is not None)
            )
            continue
        yield Find("label", f"{noun} {tag}", match.start(), role, match[0])
    yield from _told_apart(told)
    for match in _EQUATION_TAG.finditer(text):
        yield Find("label", f"equation {(match['a'] or match['b']).lower()}", match.start(), Role.DEFINE, match[0])
    for match in _SIGNED.finditer(text):
        role = Role.INTRO if _SIGN_GIVEN.search(small, max(0, match.start() - 30), match.start()) else Role.USE
        yield Find("label", f"equation {match['tag']}", match.start(), role, match[0])
    for match in _EQUATION_REF.finditer(small):
        if match["tag"][0] != "*" and not named & {match.end() - 1, match.end()}:
            yield Find("label", f"equation {match['tag']}", match.start(), Role.USE, match[0])


def _told_apart(told: dict[str, dict[str, list[tuple[re.Match[str], bool]]]]) -> Iterator[Find]:
    """ "In Case 1 the number is even, in Case 2 it is odd" sets up the cases; one case alone is cited."""
    for noun, tags in told.items():
        apart = sum(any(describes for _, describes in places) for places in tags.values()) > 1
        for tag, places in tags.items():
            for match, describes in places:
                role = Role.INTRO if apart and describes else Role.USE
                yield Find("label", f"{noun} {tag}", match.start(), role, match[0])


def _heads(small: str, match: re.Match[str]) -> bool:
    """A label that opens its line or sentence, or that something is named by, stands for what comes there."""
    start = match.start()
    after = small[match.end() : match.end() + 6].lstrip(" )*$")
    if after[:1] in ("-", "+", "−"):
        return False
    if _NAMING.search(small, max(0, start - 20), start):
        return True
    if (match["noun"] or match["noun2"]) in _STATEMENTS and _ACTS.match(small, match.end()):
        return False
    line_start = small.rfind("\n", max(0, start - 60), start) + 1
    if line_start == 0 and start > 60:
        return False
    if after[:1] == ":" and small[max(0, start - 20) : start].rstrip()[-1:] in (".", "!", "?"):
        return True
    return _HEAD_BEFORE.fullmatch(small, line_start, start) is not None and after[:2] not in ("'s", "ga", "we")
