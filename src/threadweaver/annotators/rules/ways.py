"""How a way ends: with a result, by breaking off, or in the middle."""

from __future__ import annotations

import re
from collections.abc import Sequence

BREAKS_OFF = re.compile(
    r"\b(?:not (?:helpful|sure|useful|possible|straightforward|enough|clear|necessary|work|working"
    r"|working out)|does not"
    r"|doesn't (?:help|work|seem|make|match)|dead end|(?:over)?complicat\w*|messy|stuck|tedious"
    r"|contradict\w*|impossible|can't"
    r"|cannot|no solution)\b",
    re.IGNORECASE,
)
"""A sentence that gives a way up."""

_RELATIONS = re.compile(r"[=≈≡≥≤∈]|\\(?:approx|in|equiv|implies|geq?|leq?|Rightarrow)\b|⇒|\bis \d|\bequals\b")
_MIN_RELATIONS = 2  # a way with fewer is a plan, not work
_INTENDS = re.compile(
    r"\b(?:let me|let's|let us|i'll|going to|want to|should i|what if|i wonder|i need to|we need to|we "
    r"can|i can)\b|\?\s*$|[:,]\s*$",
    re.IGNORECASE,
)
_GUESSES = re.compile(r"\b(?:maybe|perhaps|might|could|would)\b", re.IGNORECASE)
_CONCLUDES = re.compile(r"^\W*(?:so|thus|therefore|hence|which)\b", re.IGNORECASE)
# A parting doubt or an announcement says nothing of what came before it.
_PARTING = re.compile(
    r"\b(?:let me|let's|wait|is there|maybe there|just to|to (?:be sure|confirm|verify|make sure)|is that "
    r"(?:correct|right)"
    r"|i (?:just )?want to make sure|not sure)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_TAIL_CHARS = 900
_FIGURE = re.compile(r"\d+(?:[.,/]\d+)*")


def settles(text: str) -> bool:
    """Whether a way does some work and comes to something, or says that it breaks off."""
    if len(_RELATIONS.findall(text)) < _MIN_RELATIONS:
        return False
    closing = closing_sentence(text)
    if BREAKS_OFF.search(closing):
        return True
    return not _INTENDS.search(closing) and bool(_CONCLUDES.match(closing) or not _GUESSES.search(closing))


def came_to_something(text: str) -> bool:
    """Whether a paragraph ends with a relation it has worked out."""
    closing = closing_sentence(text)
    return bool(_RELATIONS.search(closing)) and not _INTENDS.search(closing) and not _GUESSES.search(closing)


def closing_sentence(text: str) -> str:
    """The last sentence of a passage that says something of its matter."""
    sentences = [sentence for sentence in _SENTENCE.split(text[-_TAIL_CHARS:].strip()) if sentence.strip()]
    for _ in range(2):
        if len(sentences) > 1 and _PARTING.search(sentences[-1]) and not BREAKS_OFF.search(sentences[-1]):
            sentences.pop()
    return sentences[-1]


def same_end(texts: Sequence[str]) -> bool:
    """Ways to one end do not come to different values: then the later one went on where the first stopped."""
    closings = [_FIGURE.findall(closing_sentence(text)) for text in texts]
    return all(
        not first
        or not second
        or first[-1] == second[-1]
        or _is_told(second[-1], _FIGURE.findall(text))
        or _is_told(first[-1], second)
        for first, second, text in zip(closings, closings[1:], texts, strict=False)
    )


def _is_told(figure: str, figures: Sequence[str]) -> bool:
    """A single digit is in every text: it tells nothing."""
    return len(figure) > 1 and figure in figures
