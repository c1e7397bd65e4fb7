"""Compare what is written in words or letters: choices, text answers, and what prose leaves open."""

from __future__ import annotations

import re
from collections.abc import Callable

_LETTERS = re.compile(r"[A-J]{1,10}")
_AROUND = re.compile(r'["(){}\[\]\\.,;:/& ]')
_LABELLED = re.compile(r'"?\(?"?([A-J])"?[.:)](.+)')
_QUOTED = re.compile(r'"([^"]*)"')
_FILLERS = frozenset("a an the is are it of its that they be".split())
# Words that may stand for a number; any other word does not.
_NUMBERS = frozenset(
    "none nothing nil null nought single sole once unique both double twice pair couple thrice triple dozen score half third "
    "quarter first second fourth fifth sixth seventh eighth ninth tenth hundred thousand million billion infinite".split()
)
# A point or a number of arrangements; an index and a power, or the same number; a period or a product.
_TWO_MEANINGS = re.compile(r"[ACP](?:\(\d+, ?\d+\)|_\{\d+\}\^\{\d+\})|-?\d+\.\d+\(\d+\)")
_TIME = re.compile(r"\d{1,2}(?::[0-5]\d){1,2}")
_NUMBER = re.compile(r"[-\d./{}\\frac]+")
_SYNONYMS = (
    {"yes", "true", "correct", "right"},
    {"no", "false", "none", "never", "nothing", "neither", "impossible", "undefined", "dne", "wrong", "incorrect"},
)
_TURNING = frozenset(
    "not no never except excluded exclusive without less fewer more least most below above under over before after ago "
    "wrong incorrect false maybe between impossible".split()
)
LONGEST_UNIT = 4  # in words; more are a sentence


def choices(answer: str, reference: str, same: Callable[[str, str], bool | None]) -> bool | None:
    r"""Compare multiple-choice letters: `(A)`, `A.`, `\text{(A)}` and `(A) 12` are all `A`; `12` matches `(A) 12`.

    Of several letters the order does not count, but `CA`, which is not in order, may be something else.
    """
    left, right = _letters(answer), _letters(reference)
    if left and right:
        return set(left) == set(right) if _in_order(answer, left) and _in_order(reference, right) else None
    mine, theirs = _LABELLED.fullmatch(answer), _LABELLED.fullmatch(reference)
    if mine and theirs:
        rest = same(mine[2], theirs[2])
        return (rest or None) if mine[1] == theirs[1] else (rest and None)
    for labelled, letter, other in ((theirs, left, answer), (mine, right, reference)):
        if labelled and letter:
            return labelled[1] == letter
        if labelled and same(labelled[2], other):
            return True
    return None


def _letters(normal: str) -> str:
    letters = _AROUND.sub("", normal)
    return letters if _LETTERS.fullmatch(letters) and len(set(letters)) == len(letters) else ""


def _in_order(normal: str, letters: str) -> bool:
    return letters not in re.sub(r'["{}\s]', "", normal) or list(letters) == sorted(letters)


def texts(answer: str, reference: str) -> bool | None:
    """Compare where one side is nothing but words.

    Different single words are different answers unless one abbreviates the other or both say yes or no, and no number is
    `odd`; several words may mean the same.
    """
    mine, theirs = _text(answer), _text(reference)
    if mine and theirs:
        if mine == theirs:
            return True
        (one, *others), (other, *more) = mine, theirs
        alike = one.startswith(other) or other.startswith(one) or any({one, other} <= same for same in _SYNONYMS)
        return None if others or more or alike else False
    words, number = (mine, reference) if mine else (theirs, answer)
    a_word = len(words) == 1 and all(word.isascii() and word not in _NUMBERS for word in words)
    return False if a_word and _NUMBER.fullmatch(number) else None


def _text(normal: str) -> frozenset[str]:
    match = _QUOTED.fullmatch(normal)
    return (
        frozenset(re.findall(r"[^\s,.'-]+", match[1].lower())) - _FILLERS
        if match and len(match[1]) > 1
        else frozenset()
    )


def leave_open(answer: str, reference: str) -> bool:
    """Return whether the two may be the same although the rules call them different.

    So it is with words that no rule reads, letters that may stand for choices, and notation with two meanings.
    """
    if is_prose(answer) or is_prose(reference) or (_LABELLED.fullmatch(answer) and _LABELLED.fullmatch(reference)):
        return True
    left, right = _letters(answer), _letters(reference)
    if bool(left) != bool(right) or (left and sorted(left) == sorted(right)):
        return True
    return any(
        _TWO_MEANINGS.fullmatch(one) and not other.startswith("(")
        for one, other in ((answer, reference), (reference, answer))
    )


def turns(answer: str, reference: str) -> bool:
    """Return whether two that look equal may differ: by a word on one side only, as in `5"excluded"`, or as times of
    day: `5:15` and `15:45`, which are the same ratio."""
    if _TIME.fullmatch(answer) and _TIME.fullmatch(reference):
        return True
    mine, theirs = (set(re.findall("[a-z]+", " ".join(_QUOTED.findall(text)).lower())) for text in (answer, reference))
    return bool((mine ^ theirs) & _TURNING)


def is_prose(normal: str) -> bool:
    """Return whether there are words other than a unit after a value, or a text answer between commas."""
    for match in _QUOTED.finditer(normal):
        before, after = normal[: match.start()].rstrip(), normal[match.end() :].lstrip()
        if match[1].count(" ") >= LONGEST_UNIT:
            return True
        alone = before[-1:] in ("", "=", ",", "(", "[", "{") and after[:1] in ("", ",", ")", "]", "}", "=")
        unit = before[-1:] in ("}", ")", '"', "°", "%", "*", "/") or before[-1:].isalnum()
        if not alone and not (unit and not re.match(r"[a-zA-Z\\(]", after)):
            return True
    return False
