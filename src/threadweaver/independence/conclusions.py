"""Findings in words: "the circles are tangent" in one passage, "since the circles are tangent" in a later one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from threadweaver.independence.finds import lowered

_CLAUSE = re.compile(
    r"\b(?:since|because|given that|given the fact that|knowing(?: that)?|now that|due to the fact that|once"
    r"|(?<!i )(?<!me )(?<!us )(?:recall|remember)(?:ing)? that"
    r"|(?:we|i)(?:'ve|’ve| have)? (?:already )?(?:know|knew|established|show(?:ed|n)?|concluded|proved"
    r"|saw|seen|found|determined|noted|deduced)(?: that)?|as)\s+(?P<said>[^.;:\n]{6,160})"
)
# What is told as having come about ("now that …", "as it has been excluded", "with the square gone") was so found before,
# in whatever words.
_COME_ABOUT = re.compile(
    r"\b(?:now that|now knowing|having|(?:as|since|because|once|if|after|given that)\s[^.,;:\n]{2,60}\b(?:has|have|had)(?: already| now)? been)\b"
    r"|(?:^|[.!?\n;,]\s*)(?:so |and |but |then |now )?with\s+[^.,;:\n=]{3,60}\s(?:gone|known|done|found|\w{3,}ed|fixed|set|given|proven|proved|shown|chosen"
    r"|(?:in|at) (?:hand|place|mind|our disposal)|out of the way|behind us|taken care of)(?=,)"
)
_CLAUSE_END = re.compile(r",\s|\bso\b|\bthen\b|\btherefore\b|\bwe\b|\bbut\b|\band we\b")
_TOKEN = re.compile(r"[a-z]{3,}|\b[a-z]\b|\d+")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\d)[^.!?\n]*)*")
_STOP = frozenset(
    """the and are was were for that this these those with has have had not but its our his her will would can
    could should then than they them there here which what when where whose who whom into onto from each any all
    some such also only just very more most both same must may might being been does did done let get got gets
    our we know known see saw seen find found show shown out turn turned indeed actually really left right frac text sqrt cdot times leq geq quad""".split()
)
_ENDINGS = re.compile(r"(?:ing|ied|ies|ed|es|s|ly|e)$")
_STEM = 7  # letters: independent and independence, symmetric and symmetry are one word
_MAX_CLAUSES = 40
_MAX_PLACES = 12


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    short = _ENDINGS.sub("", word)
    return short[:_STEM] if len(short) >= 3 else word


def tokens(text: str) -> frozenset[str]:
    """The stems, letters and numbers that make out what a sentence says."""
    return frozenset(stem(word) for word in _TOKEN.findall(text) if word not in _STOP and word not in ("a", "i", "s"))


class Clause(NamedTuple):
    """What a passage takes as given, by its words; `come_about`: told as found before."""

    at: int
    said: frozenset[str]
    come_about: bool = False


def clauses(text: str) -> Iterator[Clause]:
    """What a passage takes as given: each "since …", "because …", "now that …", "with … gone"."""
    small = lowered(text)
    for match in islice(_COME_ABOUT.finditer(small), _MAX_CLAUSES):
        end = _CLAUSE_END.search(small, match.start() + 6, match.start() + 160)
        if said := tokens(small[match.start() : end.start() if end else match.start() + 160]):
            yield Clause(match.start(), said, True)
    for match in islice(_CLAUSE.finditer(small), _MAX_CLAUSES):
        end = _CLAUSE_END.search(match["said"], 4)
        said = tokens(match["said"][: end.start()] if end else match["said"])
        if len(said) >= 2 and any(len(word) > 2 for word in said):
            yield Clause(match.start(), said)


def holds_all(words: frozenset[str], said: frozenset[str]) -> bool:
    """Whether a sentence says what a clause says: all of a short one, all but one word of a longer one."""
    return len(said - words) <= (len(said) >= 4)


class Sentences:
    """The sentences of a passage by their words. A word counts in its first and last sentences only, which keeps a
    question about a long text as cheap as one about a short text."""

    def __init__(self, text: str):
        found = ((match.start(), tokens(match[0])) for match in _SENTENCE.finditer(lowered(text)))
        self.all = [(at, words) for at, words in found if len(words) >= 2]
        self._where: dict[str, list[int]] = {}
        for number, (_, words) in enumerate(self.all):
            for word in words:
                self._where.setdefault(word, []).append(number)

    def nearest(self, said: frozenset[str], before: int | None = None) -> tuple[int, frozenset[str]]:
        """Offset of the sentence that shares most with `said` (of those that begin before an offset), and the words."""
        shared: dict[int, list[str]] = {}
        for word in said:
            places = self._where.get(word, ())
            if len(places) > 2 * _MAX_PLACES:
                places = [*places[:_MAX_PLACES], *places[-_MAX_PLACES:]]
            for number in places:
                if before is None or self.all[number][0] < before:
                    shared.setdefault(number, []).append(word)
        if not shared:
            return -1, frozenset()
        best = max(shared, key=lambda number: (len(shared[number]), -number))
        return self.all[best][0], frozenset(shared[best])
