"""Edits that free a thread's beginning from the words that lean on a sibling; mathematics is never touched."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What opens a passage only because another stood before it. Applied one after the other, from the left.
_LEANING = re.compile(
    r"(?:alternatively|similarly|likewise|analogously|also|additionally|furthermore|moreover|next(?: up)?|then|finally|lastly|again|meanwhile"
    r"|on the other hand|in the same (?:way|manner|fashion)|by the same token|moving on|instead|but|and|wait|hmm|so|okay|ok|now|just to be (?:sure|safe|thorough)"
    r"|second(?:ly)?|third(?:ly)?|or)\b(?:\s*(?:,|\.{3}|…|—|-)\s*|\s+(?=(?:for|if|when|let|we|i|case|consider|maybe|perhaps|the|in|to|another|a)\b)|\s*:\s*)",
    re.IGNORECASE)
# Connectives that are harmless alone but go when a leaning one stands beside them.
_HARMLESS = frozenset("so okay ok now but and wait hmm".split())
_OTHER_WAY = (
    (re.compile(r"\b(a|A)nother (way|approach|method|idea|thought|strategy|angle|technique|possibility|option|perspective)\b"),
     lambda m: f"{'One' if m[1] == 'A' else 'one'} {m[2]}"),
    (re.compile(r"\b(a|A) (?:different|second|third) (way|approach|method|idea|strategy)\b"), lambda m: f"{'One' if m[1] == 'A' else 'one'} {m[2]}"),
    (re.compile(r"\b(a|A)n alternative (way|approach|method|idea|strategy)\b"), lambda m: f"{'One' if m[1] == 'A' else 'one'} {m[2]}"),
)
_CASE_LIKENESS = re.compile(r"^(?P<head>\W*(?:sub-?case|case|part|scenario|option|possibility)\s+[\w.]{1,4}\b\**:?),?\s+(?:similarly|likewise|also|again)\b,?", re.IGNORECASE)
_MARKS = re.compile(r"[\s#>*\-•–_]*")
_MATH = frozenset("$\\=^_{}<>+")
MAX_SRC = 100


def propose_edits(context: str, siblings: Sequence[str], thread: str) -> list[tuple[str, str]]:
    """Replacements (src, dest) for a beginning that leaned on a sibling by wording only; [] where none is needed.

    `src` occurs once in the thread, at its beginning; the rest of the thread stays as it is.
    """
    start = _MARKS.match(thread).end()
    first_line = thread[start:].split("\n", 1)[0]
    end, dest = _rewritten(first_line)
    if dest is None:
        return []
    src = first_line[:end]
    return _made_unique(thread, start, src, dest)


def _rewritten(line: str) -> tuple[int, str | None]:
    """How many characters of the line are replaced, and by what; None: nothing leans."""
    likeness = _CASE_LIKENESS.match(line)
    if likeness:
        return likeness.end(), likeness["head"]
    at, leaning = 0, False
    for _ in range(3):
        match = _LEANING.match(line, at)
        if not match:
            break
        leaning = leaning or match[0].strip(" ,.…:—-").lower() not in _HARMLESS
        at = match.end()
    if not leaning:
        at = 0
    sentence = re.split(r"[.!?:](?:\\s|$)", line[at:], maxsplit=1)[0][:MAX_SRC]
    for pattern, replacement in _OTHER_WAY:
        other = pattern.search(sentence)
        if other and not _MATH & set(sentence[:other.end()]):
            changed = sentence[:other.start()] + replacement(other)
            return at + other.end(), _capitalised(changed)
    if not leaning or at >= len(line.rstrip()):
        return 0, None
    word = re.match(r"[A-Za-z']+(?:\s+(?=[A-Za-z]))?", line[at:])
    if word and len(word[0].strip()) > 1 or word and word[0].strip() in ("a", "I", "A"):
        return at + word.end(), _capitalised(word[0])
    return at, ""


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _made_unique(thread: str, start: int, src: str, dest: str) -> list[tuple[str, str]]:
    """The replacement with as many words more as make `src` the only one of its kind; [] if that takes mathematics."""
    if not src.strip() or src == dest:
        return []
    rest = thread[start + len(src):]
    while thread.count(src) > 1:
        more = re.match(r"\s*[A-Za-z,']+[ ]?", rest)
        if not more or len(src) > MAX_SRC or "\n" in more[0]:
            return []
        src, dest, rest = src + more[0], dest + more[0], rest[more.end():]
    return [(src, dest)]
