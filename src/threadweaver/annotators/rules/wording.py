"""Edits that take away words by which a thread refers to a sibling; mathematics is never touched."""

from __future__ import annotations

import re

# What opens a thread only because another stood before it.
_START = re.compile(
    r"(?i)[\s#>*\-•–_]*(?:\(?\d{1,2}[.)]\s+)?[\s*_]*(?P<gone>(?:(?:so|okay|ok|now|but|and|wait|hmm)\b[,.\s]{1,5}){0,2}"
    r"(?:alternatively\b,?\s+|(?:similarly|likewise|analogously|again|in the same (?:way|manner)|by the same token"
    r"|also|next|then|finally|lastly|meanwhile|on the other hand|moving on),\s+))(?P<next>\S+)"
)
_MATHEMATICS = re.compile(r"[$\\=^_{}<>+\d]")


def propose_edits(thread: str) -> list[tuple[str, str]]:
    """Return a replacement (src, dest) of words that open a thread only because a sibling has the like, if it has any.

    `src` occurs once in the thread; what else it says of siblings is left to a model.
    """
    found = _START.match(thread)
    if not found:
        return []
    src, word, dest = found["gone"], found["next"], ""
    if len(word) > 1 and not _MATHEMATICS.search(word):  # a single letter may be a variable
        src, dest = src + word, word[:1].upper() + word[1:]
    return [(src, dest)] if thread.count(src) == 1 else []
