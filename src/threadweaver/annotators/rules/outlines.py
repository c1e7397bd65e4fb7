"""Outlines from the headings of threads: what each sets out to do, never what it finds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.heads import MAX_LINE, Head, head_of

MAX_WORDS = 30
_MIN_SUBJECT = 3  # characters

# Up to where a heading says what is assumed; from there on it tells what follows.
_CLAUSE_END = re.compile(
    r"[.!?](?:\s|$)|[;\n]|:(?=\s*$)|=>|⇒|→|->|\\implies|\\Rightarrow|—|\s–\s"
    r"|,?\s(?:so|then|which|gives?|giving|because|since|as|therefore|thus|hence|but|we|this|that means|meaning|it|there|leads?|yields?|implies|where|let)\b",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"[\s:.,)(*_\-–—]{0,12}+(?:(?:when|if|where|is when|is where|is if|that|suppose|assume|assuming|supposing|here|let(?:'|’)?s|let us|we|first)\s(?:that\s)?){0,2}+",
    re.IGNORECASE,
)
# A heading that begins so tells what follows from its assumption; one of these words speaks of the others.
_TELLS = re.compile(
    r"(?:so|then|thus|hence|therefore|this|that|it|there|since|because|similarly|same|no|not|yes)\b"
    r"|.*\b(?:conclusions?|summary|total|final answer|recap|overall)\b",
    re.IGNORECASE,
)
_LABEL_ONLY = re.compile(r"[\s:.*_)\-]*$")
_ASSUMES = re.compile(
    r"[\s*]{0,6}(?:suppose|assume|assuming|if|when|here|let|consider|use|using|take|in this case|try|count|we (?:use|can use|consider|assume|take|count))\b",
    re.IGNORECASE,
)
_IN_THIS_CASE = re.compile(r"^(?:here|in this case),?\s+", re.IGNORECASE)
_TAG_SHAPED = re.compile(r"</?\w+>")
_DANGLES = re.compile(r"\b(?:of|to|by|with|for|at|the|an?|and|or|from|in|on|when|if|is|are|using)$|[=<>+:]$")
_WORD = re.compile(r"[A-Za-z]{3,}")
_PAIRS = (("$", "$"), ("\\(", "\\)"), ("(", ")"), ("{", "}"), ("|", "|"), ("[", "]"))
_FORMULA = ("$", "\\(", "=", "<", ">")
_WITH_ARTICLE = frozenset("place digit side quadrant term column row numerator denominator part equation".split())
_VERBAL = re.compile(
    r"(?:add|appl|calculat|check|comput|consider|count|deriv|determin|evaluat|expand|express|factor|find|handl|solv|simplif|tr[iy]|us|us)\w*\b",
    re.IGNORECASE,
)


def propose_outlines(problem: str, context: str, threads: Sequence[str]) -> list[str]:
    """Return one outline per thread from its headings; an empty list if one of them announces nothing.

    `problem` and `context` are not read: a heading is taken as it is, and the checks of outlines judge it.
    """
    outlines = [_outline(thread) for thread in threads]
    distinct = {outline.lower() for outline in outlines if outline}
    return [outline for outline in outlines if outline] if len(distinct) == len(threads) else []


def _outline(thread: str) -> str | None:
    """Return the plan that the headings of a thread state: one, or several where short members were joined."""
    lines = thread.strip().split("\n")
    first = head_of(lines[0])
    if first is None:
        return None
    plans = [_plan(first, lines)]
    for number, line in enumerate(lines[1:], 1):
        head = head_of(line)
        if head and head.kind != "title" and head.key == first.key and head.slot != first.slot:
            plans.append(_plan(head, lines[number:]))
    if not all(plans):
        return None
    joined = "; then ".join(plans)
    return joined if len(joined.split()) <= MAX_WORDS else None


def _plan(head: Head, lines: Sequence[str]) -> str | None:
    if head.kind in ("instance", "case"):
        return f"Work out the case {_delimited(head.label)}"
    if head.kind == "title":
        title = head.label if _VERBAL.match(head.label) else f"work out {_lower(head.label)}"
        return _whole(title[:1].upper() + title[1:])
    subject = _subject(lines[0][head.end : MAX_LINE])
    if subject is None and _LABEL_ONLY.match(lines[0][head.end : MAX_LINE]):
        following = next((line for line in lines[1:3] if line.strip()), "")
        subject = _subject(following[:MAX_LINE]) if _ASSUMES.match(following) else None
    if subject is None:
        return None
    return _whole(
        f"Check option {head.label}: {subject}" if head.key.startswith("letter") else f"{head.label}: {subject}"
    )


def _subject(text: str) -> str | None:
    """Return what a heading assumes or sets out to do, None if it says nothing."""
    text = text[_LEADING.match(text).end() :]
    if _TELLS.match(text):
        return None
    end = _CLAUSE_END.search(text)
    text = " ".join((text[: end.start()] if end else text).split()).strip(" :,.*_")
    if len(text) < _MIN_SUBJECT or _DANGLES.search(text):
        return None
    return text if _WORD.search(text) or any(sign in text for sign in _FORMULA) else None


def _whole(text: str) -> str | None:
    """Return an outline on one line, None if a formula or a bracket was cut in two."""
    text = re.sub(r"\*{2,}|_{2,}|`", "", text).strip()
    if _TAG_SHAPED.search(text) or len(text.split()) > MAX_WORDS:
        return None
    for opening, closing in _PAIRS:
        odd = text.count(opening) % 2 if opening == closing else text.count(opening) != text.count(closing)
        if odd:
            return None
    return text


def _delimited(formula: str) -> str:
    return f"${formula}$" if "\\" in formula or "{" in formula else formula


def _lower(title: str) -> str:
    """Return a title within a sentence: "the tens place", "modulo 7"; names and formulas keep their capitals."""
    words = [
        word.lower() if word.isalpha() and len(word) > 2 and word[1:].islower() else word for word in title.split()
    ]
    article = len(words) > 1 and words[0].lower() not in ("the", "a", "an") and words[-1] in _WITH_ARTICLE
    return " ".join(["the", *words] if article else words)
