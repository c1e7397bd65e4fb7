"""Edits that take away words by which a thread refers to a sibling; mathematics is never touched."""

from __future__ import annotations

import re

_LIKE = r"(?:alternatively|similarly|likewise|analogously|again|in the same (?:way|manner)|by the same token)\b(?! (?:to|and)\b),?\s+"
# What opens a thread, or a sentence of it, only because another stood before it.
_START = re.compile(
    r"(?i)[\s#>*\-•–_]*(?:\(?\d{1,2}[.)]\s+)?[\s*_]*(?P<gone>(?:(?:so|okay|ok|now|but|and|wait|hmm)\b[,.\s]{1,5}){0,2}"
    rf"(?:{_LIKE}|(?:also|next|then|finally|lastly|meanwhile|on the other hand|moving on),\s+))(?P<next>\S+)"
)
_WITHIN = re.compile(rf"(?i)(?:(?<=[.!?:] )|(?<=\n))(?P<gone>{_LIKE})(?P<next>\S+)")
_MATHEMATICS = re.compile(r"[$\\=^_{}<>+\d]")


def propose_edits(thread: str) -> list[tuple[str, str]]:
    """Return replacements (src, dest) of words that open a thread, or a sentence of it, only because a sibling has the like.

    `src` occurs once in the thread; what else it says of siblings is left to a model.
    """
    first = _START.match(thread)
    edits = []
    for match in [*([first] if first else []), *_WITHIN.finditer(thread, first.end() if first else 1)]:
        src, word = thread[match.start("gone") : match.start("next")], match["next"]
        dest = ""
        if not _MATHEMATICS.search(word):
            src, dest = src + word, word[:1].upper() + word[1:]
        if thread.count(src) == 1:
            edits.append((src, dest))
    return edits
