"""Outlines from a thread's opening: what it sets out to do, never what it finds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.annotators.rules.heads import Head, head_of

MIN_WORDS, MAX_WORDS = 4, 25

_MARKS = re.compile(r"^[\s#>*\-•–_✓]+|\*\*|^\(?\d{1,2}[.)]\s+|__")
_TALK = re.compile(
    r"^(?:(?:okay|ok|alright|all right|so|now|and|next|then|but|hmm+|well|wait(?: a (?:minute|second))?"
    r"|actually|hold on|also|again"
    r"|alternatively|similarly|likewise|finally|lastly|maybe|perhaps|sometimes|yes|no|oh|or"
    r"|first(?:ly)?(?: off)?|second(?:ly)?"
    r"|third(?:ly)?|instead|just to be (?:sure|thorough|safe)|to be (?:sure|thorough)|(?:another|an?) "
    r"(?:thought|idea)(?= is\b|:))"
    r"\b[\s,.:;—-]*)+",
    re.IGNORECASE,
)
_INTENT = re.compile(
    r"^(?:let me(?: try(?: to)?)?|let'?s(?: try(?: to)?)?|let us"
    r"|we (?:can|could|need to|should|have to|might|will|want to|may)(?: try(?: to)?)?"
    r"|i(?:'ll| will| can| could| should| might| need to| have to| want to|'d like to| think i (?:can"
    r"|should))(?: try(?: to)?)?"
    r"|(?:maybe|perhaps) (?:i|we) (?:can|could|should|need to)"
    r"|(?:one|an?other|an?|the|an alternative|a (?:different|second|simpler|better|first)) (?:\w+ )?(?:way"
    r"|approach|method|idea|option|angle)"
    r"(?: to \w+(?: \w+){0,4}?)? (?:is|would be|could be|might be)(?: to)?"
    r"|what if (?:i|we)|if (?:i|we)(?: can| could)?|try to|to)\s+(?:also |just |now |first |instead "
    r"|actually |simply |start by |quickly )*",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"\b(?:another|an alternative|a different|a second) (?=[a-z])", re.IGNORECASE)
_CLAUSE_END = re.compile(
    r"(?<![A-Z])[.!?](?:\s|$)|[;\n]|:(?=\s*$)|\s\((?!\d{1,2}\))|,?\s+(?:so|which|then|because|since|therefore|thus"
    r"|hence|but|giving|gives|we (?:see|find|get)"
    r"|i get|we have|right|although|where|just to)\b|[⇒→]|=>|\\implies|\\Rightarrow|—|–\s",
    re.IGNORECASE,
)
_MIN_CLAUSE_CHARS = 12
_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*")
_MATH_PIECE = re.compile(
    r"\$[^$\n]{1,200}\$|\\\(.{1,200}?\\\)|\S*[=^_\\≡≈≤≥²³√±×÷][^\s,;:]*(?:\s*[-+=*/≡≈≤≥<>×÷]\s*[^\s,;:]+)*"
    r"|[-+]?\S*\d\S*"
)
_LABEL = re.compile(
    r"^(?:case|sub-?case|scenario|possibility|option|method|approach|part|situation|interpretation|attempt"
    r"|test|example)"
    r"\s*(?:\d+(?:\.\d+)*[a-z]?|[A-H]|[ivx]+)\b",
    re.IGNORECASE,
)
_VERBS = (
    "add analyze analyse apply approach approximate assume attempt begin break build calculate check "
    "compare compute confirm consider construct convert count cross-check define denote derive "
    "determine differentiate divide do double-check draw estimate evaluate examine expand explore "
    "express factor figure find focus get go group handle imagine integrate interpret list look make "
    "model multiply pair parameterize parametrize place plug prove rearrange recall recalculate "
    "recheck recompute reconsider redo represent revisit rewrite see set show simplify sketch solve "
    "split start substitute subtract sum suppose take test think treat try use verify visualize work "
    "write "
).split()
_VERB = re.compile(rf"(?:{'|'.join(_VERBS)})\b", re.IGNORECASE)
_GERUNDS = {
    form: verb
    for verb in _VERBS
    for form in (f"{verb}ing", f"{verb[:-1]}ing" if verb.endswith("e") else f"{verb}{verb[-1]}ing")
}
_FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|means?|must|can|could|should|would|will|may|might|seems?|says?"
    r"|appears?|cycles?|lies|equals?|does|do"
    r"|gives?|needs?|refers?|wants?|corresponds?|satisf\w+|contains?|appear)\b"
)
_PREPOSITION = re.compile(r"^(?:from|for|at|in|on|to|up to|compute|with|by|of)\s+", re.IGNORECASE)
_DANGLING = re.compile(
    r"[\s,(:;$]*(?:\b(?:is|are|was|be|as|of|to|by|with|for|at|when|if|the|that|equals?|and|or|from|in|a|an"
    r"|let|set|where|using|into|than"
    r"|on|its?|say|like|only|which|approximately|about|every|because|our|their|my|this|not)\b"
    r"|[=≈≡<>+*/-])?[\s,(:;$]*$",
    re.IGNORECASE,
)
_FILLER = "for this problem"
_ORDINAL = re.compile(r"(?:first|second|third|fourth|fifth|sixth|last)\b", re.IGNORECASE)
_TAG_SHAPED = re.compile(r"</?\w+>")
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()


def propose_outlines(problem: str, context: str, threads: Sequence[str]) -> list[str]:
    """One outline a thread, of 4 to 25 words: its plan, in figures that problem or context hold."""
    known = _Known(f"{problem}\n{context}")
    outlines: list[str] = []
    for position, thread in enumerate(threads):
        place = _ORDINALS[position] if position < len(_ORDINALS) else f"{position + 1}th"
        text = _outline(thread, known, place)
        if _plain(text) in {_plain(other) for other in outlines}:
            text = f"{text}: the {place} of these passages" if len(text.split()) <= MAX_WORDS - 5 else _by_place(place)
        outlines.append(text)
    return outlines


class _Known:
    """What problem and context hold: an outline may speak of nothing else in figures."""

    def __init__(self, text: str):
        self.numbers = frozenset(_NUMBER.findall(text))
        self.squeezed = _squeeze(text)

    def holds(self, piece: str) -> bool:
        if not all(number in self.numbers for number in _NUMBER.findall(piece)):
            return False
        return not any(c in piece for c in "=≈≡") or _squeeze(piece).strip(".,:;") in self.squeezed


def _squeeze(text: str) -> str:
    return re.sub(r"[\s$\\(){}*]", "", text)


def _outline(thread: str, known: _Known, place: str) -> str:
    """The plan in the thread's opening words; where they say none, its place among its siblings."""
    sentences = _opening_sentences(thread)
    head = head_of(thread.lstrip())
    plan = _of_head(head, sentences[0], known, place) if head and sentences else None
    for sentence in sentences if plan is None else ():
        plan = _of_sentence(sentence, known)
        if plan is not None:
            break
    return plan or _by_place(place)


