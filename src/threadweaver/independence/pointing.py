"""Phrases that point back: "as above", "the other root", "which matches the first method".

Built from what such phrases are made of (an adverb or adjective of what came earlier, a verb of finding, a
noun of result or of passage), not from a list of whole phrases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from threadweaver.independence.finds import lowered

_FOUND = (
    r"(?:found|f[ie]nd|deriv(?:e[sd]?|ing)|comput(?:e[sd]?|ing)"
    r"|calculat(?:e[sd]?|ing)|obtain\w*|g[eo]t|gotten|had|have|s[ae]w|seen"
    r"|show(?:n|ed)|establish\w*"
    r"|not(?:ed|iced)|mention\w*|determin(?:e[sd]?|ing)|prov(?:ed|en)|d[io]d|done|conclud\w+|discover\w*"
    r"|identif\w+|work(?:ed)? out"
    r"|set up|solv(?:ed|ing)|list(?:ed)?|count(?:ed)?|verif\w+|observ\w+|assum\w+|defin\w+"
    r"|introduc\w+|thought|figured(?: out)?"
    r"|considered|handled|discuss\w+|reach\w+|arriv\w+(?: at)?|deduc\w+|used|evaluated|tried|stated"
    r"|written|wrote)"
)
_PASSAGE = (
    r"(?:sub-?case|case|method|approach|way|attempt|calculation|computation|derivation|analysis|argument"
    r"|reasoning"
    r"|scenario|possibilit(?:y|ie)|option|step|part|solution|working|check|verification"
    r"|strateg(?:y|ie)|technique|idea|route|path"
    r"|enumeration|count|procedure|process|branch|assumption|section|situation|thread|passage"
    r"|paragraph|example|trial|test|problem)s?"
)
_RESULT = (
    r"(?:results?|answers?|values?|equations?|expressions?|formula[es]?|roots?|conclusions?|numbers?"
    r"|totals?|sums?|products?|bounds?"
    r"|identit(?:y|ies)|relations?|relationships?|inequalit(?:y|ies)|lemma|claim|finding|estimate"
    r"|factori[sz]ation|solutions?|coordinates?"
    r"|lengths?|areas?|angles?|probabilit(?:y|ies)|counts?|figures?|quantit(?:y|ies)|terms?"
    r"|condition|constraint|points?|quotient"
    r"|remainder|polynomial|substitution|pairs?|triples?|list|table|observation|property|pattern"
    r"|fact|ratio|half|factor|side|recurrence|sets?)"
)
_BACK = (
    r"(?:previous|earlier|preceding|prior|aforementioned|above(?:-mentioned)?|just[- ]\w+ed"
    r"|previously[- ]\w+|already[- ]\w+)"
)
_WHO = r"(?:we|i|you|it|they|was|were|has|have|had|been|'ve|we've|i've|we'd|i'd)"
_WHEN = (
    r"(?:above|before(?!\s+(?:\w+ing|we|i|the|that|it))|earlier|previously|already|just now|a moment ago"
    r"|a while ago|back then|last time|beforehand|up there)"
)
_SAME = r"(?:same|identical|equal|matching|consistent|compatible|conflicting|different)"
_AGREES = (
    r"(?:match(?:es|ed|ing)?|agree(?:s|d|ing)?|coincid(?:es?|ed|ing)|align(?:s|ed|ing)?|in (?:agreement"
    r"|line|accord)|consistent"
    r"|confirm(?:s|ed|ing)?|contradict(?:s|ed|ing)?|conflict(?:s|ing)?|corroborat\w+|validat(?:es"
    r"|ed)|reproduc(?:es|ed)|differ(?:s|ent)?(?= from| than)"
    r"|compar(?:e[sd]?|ing)|tall(?:y|ies)|fits?)"
)

_BACK_WORDS = ("previous", "earlier", "preceding", "prior", "aforementioned", "above", "just", "already", "former")
_WHEN_WORDS = (
    "above",
    "before",
    "earlier",
    "previously",
    "already",
    "just now",
    " ago",
    "back then",
    "last time",
    "up there",
)
_PLACE_WORDS = ("last", "other", "original", "initial", "first", "second", "third", "latter")
_THESE = ("this", "that", "these", "those", "such", "said", "them", "it", "both")


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of phrase: how sure it is inside a passage and in a passage's opening sentence.

    Without one of the `triggers` the pattern cannot match; they are looked for first.
    """

    kind: str
    inside: float
    opening: float
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]


