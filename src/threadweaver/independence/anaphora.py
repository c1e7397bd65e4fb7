"""Noun phrases that go back to something: "these fractions", "by that independence", "the negative one".

What such a phrase goes back to is the nearest text that holds its noun (or, for "this observation", a word that makes
one): the passage itself, else a sibling, else the context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from threadweaver.independence.conclusions import stem
from threadweaver.independence.context import Context
from threadweaver.independence.evidence import Leak
from threadweaver.independence.finds import lowered

_PHRASE = re.compile(
    r"(?<!make )(?<!makes )(?<!making )(?<!do )(?<!doing )(?<!like )\b(?:(?P<det>this|these|those|(?:by|of|from|with|using|use|to|in|for|on|under|at|into|apply|applying|repeat|repeating"
    r"|see|given|recall|via|through|about|after|despite|without|than)\s+that)\s+(?P<first>[a-z]{3,})(?:\s+(?P<second>[a-z]{4,}))?"
    r"|the\s+(?P<kind>[a-z]{4,})\s+ones?)\b"
)
# After "this" or "those" these words make no noun phrase.
_NO_NOUN = frozenset(
    """also always and are because been being but came can case cases comes could did does each even first for from gave
    get gets give gives goes had has have here holds how implies into is itself just kind last leads leaves left like
    looks made makes may mean means might must need needs never next not now only onto other over part problem question
    reason same second seems shall should shows since sort such than that the their them then there they thing things
    time too two three four upon using very via was way ways well were what when where whether which while will with
    within word would yields you works work can't cannot doesn't isn't again together exactly approach method step
    result results value values answer equation expression formula number total sum product point points line turns
    requires tells becomes follows happens checks simplifies suggests confirms matches process approach situation
    scenario context form type sense regard specific particular entire together satisfy satisfies add adds new""".split()
)
_KINDLESS = frozenset(
    "only same other next right left last each which first second third wrong more correct actual final new given".split()
)
# A noun of speech or of form goes back to whatever does or holds it.
_MADE_BY = {
    stem(noun): re.compile(cue)
    for noun, cue in {
        "observation": r"\bnotic|\bobserv|\bnote that|\brealiz|\bremark|interesting",
        "remark": r"\bnotic|\bobserv|\bnote that|\bremark",
        "assumption": r"\bassum|\bsuppos",
        "hypothesis": r"\bassum|\bsuppos",
        "definition": r"\bdefin|\bdenot|\blet\b",
        "notation": r"\bdenot|\blet\b|\bwrit",
        "substitution": r"\bsubstitut|\blet\b|\bput\b|\bset\b|\breplac",
        "inequality": r"[<>≤≥]|\\[lg]eq?\b|at (?:least|most)",
        "bound": r"[<>≤≥]|\\[lg]eq?\b|at (?:least|most)|\bbound",
        "estimate": r"≈|\\approx|\bestimat|\bapproximat|[<>≤≥]",
        "contradiction": r"\bcontradict|impossib",
        "claim": r"\bclaim",
        "argument": r"\bbecause|\bsince|\bhence|\btherefore",
        "choice": r"\bchoos|\bpick|\bselect|\btake\b",
        "restriction": r"\bmust\b|\bcannot\b|\brestrict|\bonly\b",
        "constraint": r"\bmust\b|\bcannot\b|\bconstrain|\bonly\b|[<>≤≥]",
        "requirement": r"\bmust\b|\brequir|\bneed",
        "recurrence": r"_\{?n\s*[-+]|\brecur",
        "recursion": r"_\{?n\s*[-+]|\brecur",
        "identity": r"=",
        "relation": r"=",
        "decomposition": r"\bsplit|\bdecompos|\bbreak|\bwrit",
        "symmetry": r"symmetr|\bswap|\breflect|\bmirror",
    }.items()
}

_NOWHERE_ELSE = 0.75  # the noun stands in the sibling alone
_NEARER = 0.5  # in the sibling, and further back in the context
_MADE = 0.62
_NOBODY = 0.5  # no text holds it: the passage just before may say it in other words
_KIND = 0.62
_EARLY = 400  # characters into a passage up to which it has little of its own to go back to


class Phrase(NamedTuple):
    """`word` is the stem that is looked for; `pronoun` a phrase that ends in "one"."""

    at: int
    text: str
    word: str
    pronoun: bool


def phrases(text: str) -> Iterator[Phrase]:
    """The noun phrases of a passage that go back and whose noun it has not brought in itself."""
    small = lowered(text)
    for match in _PHRASE.finditer(small):
        word = match["kind"] or _noun(match)
        if not word or (match["kind"] and word in _KINDLESS):
            continue
        root = stem(word)
        cue = _MADE_BY.get(root)
        if small.find(root, 0, match.start()) >= 0 or (cue and cue.search(small, 0, match.start())):
            continue
        yield Phrase(match.start(), " ".join(match[0].split()), root, match["kind"] is not None)


def _noun(match: re.Match[str]) -> str:
    first, second = match["first"], match["second"] or ""
    if first in _NO_NOUN or first.endswith("ly"):
        return ""
    if match["det"] in ("these", "those"):
        plural = first if first.endswith("s") else second
        return plural if plural.endswith("s") and plural not in _NO_NOUN else ""
    return "" if first.endswith("s") and not first.endswith(("ss", "us", "is")) else first


def go_back(context: Context, lower: Sequence[str], found: Sequence[Phrase], target: int) -> Iterator[Leak]:
    """Evidence from a passage's phrases; `lower` are the siblings in lower case."""
    for phrase in found:
        cue = _MADE_BY.get(phrase.word)
        known = context.holds_word(phrase.word)
        source, where = next(
            ((number, at) for number in range(target - 1, -1, -1) if (at := lower[number].find(phrase.word)) >= 0),
            (-1, 0),
        )
        score = _NEARER if known else _NOWHERE_ELSE
        if phrase.pronoun:
            score = _KIND if source >= 0 else 0.0
        elif source < 0 and cue and (made := cue.search(lower[target - 1])):
            source, where, score = target - 1, made.start(), _MADE
        elif source < 0:
            source, score = target - 1, 0.0 if known else _NOBODY
        if phrase.at > _EARLY:
            score *= 0.6
        if score:
            yield Leak(source, target, "going back", phrase.text, where, phrase.at, round(score, 3))