def _by_place(place: str) -> str:
    return f"Work through the {place} passage on its own"


def _opening_sentences(thread: str) -> list[str]:
    lines = [line for line in thread[:1200].split("\n") if line.strip()][:6]
    return [
        piece.strip()
        for line in lines
        for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z$\\])", line.strip())
        if piece.strip()
    ][:7]


def _of_head(head: Head, opening: str, known: _Known, place: str) -> str | None:
    """A plan from what the thread opens: its case, its value, its item."""
    if head.kind == "instance":
        if all(figure in known.numbers for figure in _NUMBER.findall(head.slot)) and _whole(head.shown):
            return _sized(f"Work out what follows for {_formula(head.shown)}")
        return f"Work out the {place} of the values to be tried"
    if head.kind == "item":
        name = _known_only(_PREPOSITION.sub("", _bare(head.shown)), known)
        verb = _GERUNDS.get(name.partition(" ")[0].lower())
        if verb:
            return _sized(f"{verb} {name.partition(' ')[2]} on its own")
        return _sized(f"Treat {_with_article(name)} on its own") if name else None
    text = _TALK.sub("", _MARKS.sub("", opening)).strip()
    label = _LABEL.match(text)
    if head.kind != "label" or not label:
        return None
    subject = _known_only(_clause(text[label.end() :].lstrip(" :.,)—-*")), known)
    alone = f"{_capitalised(label[0])}, worked out on its own"
    told = _sized(f"{_capitalised(label[0])}: {subject}") if subject else None
    return told if told and not told.endswith(_FILLER) else _sized(alone)