def _family(kind: str, inside: float, opening: float, triggers: tuple[str, ...], pattern: str) -> Family:
    return Family(kind, inside, opening, triggers, re.compile(pattern))


FAMILIES: tuple[Family, ...] = (
    _family(
        "earlier passage",
        0.85,
        0.9,
        (*_BACK_WORDS, *_PLACE_WORDS),
        rf"\b(?:{_BACK}|former|last|other|original|initial|first"
        rf"|second)\s+(?:\w+\s+)?{_PASSAGE}\b(?!\s+(?:is|was|would be|could be|might be)?\s*(?:to|:"
        rf"|when|where|if)\b)",
    ),
    _family(
        "earlier result",
        0.85,
        0.9,
        ("my ", "our "),
        r"\b(?:my|our)\s+(?:initial|original|first|earlier|previous|prior|last|preceding|other"
        r"|own)\s+\w+",
    ),
    _family("earlier result", 0.85, 0.9, _BACK_WORDS, rf"\b(?:{_BACK}|former)\s+(?:\w+\s+){{0,2}}{_RESULT}\b"),
    _family(
        "earlier result",
        0.75,
        0.8,
        _WHEN_WORDS,
        rf"\b{_RESULT}\s+(?:that\s+"
        rf"|which\s+)?(?:{_WHO}\s+){{0,2}}(?:just\s+)?(?:{_FOUND}\s+)?(?:from\s+"
        rf"|in\s+)?(?:the\s+)?{_WHEN}\b",
    ),
    _family(
        "earlier finding",
        0.85,
        0.9,
        (*_WHEN_WORDS, "just"),
        rf"\b{_WHO}\s+(?:{_WHO}\s+)?(?:already|just(?: now)?|previously|earlier"
        rf"|before)\s+(?:been\s+)?{_FOUND}\b",
    ),
    _family("earlier finding", 0.8, 0.9, _WHEN_WORDS, rf"\b{_FOUND}\s+(?:\w+\s+|that\s+){{0,3}}{_WHEN}\b"),
    _family(
        "earlier finding",
        0.8,
        0.85,
        ("as ", "like ", "than ", "recall", "remember", "per ", "what ", "how ", "the one ", "since "),
        rf"\b(?:as|like|than|unlike|recall(?: that)?|remember(?: that)?|per|since|what|how|the "
        rf"one)\s+(?:{_WHO}\s+){{1,2}}(?:just\s+)?{_FOUND}\b(?!\s+to\b)",
    ),
    _family("as before", 0.8, 0.9, _WHEN_WORDS, rf"\b(?:as|than|like|from|to|just as|see|the)\s+{_WHEN}\b"),
    _family("as before", 0.75, 0.85, _WHEN_WORDS, rf"\b{_WHEN},?\s+(?:{_WHO})\s+(?:\w+\s+)?{_FOUND}\b"),
    _family(
        "agreement",
        0.85,
        0.9,
        (
            "match",
            "agree",
            "coincid",
            "align",
            "in line",
            "accord",
            "consistent",
            "confirm",
            "contradict",
            "conflict",
            "corroborat",
            "validat",
            "reproduc",
            "differ",
            "compar",
            "tall",
            "fit",
        ),
        rf"\b{_AGREES}\s+(?:\w+\s+){{0,2}}(?:with|to|the|what|our|my|that|this|as"
        rf"|from)\b[^.;\n]{{0,30}}\b(?:{_BACK}|before|earlier|previously|above|first|second|other"
        rf"|both|original|initial|former|found|got|had|result|answer|method|approach)\b",
    ),
    _family(
        "agreement",
        0.85,
        0.9,
        ("same", "identical", "equal", "matching", "consistent", "compatible", "conflicting", "different"),
        rf"\b(?:the\s+{_SAME}|an?\s+(?:identical|equal|matching|conflicting))\s+(?:\w+\s+)?(?:result|answer|conclusion|value|outcome|total"
        rf"|number|thing|solution|problem|issue|final\s+\w+)s?\b",
    ),
    _family(
        "agreement",
        0.85,
        0.9,
        ("same",),
        rf"\bsame\s+(?:\w+\s+){{0,2}}(?:as|like)\s+(?:in\s+)?(?:the\s+|in\s+|our\s+"
        rf"|my\s+)?(?:{_BACK}|before|earlier|previously|above|first|second|other|last|when|for|with"
        rf"|what|case\s?\w|method\s?\w|part\s?\w)\b",
    ),
    _family(
        "agreement",
        0.8,
        0.85,
        ("same", "again", "also", "agree", "match", "coincide", "consistent"),
        r"\bsame\s+(?:result|answer|conclusion|value|outcome|total|problem|issue|thing)\b|\b(?:again"
        r"|also)\s+(?:get|gives?|yields?|got|obtain|leads? to|find|arrive)\b|\b(?:they|both|which"
        r"|these|results?|answers?|values?)\s+(?:all\s+|also\s+|do\s+)?(?:agrees?|match(?:es)?"
        r"|coincides?|(?:is|are) consistent)\b",
    ),
    _family(
        "agreement",
        0.75,
        0.75,
        ("same", "similar", "identical", "symmetric", "analogous"),
        r"\bsame\s+(?:structure|form|formula|equation|expression|pattern|setup|relation)\b"
        r"|\b(?:similar|identical|symmetric|analogous)\s+to\s+(?:the\s+)?(?:case|previous|first"
        r"|earlier|above|other|last|one)\b",
    ),
    _family(
        "joint result",
        0.85,
        0.9,
        ("both", "either", "two", "all three", "all four", "all of", "each of", "any of"),
        rf"\b(?:both|either|neither|these two|those two|the two|two different|all three|all four"
        rf"|all of the|each of the|any of the)\s+(?:of (?:the|these"
        rf"|those)\s+)?(?:\w+\s+)?(?:{_PASSAGE}|results|answers|calculations|values)\b",
    ),
    _family(
        "joint result",
        0.75,
        0.85,
        ("combin", "adding", "summing", "putting", "taking", "bringing"),
        r"\b(?:combin(?:e|ing)|adding|summing|putting|taking|bringing)\s+(?:all\s+|both\s+"
        r"|everything|it all|up\s+)?(?:of\s+)?(?:these|those|this|that|the two|both|them|all"
        r"|together|everything)\b",
    ),
    _family(
        "joint result",
        0.8,
        0.85,
        ("only",),
        r"\bonly\s+(?:the\s+)?(?:\w+\s+)?(?:cases?|options?|methods?|approach"
        r"|scenarios?)\s*\w{0,3}\s+(?:\w+\s+)?(?:is|are|was|works?|gives?|remains?|yields?|holds?"
        r"|survives?|that)\b",
    ),
    _family(
        "joint result",
        0.7,
        0.8,
        ("either way", "in both", "in either", "in all", "so far", "all cases", "all the cases", "the two"),
        r"\beither way\b|\bin (?:both|either|all) (?:cases|scenarios|situations)\b|\bso far\b|\ball "
        r"(?:the )?cases\b|\bthe two (?:cases|results|answers|approaches|methods|values)\b",
    ),
    _family(
        "from a result",
        0.7,
        0.85,
        ("we ", " i ", "just", "found", "obtained", "computed", "derived", "from", "of the"),
        rf"\b(?:from|using|with|by|via|into|given|recalling|substituting|applying|knowing"
        rf"|since)\s+(?:the\s+|that\s+|this\s+|our\s+|my\s+)(?:\w+\s+)?{_RESULT}\s+(?:we|i|just"
        rf"|found|obtained|computed|derived|from|of the (?:first|previous|other))\b",
    ),
    _family(
        "from a passage",
        0.85,
        0.9,
        (*_PLACE_WORDS, "former", "previous", "earlier"),
        rf"\b(?:from|in|of|by|with|for|like|unlike|than|as in|to|using|via)\s+(?:the\s+|that\s+"
        rf"|our\s+|my\s+)(?:first|second|third|other|previous|last|former|latter|initial|original"
        rf"|earlier)\s+(?:\w+\s+)?{_PASSAGE}\b",
    ),
    _family(
        "running state",
        0.5,
        0.6,
        ("remain", "stay", "still", "so far", "running", "cumulative"),
        r"\b(?:remains?|stays?|still|so far|running total|cumulative)\s*(?:at|is|of|=|:)?\s*\d+",
    ),
    _family(
        "the other",
        0.6,
        0.8,
        ("other", "former", "remaining", "resulting", "rest of"),
        rf"\b(?:the|that|our|my)\s+(?:other|former|remaining|resulting|rest of the)\s+{_RESULT}\b",
    ),
    _family(
        "the other",
        0.35,
        0.6,
        ("first", "second", "corresponding"),
        rf"\b(?:the|that|our|my)\s+(?:first|second|corresponding)\s+{_RESULT}\b",
    ),
    _family(
        "anaphor",
        0.15,
        0.7,
        _THESE,
        rf"\b(?:this|that|these|those|such|said)\s+(?:\w+\s+)?(?:{_RESULT}"
        rf"|{_PASSAGE})\b(?!\s+(?:asks|says|states))",
    ),
    _family(
        "anaphor",
        0.1,
        0.6,
        _THESE,
        r"\b(?:substitut\w+|plug\w*|putting|put|inserting|using|use|from|with|applying|given|by"
        r"|dividing|adding|multiplying|squaring|simplifying|solving|expanding|continuing)\s+(?:this"
        r"|these|that|those|it|them|both)\b(?!\s+\w+\s*=)",
    ),
    _family(
        "same way",
        0.65,
        0.75,
        ("same ", "identical"),
        r"\b(?:in|by|via|with|using|apply(?:ing)?|exactly|follow(?:s|ing)?|use|repeat(?:ing)?)\s+(?:\w+\s+){0,2}(?:same|identical)\s+(?:kind of |sort of )?"
        r"(?:way|manner|fashion|style|spirit|vein|token|logic|argument|reasoning|procedure|trick|idea|technique|recipe|steps?"
        r"|strategy|considerations?|tools?|principle|lines)\b(?!\s+(?:as|that|for)\b)",
    ),
    _family(
        "likeness",
        0.5,
        0.6,
        ("repeat", "redo", "once more", "once again", "yet again"),
        r"\b(?:repeat|redo)(?:ing)?\s+(?:it|this|that|these|those|them|the (?:above|same|whole|entire|process|argument|trick|procedure|step))\b"
        r"|\b(?:once more|once again|yet again)\b",
    ),
    _family(
        "likeness",
        0.3,
        0.45,
        ("similarly", "likewise", "analogously", "symmetry", "same ", "again", "as well"),
        r"\b(?:similarly|likewise|analogously|by symmetry|in the same (?:way|manner|fashion)|by the "
        r"same (?:token|logic|reasoning|argument)|the same (?:logic|argument|reasoning|process|way"
        r"|procedure|idea)|as well)\b|(?<!think )(?<!check )(?<!look )(?<!go )(?<!try )(?<!steps )(?<!problem )"
        r"(?<!it )(?<!question )\bagain\b",
    ),
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointing-back phrase at offsets [start, end) of its passage, not yet resolved."""

    kind: str
    start: int
    end: int
    inside: float
    opening: float

    def moved(self, offset: int) -> Pointer:
        return replace(self, start=self.start + offset, end=self.end + offset) if offset else self


_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n")
_SENTENCE_WINDOW = 400
_HEADING_CHARS = 40  # a first sentence shorter than this is a heading; the next one opens the passage too


_TRIGGER = re.compile(
    "|".join(sorted({re.escape(t) for family in FAMILIES for t in family.triggers if t}, key=len, reverse=True))
)
# A longer trigger hides the shorter ones inside it from the search: it stands for them too.
_BY_TRIGGER = {
    word: frozenset(index for index, family in enumerate(FAMILIES) if any(t in word for t in family.triggers))
    for family in FAMILIES
    for word in family.triggers
}


def pointers(text: str) -> Iterator[Pointer]:
    """The pointing-back phrases of one passage, kind by kind."""
    small = lowered(text)
    wanted = {index for word in set(_TRIGGER.findall(small)) for index in _BY_TRIGGER[word]}
    for index, family in enumerate(FAMILIES):
        if index in wanted or not family.triggers:
            for match in family.pattern.finditer(small):
                yield Pointer(family.kind, match.start(), match.end(), family.inside, family.opening)


def sentence_at(text: str, offset: int) -> tuple[int, int]:
    """The bounds of the sentence that holds `offset`; a line break ends one too."""
    start = max(0, offset - _SENTENCE_WINDOW)
    for match in _SENTENCE_END.finditer(text, start, offset):
        start = match.end()
    end = min(len(text), offset + _SENTENCE_WINDOW)
    found = _SENTENCE_END.search(text, offset, end)
    return start, found.start() if found else end


def opening_end(text: str) -> int:
    """Where the opening sentence of a passage ends, a heading before it included."""
    at = 0
    for _ in range(3):
        found = _SENTENCE_END.search(text, at)
        if not found:
            return len(text)
        if len(text[: found.start()].strip(" #*:")) > _HEADING_CHARS:
            return found.start()
        at = found.end()
    return at
