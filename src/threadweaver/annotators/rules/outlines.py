"""Outlines from a thread's opening: what it sets out to do, never what it finds."""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_WORDS, MAX_WORDS = 4, 25

_MARKS = re.compile(r"^[\s#>*\-•–_✓]+|\*\*|^\(?\d{1,2}[.)]\s+|__")
_TALK = re.compile(
    r"^(?:(?:okay|ok|alright|all right|so|now|and|next|then|but|hmm+|well|wait(?: a (?:minute|second))?|actually|hold on|also|again|alternatively|similarly|likewise|finally|lastly|maybe|perhaps|yes|no|oh|or|first(?:ly)?(?: off)?|second(?:ly)?|instead|just to be (?:sure|thorough|safe)|to be (?:sure|thorough)|another (?:thought|idea))\b[\s,.:;—-]*)+", re.IGNORECASE)
_INTENT = re.compile(
    r"^(?:let me(?: try(?: to)?)?|let'?s(?: try(?: to)?)?|let us|we (?:can|could|need to|should|have to|might|will|want to|may)(?: try(?: to)?)?|i(?:'ll| will| can| could| should| might| need to| have to| want to|'d like to| think i (?:can|should))(?: try(?: to)?)?"
    r"|(?:maybe|perhaps) (?:i|we) (?:can|could|should|need to)|one (?:way|approach|method|idea|option) (?:is|would be|could be|might be) to|another (?:way|approach|method|idea|option)(?: to \w+(?: \w+){0,4}?)? (?:is|would be|could be|might be) to|(?:a|the) (?:different|second|simpler|better|first) (?:way|approach|method) (?:is|would be) to"
    r"|what if (?:i|we)|if (?:i|we) (?:can |could )?|try to|to)\s+(?:also |just |now |first |instead |actually |simply |start by |quickly )*", re.IGNORECASE)
_ANOTHER = re.compile(r"\b(?:an?other|an alternative|a different|a second) (way|approach|method|idea|angle|perspective)\b", re.IGNORECASE)
_CLAUSE_END = re.compile(r"(?<![A-Z])[.!?](?:\s|$)|[;\n]|:(?=\s*$)|,?\s+(?:so|which|then|because|since|therefore|thus|hence|but|giving|gives|we get|i get|we have|but wait|right|although|where)\b|[⇒→]|=>|\\implies|\\Rightarrow|—|–\s", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*")
_MATH_PIECE = re.compile(r"\$[^$\n]{1,200}\$|\\\(.{1,200}?\\\)|\S*[=^_\\≡≈≤≥²³√±×÷][^\s,;:]*(?:\s*[-+=*/≡≈≤≥<>×÷]\s*[^\s,;:]+)*|[-+]?\S*\d\S*")
_LABEL = re.compile(r"^(?P<label>(?:sub-?case|case|scenario|possibility|option|method|approach|part|situation|interpretation|attempt|test|example)\s*(?:\d+(?:\.\d+)*|[A-H]|[ivx]+)\b)[\s:.,)—-]*", re.IGNORECASE)
_VERB = re.compile(r"^(?:consider|use|using|try|check|verify|test|compute|calculate|find|solve|look|think|count|evaluate|express|write|set|apply|approach|expand|factor|analy[sz]e|explore|determine|plug|substitute|work|examine|list|convert|parameteri[sz]e|assume|suppose|take|see|confirm|break|split|simplify|draw|place|denote|define|start|go|represent|model|recall|compare|estimate|approximate|double-check|handle|treat|do|get|make|begin|figure|focus|rewrite|visuali[sz]e|cross-check|group|pair|rearrange|derive|prove|show|sum|add|subtract|multiply|divide|differentiate|integrate|construct|build|sketch|imagine|interpret|reconsider|revisit|recheck|redo|recalculate|recompute|attempt|let)\b", re.IGNORECASE)
_CONDITION = re.compile(r"^(?:if|when|for|with|at|suppose|assume|assuming|let|where|in)\b", re.IGNORECASE)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth")


def propose_outlines(problem: str, context: str, threads: Sequence[str]) -> list[str]:
    """One outline a thread, of 4 to 25 words: its plan, without a value that neither problem nor context holds."""
    known = f"{problem}\n{context}"
    outlines: list[str] = []
    for position, thread in enumerate(threads):
        text = outline_of(thread, known)
        if text is None or _plain(text) in {_plain(other) for other in outlines}:
            text = _numbered(text, position, outlines)
        outlines.append(text)
    return outlines


def outline_of(thread: str, known: str) -> str | None:
    """The plan in the thread's opening words; None when they say none."""
    for sentence in _opening_sentences(thread):
        plan = _plan(sentence, known)
        if plan is not None:
            return plan
    return None


def _opening_sentences(thread: str) -> list[str]:
    lines = [line for line in thread[:1200].split("\n") if line.strip()][:3]
    sentences: list[str] = []
    for line in lines:
        sentences += [piece for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z$\\])", line.strip()) if piece.strip()]
    return sentences[:4]


