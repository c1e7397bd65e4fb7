"""Edits that remove references to a sibling from a thread's beginning; mathematics is never touched."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What opens a passage only because another stood before it.
_CONNECTIVE = re.compile(
    r"(?P<word>alternatively|similarly|likewise|analogously|also|additionally|furthermore|moreover"
    r"|next(?: up)?|then|finally"
    r"|lastly|again|meanwhile|on the other hand|in the same (?:way|manner|fashion)|by the same token"
    r"|moving on|instead"
    r"|just to be (?:sure|safe|thorough)|second(?:ly)?|third(?:ly)?|but|and|or|wait|hmm|so|okay|ok|now)\b"
    r"(?:\s*(?:,|:|\.{3}|…|—)\s*|\s+(?=(?:for|if|when|let|we|i|case|consider|maybe|perhaps|the|in|another"
    r"|a|wait|hold|then|also)\b))",
    re.IGNORECASE,
)
# These are harmless alone and go only with a leaning one beside them.
_HARMLESS = frozenset("so okay ok now but and wait hmm".split())
_MAX_CONNECTIVES = 3
_ANOTHER = re.compile(
    r"\b(?:(?P<capital>A)nother|(?P<small>a)nother|(?P<Other>[Aa])n? (?:different|second|third"
    r"|alternative)) (?P<noun>[a-z]{3,})\b"
)
_ANOTHER_CHARS = 70  # of the opening, in which "another way" speaks of the ways before it
_CASE_LIKENESS = re.compile(
    r"(?P<head>\W*(?:sub-?case|case|part|scenario|option|possibility)\s+[\w.]{1,4}\b\**:?),?\s+"
    r"(?:similarly|likewise|also|again)\b,?",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[\s#>*\-•–_]*(?:\(?\d{1,2}[.)]\s+)?[\s*_]*")
_MATHEMATICS = re.compile(r"[$\\=^_{}<>+\d]")
_SENTENCE_END = re.compile(r"[.!?:](?:\s|$)")
_WORD = re.compile(r"[A-Za-z']+(?:\s+(?=[A-Za-z]))?")
_NEXT_WORD = re.compile(r"\s*[A-Za-z,']+[ ]?")
MAX_SRC = 100


def propose_edits(context: str, siblings: Sequence[str], thread: str) -> list[tuple[str, str]]:
    """Replacements (src, dest) for a beginning that leaned on a sibling by wording only; [] for none.

    `src` occurs once in the thread, at its beginning; the rest of the thread stays as it is. The rules read
    the thread alone: what it says of `context` and `siblings` beyond such words is left to a model.
    """
    start = _MARKS.match(thread).end()
    found = _rewritten(thread[start:].split("\n", 1)[0])
    return _made_unique(thread, start, *found) if found else []


def _rewritten(line: str) -> tuple[str, str] | None:
    """What of the line's beginning is replaced, and by what."""
    likeness = _CASE_LIKENESS.match(line)
    if likeness:
        return likeness[0], likeness["head"]
    at, leaning = 0, False
    for _ in range(_MAX_CONNECTIVES):
        match = _CONNECTIVE.match(line, at)
        if not match:
            break
        leaning = leaning or match["word"].lower() not in _HARMLESS
        at = match.end()
    another = _another(line, at)
    if another:
        return another
    if not leaning or not line[at:].strip():
        return None
    word = _WORD.match(line, at)
    if word and (len(word[0].strip()) > 1 or word[0].strip() in ("a", "I", "A")):
        return line[: word.end()], _capitalised(word[0])
    return line[:at], ""  # a formula comes next: it stays as it is


def _another(line: str, at: int) -> tuple[str, str] | None:
    """ "Another way is to …": one way among equals."""
    end = _SENTENCE_END.search(line, at)
    opening_end = min(end.start() if end else len(line), at + _ANOTHER_CHARS)
    match = _ANOTHER.search(line, at, opening_end)
    if not match or _MATHEMATICS.search(line[: match.end()]):
        return None
    article = "an" if match["noun"][0] in "aeiou" else "a"
    single = "One" if match["capital"] or match["Other"] == "A" else article
    return line[: match.end()], _capitalised(f"{line[at : match.start()]}{single} {match['noun']}")


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _made_unique(thread: str, start: int, src: str, dest: str) -> list[tuple[str, str]]:
    """The replacement with as many words more as make `src` unique; [] if that takes mathematics."""
    if not src.strip() or src == dest:
        return []
    rest = thread[start + len(src) :]
    if not dest and thread.count(src) > 1:
        return []
    while thread.count(src) > 1:
        more = _NEXT_WORD.match(rest)
        if not more or len(src) > MAX_SRC or "\n" in more[0]:
            return []
        src, dest, rest = src + more[0], dest + more[0], rest[more.end() :]
    return [(src, dest)]
