"""Words that only a sibling has brought in: "a bijection" in one passage, "under that bijection" in a later one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from threadweaver.independence.conclusions import stem
from threadweaver.independence.context import Context
from threadweaver.independence.evidence import Leak
from threadweaver.independence.passage import Passage
from threadweaver.independence.pointing import sentence_at

NOUN_SCORE = 0.35
"""Of a thing that both speak of as known ("the apex"): one such proves little, two or three in one passage do."""
_BROUGHT_IN = 0.62  # the sibling speaks of it as new
_TOGETHER = 0.65  # two words of one sentence of the sibling in one sentence of the passage
_FAR_INSIDE = 900  # characters
_LOOK_BACK = 72
_ROW = 6  # characters

# What stands after these words is spoken of as known; "I assume it is the radius" brings the radius in.
_KNOWN = re.compile(
    r"(?<!\bis )(?<!\bas )(?<!\bbe )(?<!\bare )(?<!called )"
    r"\b(?:(?:the|that|this|these|those|such|each|every|its?|our|their|both|neither|either)\s+(?:[a-z]{3,}\s+)?"
    r"|(?:of|by|under|after|thanks to|with|despite|without)\s+)$"
)
_REASON = re.compile(r"\b(?:since|because|given|knowing|now that|having|once)\s[^,.;:\n]{0,60}$")
_SETS_UP = re.compile(r"\b(?:let|denote|suppose|define|imagine)\b", re.IGNORECASE)
_DEFINITE = re.compile(r"\b(?:the|that|this|these|those|its?|our|their)\s+(?:[a-z]{3,}\s+)?$")
# Words of any mathematical prose: to speak of "the equation" takes no sibling to have introduced it.
_COMMON = frozenset(
    stem(word)
    for word in """about above according across actual actually adding addition adjust after again against align allow
    allowed almost along already also alternate alternative alternatively although always among amount another answer
    anything apart apply applied approach approximate approximately around arrange arrangement aside assume assumed
    assumption attempt avoid based basic basically because become before begin being below better between beyond both
    bring calculate calculated calculation called cannot careful carefully case cases certain chance change check
    chosen choice choose clear clearly close coefficient combine combined come common compare complete completely
    compute computation concept conclude conclusion condition confirm confirmed confused confusing confusion consider
    considering consistent consists constant contain continue contribute convert correct correctly correspond
    corresponding could count counted counting course cover current decimal defined definitely definition denominator
    depend describe described desired detail determine difference different difficult digit directly discuss distance
    distinct divide divided divisible divisor double during earlier easier easily effect either element eliminate else
    enough ensure entire equal equality equation equivalent error especially estimate evaluate even every everything
    exactly example except exist exists expand expect explain express expression factor fact false figure final
    finally first focus following follow form formula forward found fraction further general given gives giving going
    greater group grouping handle happen having hence here however identity implies important impossible include
    including incorrect increase indeed indicate individual initial inside instead integer interpret interpretation
    introduce involve involved itself know known large larger largest later leads least leave left length likely limit
    limited linear list little logic looking lower maintain making manner manual manually match matter maximum maybe
    means measure mention method might minimum minus missed missing mistake modify more most moving multiple multiply
    necessarily necessary need negative never nothing notation note notice number numerator numeric observe obtain
    obvious often only operation opposite option order ordered original other otherwise outside overall paper part
    particular pattern perform perhaps place plug point position positive possibility possible potential power
    precise present previous prime probably problem procedure proceed process produce product proper property prove
    provide purpose question quick quickly quite quotient range rather ratio reach really reason reasoning recall recap
    recheck reconsider reduce refer regular related relation relationship remain remainder remaining remember remove
    repeat replace represent require required respect respectively rest restrict result review rewrite right rounding
    same satisfy satisfied scenario second section seems sense separate sequence should show shown side sign similar
    similarly simple simpler simplify simplified simply since single situation size small smaller smallest solution
    solve solved some something somehow special specific split square standard start starting state stated statement
    still straight structure subtract such suggest suppose sure symbol system take taking technique term terms test
    than that their them then there therefore these they thing things think third this those though thought three
    through throughout times together total toward transform tried true trying turn twice type typically under
    understand unique units unknown unless until upper usage using usual usually valid value variable various verify
    version wait ways well what whatever whenever where wherever whether which while whole whose will with within
    without word work working would write written wrong yield zero confident consecutive divisibility equals
    instance interest nonzero occur occurs overlap previously properly proportion reverse reversed sides sorted
    subset supposed third triangle unit vertex vertices angle angles circle line lines area volume perimeter radius
    origin height width diagonal plane graph function functions polynomial root roots sum sums set sets digits odd
    parity term rational root interval numbers column quadratic cubic exponent exponents degree degrees base from runs stay stays
    area back best call done down easy fine full goes gone good hard idea keep last lots long look made many name nice okay
    pair past pick plus said says seem seen side sort soon stop take tell than took true type went wide says odds even
    edge face cube side path head half mean mode date time text data rate cost""".split()
)


def shared_nouns(context: Context, passages: Sequence[Passage], target: int) -> Iterator[Leak]:
    """What the target takes as known from a sibling."""
    passage = passages[target]
    for source in range(target):
        other = passages[source]
        shared = [
            (passage.words[word], other.words[word], word)
            for word in passage.words.keys() & other.words.keys()
            if word not in _COMMON
        ]
        new = sorted(place for place in shared if not context.holds_word(place[2]))
        for index, (used, defined, word) in enumerate(new):
            # Two rows of one table of trials ("so k runs from 2", "so k runs from 3") share their words and no more.
            if passage.lower[max(0, used - _ROW) : used] == other.lower[max(0, defined - _ROW) : defined] and used:
                continue
            score = _score(passage.lower, used, other.lower, defined)
            if index + 1 < len(new) and _one_sentence(passage.text, used, new[index + 1][0]):
                first, second = sorted((defined, new[index + 1][1]))
                score = max(score, _TOGETHER * (second < sentence_at(other.text, first)[1]))
            if used > _FAR_INSIDE and score > NOUN_SCORE:
                score = NOUN_SCORE
            if score:
                yield Leak(source, target, "noun", word, defined, used, score)


def _score(lower: str, used: int, source: str, defined: int) -> float:
    if _REASON.search(lower, max(0, used - _LOOK_BACK), used):
        return _BROUGHT_IN
    if not _KNOWN.search(lower, max(0, used - _LOOK_BACK), used):
        return 0.0
    start, _ = sentence_at(lower, used)
    if _DEFINITE.search(source, max(0, defined - _LOOK_BACK), defined) or _SETS_UP.search(lower, start, used):
        return NOUN_SCORE
    return _BROUGHT_IN


def _one_sentence(text: str, one: int, other: int) -> bool:
    """Whether two words stand in one sentence, which does not set something up anew."""
    start, end = sentence_at(text, one)
    return one != other and other < end and not _SETS_UP.search(text, start, end)
