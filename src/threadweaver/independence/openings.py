"""How a passage begins and how the one before it ends: does it just go on?

A passage that opens in the middle of a sentence or a formula, that concludes ("Therefore", "This gives") or that
answers ("Yes, that's right") goes on with what stood before it; one that sets out ("Alternatively", "Case 2",
"Let me check") does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_INTERJECTION = (
    r"(?:but|wait|hmm+|okay|ok|alright|so|well|however|and|actually|hold on|oh|yes|yeah|no|now|also|just|great|good"
    r"|perfect|therefore|thus)"
)
_SETS_OUT = re.compile(
    rf"(?![\W_]*(?:therefore|thus|hence)\b)[\W_]*(?:{_INTERJECTION}\b[\s,.!:—–-]*){{0,4}}(?:alternatively|another\b|case\b|sub-?case|scenario|method\b"
    r"|approach\b|option\b|part\b|step\b|let(?:'s|’s| us| me)\b(?! (?:substitute|plug|simplify|continue|add|combine"
    r"|multiply|divide|subtract|solve (?:this|it|for)|use (?:this|that|it)))|consider|suppose|assume|maybe|perhaps|first\b"
    r"|second|third|finally|for\b|if\b|when\b|what\b|how\b|why\b"
    r"|to (?:double|check|verify|confirm|find|make|be)"
    r"|just to|we (?:can also|could|need|want|should|have to|are given|are asked|might)|i (?:need|should|could|think"
    r"|might|wonder|can)|recall|remember|the (?:problem|question)|given|can\b|could|is\b|are\b|does|do\b|in (?:this|the)"
    r" (?:case|problem)|(?:in|for) triangle"
    r"|there (?:is|are)|instead|going back|looking|from the problem|using (?:a|an)\b|by (?!this|that))",
    re.IGNORECASE,
)
_MID_FORMULA = re.compile(
    r"[\s$&]*(?:\\\[|\\\(|\\begin\{\w+\*?\})?[\s&]*(?:=(?![=>])|≈|≤|≥|\\(?:implies|Rightarrow|approx|leq?|geq?|equiv|iff)(?![A-Za-z])"
    r"|⇒|=>|→|[+*/×·^)](?=\s?[\w\\({]))"
)
_MID_SENTENCE = re.compile(r"\s*(?!sin|cos|tan|log|ln|sqrt|gcd|lcm|max|min|mod|exp)[a-z]{2,}[ ,](?!=)")
_CONCLUDES = re.compile(
    rf"[\W_]*(?:{_INTERJECTION}\b[\s,.!:—–-]*){{0,2}}(?P<word>so|therefore|thus|hence|then|consequently|which|this|that|these"
    r"|those|it|they|both|accordingly|as a result|it follows|we (?:then|thus|therefore|now have|get|obtain|see)|now we have"
    r"|now that|substituting|plugging|combining|adding|subtracting|simplif\w+|continuing|multiplying|dividing|squaring"
    r"|expanding|rearranging|solving|since|because)\b",
    re.IGNORECASE,
)
_ANSWERS = re.compile(
    r"[\W_]*(?:(?:okay|ok|so|and|oh|ah|great|good|hmm)\b[\s,.!]*){0,2}(?:yes|yep|yeah|right|exactly|indeed|correct|perfect"
    r"|that (?:seems|looks|makes|works|checks|is (?:correct|right))|that[’']s (?:correct|right|it|good|consistent)|seems"
    r"|looks|nope|not (?:quite|exactly))\b",
    re.IGNORECASE,
)
_REVIEWS = re.compile(
    r"[\W_]*(?:so|therefore|thus|hence|then)?[\s,]*(?:all (?:the |of )?(?:steps|calculations|computations|work)|(?:the|our|my)"
    r" (?:problem|question|task|goal|final answer|answer)|the calculation)\b",
    re.IGNORECASE,
)
_ECHO = re.compile(rf"[\W_]*(?:{_INTERJECTION}\b[\s,.!:—–-]*){{0,3}}[$\\(]*-?[\d./,]+[$)\\]*\s?\?", re.IGNORECASE)
# "Half of that is 32": a pronoun in the first clause that nothing in it stands for.
_BARE = re.compile(
    r"[^.:;,=\n]{0,50}?\b(?:of|from|than|by|with|to|into|at|for|on)\s+(?:that|this|it|them|these|those)\b"
    r"(?=\s*(?:[.,:;=]|is\b|are\b|was\b|were\b|and\b|gives?\b|we\b|equals\b|yields?\b|by\b|from\b|to\b|\d))",
    re.IGNORECASE,
)
_STILL = re.compile(r"[\W_]*(?:still|too (?:small|large|big|high|low)|same (?:here|thing))\b", re.IGNORECASE)
_WORKS_ON = re.compile(
    r"[\W_]*(?:(?:so|now|then|and|okay|ok)[\s,]+)*(?:(?P<into>substitut|plug|insert|simplif|expand|rearrang"
    r"|differentiat|combin|cancel|collect|distribut)|multipl|divid|subtract|squar|add|factor)(?:e|ing|y|ying)?\b",
    re.IGNORECASE,
)
_OBJECT = re.compile(r"\s*[$\\(]*-?\d")  # "Divide 2513 by 7" says what is divided
_ITEM = re.compile(r"(?:^|\n)\s*(?:\*\*)?(\d{1,2})[.)]\s?(?=\S)")
_OPEN_END = re.compile(
    r"(?::|,|=|\\\\|\+|\\implies|⇒|\b(?:and|or|is|gives|get|then|that|have|where))[\s$*]*(?:\\\]|\$\$)?[\s*]*$"
)
_PROMISE = re.compile(
    r"\b(?:let me|let[’']s|i[’']ll|i will|we[’']ll|now)\s+(?:\w+\s+)?(?:verify|calculate|compute|check|confirm|do|see|explore"
    r"|test|work|try|add|simplify|expand|find|write|evaluate|solve|list|count)\b[^.\n:]{0,60}[.:]?\s*$",
    re.IGNORECASE,
)
_TAIL = 160


@dataclass(frozen=True, slots=True)
class Opening:
    """`score` is how surely a passage that opens so goes on with the one before it, all else unknown."""

    what: str
    score: float
    concludes: bool = False  # the score depends on what is concluded


SETS_OUT = Opening("sets out", 0.0)


def read_opening(text: str) -> Opening:
    """What the beginning of a passage says of its place; the first clear sign decides."""
    start = text[:_TAIL].lstrip(" \n*#>-")
    if _MID_FORMULA.match(start):
        return Opening("mid formula", 0.85)
    if _ANSWERS.match(start):
        return Opening("answer", 0.7)
    if _REVIEWS.match(start):
        return Opening("review", 0.3)
    if _MID_SENTENCE.match(start) and not _CONCLUDES.match(start):
        return Opening("mid sentence", 0.8)
    if _ECHO.match(start) or _STILL.match(start):
        return Opening("echo", 0.7)
    if _SETS_OUT.match(start):
        return SETS_OUT
    if works := _WORKS_ON.match(start):
        names_it = _OBJECT.match(start, works.end()) is not None
        return Opening("works on", 0.65 if works["into"] else 0.5 if names_it else 0.62)
    if found := _CONCLUDES.match(start):
        return Opening(found["word"].lower(), 0.55, concludes=True)
    if _BARE.match(start):
        return Opening("bare pronoun", 0.62)
    return Opening("", 0.15)


def open_end(text: str) -> Iterator[tuple[str, float]]:
    """Signs that a passage breaks off: "Substituting this gives:"."""
    tail = text[-_TAIL:].rstrip()
    if found := _OPEN_END.search(tail):
        yield " ".join(found[0].split()) or ":", 0.75
    if found := _PROMISE.search(tail):
        yield " ".join(found[0].split()), 0.45


def cuts_list(before: str, after: str) -> bool:
    """Whether one numbered list, begun inside the first passage, goes on in the second."""
    opens = _ITEM.match(after.lstrip("\n"))
    items = _ITEM.findall(before)
    return bool(opens and items and int(items[-1]) + 1 == int(opens[1]) and not _ITEM.match(before.lstrip("\n")))
