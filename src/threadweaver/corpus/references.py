"""Reference answers and marks of correctness, as source rows write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from threadweaver.corpus.values import from_json, is_blank
from threadweaver.grading.boxed import final_answer

RIGHT = {"true", "yes", "y", "correct", "right", "pass", "passed", "1", "1.0"}
WRONG = {"false", "no", "n", "incorrect", "wrong", "fail", "failed", "0", "0.0"}

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{3,}")
_PROSE_WORDS = 12
"""A short answer of more words than this would be a sentence: `the set of all positive integers` has six."""
_PROSE_CHARS = 100


def reference(value: object) -> object:
    """Return a reference answer: a text, a number or a list of accepted answers; None where there is none.

    The last box of a worked solution is its answer; a text that is a JSON list of texts is the list.
    """
    value = from_json(value)
    if isinstance(value, str):
        boxed = final_answer(value)
        return None if not value.strip() else boxed if boxed is not None and is_prose(value) else value
    if isinstance(value, Mapping):
        return (
            next((found for item in value.values() if (found := reference(item)) is not None), None)
            if len(value) == 1
            else None
        )
    if isinstance(value, Sequence):
        found = [item for item in map(reference, value) if item is not None]
        return found or None
    return None if is_blank(value) else value


def with_choices(answer: object, choices: object) -> object:
    """Return an answer that is the letter of a choice (`B`) together with the choice's text, both of which are accepted.

    `choices` is a list of texts or a struct from letters to texts; any other answer is returned as it is.
    """
    if isinstance(choices, Mapping):
        texts = {str(key).strip().upper(): value for key, value in choices.items()}
        if set(texts) >= {"LABEL", "TEXT"} and isinstance(texts["TEXT"], list):
            texts = dict(zip(map(str, texts["LABEL"]), texts["TEXT"], strict=False))
    elif isinstance(choices, Sequence) and not isinstance(choices, str):
        texts = {chr(ord("A") + number): text for number, text in enumerate(choices)}
    else:
        return answer
    letter = answer.strip().strip("().").upper() if isinstance(answer, str) else ""
    text = texts.get(letter)
    return [answer, re.sub(rf"^\(?{letter}[).:]\s*", "", text)] if isinstance(text, str) and text.strip() else answer


def is_prose(text: str) -> bool:
    """Whether a text is how an answer was worked out, not the answer: sentences, or a box with something around it."""
    bare = text.strip()
    if _BOX.search(bare):
        return not _BOX.match(bare) or len(bare) > _PROSE_CHARS
    return len(_WORD.findall(bare)) > _PROSE_WORDS or (len(bare) > _PROSE_CHARS and bare.count(". ") > 1)


def mark(value: object) -> bool | None:
    """Return whether a value marks right or wrong; None where it is missing.

    Raises ValueError when it is neither (bool("False") is True).
    """
    if value is None or value != value or value == "":
        return None
    text = str(value).strip().lower()
    if isinstance(value, bool | int | float | str) and text in RIGHT | WRONG:
        return text in RIGHT
    raise ValueError(f"{value!r:.40} does not mark right or wrong")


def same_answer(first: object, second: object) -> bool:
    """Whether two references say the same, but for spaces, dollars and a box."""
    return _bare(first) == _bare(second)


def _bare(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    boxed = final_answer(text)
    text = text if boxed is None else boxed
    text = re.sub(r"\.0\b", "", text)
    return "".join(char for char in text if char not in ' $\n\t"[]')
