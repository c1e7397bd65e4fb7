"""What the text of a model's reply may hold, and the ways of writing in which it may come."""

from __future__ import annotations

import re

UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (but line breaks and tabs) and halves of a character. Of a chain the white space among them is
kept; in a reply they are what is left of a LaTeX command whose backslash was read as an escape."""

_FENCED = re.compile(r"\s*+```[ \t]*+\w*+[ \t]*+\n(.*)\n[ \t]*+```\s*", re.DOTALL)
_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos|nbsp|#39|#34|#60|#62|#x27|#x22|#x3[cCeE]);")
_ENTITIES = {
    "lt": "<",
    "gt": ">",
    "amp": "&",
    "quot": '"',
    "apos": "'",
    "nbsp": " ",
    "#39": "'",
    "#34": '"',
    "#60": "<",
    "#62": ">",
    "#x27": "'",
    "#x22": '"',
    "#x3c": "<",
    "#x3e": ">",
}
_ASCII = str.maketrans("：（）［］【】，．；＜＞／－—–−‐‑～", ":()[][],.;<>/-------")


def without_fence(text: str) -> str:
    """Return the text inside a code fence around the whole of it; any other text as it is."""
    found = _FENCED.fullmatch(text)
    return found[1] if found and "```" not in found[1] else text


def without_entities(text: str) -> str:
    """Return the text of a gateway that escapes replies for HTML: `&lt;` becomes `<`."""
    return _ENTITY.sub(lambda match: _ENTITIES[match[1].lower()], text)


def with_ascii_marks(text: str) -> str:
    """Return the text with full-width punctuation and the many dashes as ASCII has them, character for character."""
    return text.translate(_ASCII)