def _plan(sentence: str, known: str) -> str | None:
    text = _TALK.sub("", _MARKS.sub("", sentence.strip())).strip()
    label = _LABEL.match(text)
    head, rest = (label["label"], text[label.end():]) if label else ("", text)
    rest = _clause(rest)
    rest, intended = _without_intent(rest)
    rest = _known_only(rest, known)
    if label:
        subject = rest.strip(" ,.:*")
        full = f"{_capitalised(head)}: {subject}" if subject else f"{_capitalised(head)}: work it out on its own"
        return _sized(full)
    if not rest or len(rest.split()) < 2:
        return None
    if not intended and not _VERB.match(rest):
        rest = f"Work out the case {rest}" if _CONDITION.match(rest) else f"Work on {rest[:1].lower() + rest[1:] if rest[1:2].islower() else rest}"
    return _sized(_ANOTHER.sub(lambda m: f"a separate {m[1]}", rest))


def _clause(text: str) -> str:
    """Up to where the opening turns from what is asked to what follows from it."""
    found = _CLAUSE_END.search(text)
    while found and found.start() < 12:
        found = _CLAUSE_END.search(text, found.end())
    return (text[:found.start()] if found else text).strip(" ,:")


def _without_intent(text: str) -> tuple[str, bool]:
    match = _INTENT.match(text)
    return (text[match.end():], True) if match else (text, False)


def _known_only(text: str, known: str) -> str:
    """The text up to the first number or formula that neither problem nor context holds."""
    squeezed = _squeeze(known)
    numbers = set(_NUMBER.findall(known))
    for match in _MATH_PIECE.finditer(text):
        piece = match[0]
        if all(number in numbers for number in _NUMBER.findall(piece)) and (
                _squeeze(piece).strip("$().,:") in squeezed or not any(c in piece for c in "=≈≡")):
            continue
        return re.sub(r"[\s,(]*\b(?:is|are|as|of|to|by|with|for|at|when|if|the|that|equals?|and|or|from|in|a|an|let|set|where|using|into|than|be|on)?[\s,:($]*$", "", text[:match.start()]).strip()
    return text


def _squeeze(text: str) -> str:
    return re.sub(r"[\s$\\(){}]", "", text)


def _sized(text: str) -> str | None:
    text = re.sub(r"</?\w+>|[<>]", "", text)
    words = text.split()
    if len(words) > MAX_WORDS - 3:
        words = words[:MAX_WORDS - 3]
        while len(words) > MIN_WORDS and words[-1].lower().strip(",") in _DANGLING:
            words.pop()
        text = " ".join(words)
        if text.count("$") % 2:
            text = text[:text.rfind("$")].strip()
    text = _balanced(text.strip(" ,;:."))
    if len(text.split()) < MIN_WORDS:
        text = f"Work through this part: {text}" if len(text.split()) >= 2 else ""
    return _capitalised(text) if len(text.split()) >= MIN_WORDS else None


_DANGLING = frozenset("the a an of to in on at by for with and or but is are as that if when from into this its their our my which be".split())


def _balanced(text: str) -> str:
    for opening, closing in (("\\(", "\\)"), ("(", ")"), ("{", "}")):
        if text.count(opening) != text.count(closing):
            cut = text.rfind(opening)
            text = (text[:cut] if text.count(opening) > text.count(closing) and cut > 0 else text.replace(closing, "")).strip()
    return text


def _numbered(text: str | None, position: int, outlines: Sequence[str]) -> str:
    """A plan that tells itself from its siblings by its place among them."""
    place = _ORDINALS[position] if position < len(_ORDINALS) else f"{position + 1}th"
    if text is None:
        return f"Work through the {place} passage on its own"
    return f"{text}, {place} passage"


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s=+\-*/^]", "", text.lower()).split())


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