def _bare(name: str) -> str:
    """A heading without emphasis and without the punctuation that closes it."""
    return re.sub(r"[*_`]{2,}", "", name).strip(" :.,;!?*#")


def _whole(shown: str) -> bool:
    """Whether no bracket of a value was cut off with what stood in it."""
    return shown.count("{") == shown.count("}") and not shown.endswith("\\")


def _formula(shown: str) -> str:
    """A formula cut out of its delimiters, put between them again if it needs them."""
    bare = shown.strip(" $*").removesuffix("\\)").removeprefix("\\(").strip()
    return f"${bare}$" if "\\" in bare else bare


def _with_article(name: str) -> str:
    """ "Tens place" is the tens place; "Carla" and "L1(5)" take no article."""
    words = name.split()
    plain = len(words) > 1 and all(word.isalpha() and len(word) > 1 for word in words)
    return f"the {name.lower()}" if plain and words[0].lower() not in ("the", "a", "an") else name


def _of_sentence(sentence: str, known: _Known) -> str | None:
    text = _clause(_TALK.sub("", _MARKS.sub("", sentence)).strip())
    intent = _INTENT.match(text)
    if (
        intent
        and not _VERB.match(text, intent.end())
        and text[intent.end() :].partition(" ")[0].lower() not in _GERUNDS
    ):
        intent = None  # "to the tens place …" intends nothing
    text = _known_only(text[intent.end() :] if intent else text, known)
    first, _, rest = text.partition(" ")
    if (
        len(text.split()) < 2
        or len(text) < 6
        or not any(len(word) > 3 and word.isalpha() for word in text.split())
        or (not intent and (_PREPOSITION.match(text) or first.lower() == "which"))
    ):
        return None
    if first.lower() in _GERUNDS:
        text = f"{_GERUNDS[first.lower()]} {rest}"
    elif not intent and not _VERB.match(text):
        lowered = text[0].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
        article = "the " if _ORDINAL.match(lowered) else ""
        text = f"Follow the idea that {lowered}" if _FINITE.search(text) else f"Look into {article}{lowered}"
    return _sized(_ANOTHER.sub("a separate ", text))


def _clause(text: str) -> str:
    """Up to where the opening turns from what is asked to what follows from it."""
    found = _CLAUSE_END.search(text)
    while found and found.start() < _MIN_CLAUSE_CHARS:
        found = _CLAUSE_END.search(text, found.end())
    return (text[: found.start()] if found else text).strip(" ,:")


def _known_only(text: str, known: _Known) -> str:
    """The text up to the first number or formula that is not known, without a loose end."""
    for match in _MATH_PIECE.finditer(text):
        if not known.holds(match[0]):
            text = text[: match.start()]
            break
    else:
        return text.strip(" ,:")
    previous = None
    while text != previous:
        previous, text = text, _DANGLING.sub("", text)
    return text


def _sized(text: str) -> str | None:
    """The outline within its bounds, with no half formula and nothing shaped like a tag."""
    words = _TAG_SHAPED.sub("", text).split()
    cut = len(words) > MAX_WORDS - 4
    text = " ".join(words[: MAX_WORDS - 4])
    for opening, closing in (("$", "$"), ("\\(", "\\)"), ("(", ")"), ("{", "}"), ('"', '"')):
        odd = text.count(opening) % 2 if opening == closing else text.count(opening) > text.count(closing)
        if odd:
            text, cut = text[: text.rfind(opening)], True
    text = re.sub(r"[*`]{2,}", "", _DANGLING.sub("", text) if cut else text).strip(" ,;:.*")
    if 2 <= len(text.split()) < MIN_WORDS:
        text = f"{text} {_FILLER}"
    return _capitalised(text) if len(text.split()) >= MIN_WORDS else None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s=+\-*/^]", "", text.lower()).split())


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
