"""Scan a text tag by tag: what the readers of all dialects have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence

from threadweaver.trajectory.markup import MarkupError


def tag_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Return what matches the opening or closing tag of any of these names."""
    return re.compile(rf"</?(?:{'|'.join(names)})>")


class Scanner:
    """Reads from the first character on. Every method raises MarkupError at the first place that breaks the grammar."""

    def __init__(self, text: str, tags: re.Pattern[str]):
        self.text, self.at = text, 0
        self._tags = list(tags.finditer(text))
        self._next = 0

    @property
    def tag(self) -> str | None:
        """The next tag, or None if there is no other."""
        return self._tags[self._next].group() if self._next < len(self._tags) else None

    def passage(self) -> str:
        """Return the text up to the next tag, or to the end, and move there."""
        start, self.at = self.at, self._start()
        return self.text[start : self.at]

    def take(self, expected: str) -> None:
        """Move behind the next tag, which has to be this one, with only white space before it."""
        start = self._start()
        if self.tag != expected:
            raise MarkupError("unbalanced_tag", start, f"{self.tag or 'the end'} where {expected} is due")
        if self.text[self.at : start].strip():
            raise MarkupError("stray_text", self.at, f"text where {expected} is due")
        self.at = self._tags[self._next].end()
        self._next += 1

    def body(self, name: str) -> str:
        """Return the trimmed text of the element that begins here; it is not empty and holds no tag."""
        start = self._start()
        self.take(f"<{name}>")
        text = self.passage().strip()
        self.take(f"</{name}>")
        if not text:
            raise MarkupError(f"empty_{name.lower()}", start, f"an empty <{name}>")
        return text

    def end(self) -> None:
        """Make sure that no tag is left."""
        if self.tag:
            raise MarkupError("stray_tag", self._start(), f"{self.tag} outside a block")

    def _start(self) -> int:
        return self._tags[self._next].start() if self._next < len(self._tags) else len(self.text)


def without_number(text: str, number: str) -> str | None:
    """Return the text after `number:` at its beginning, or None if another or no number is there."""
    match = re.match(rf"\s*{re.escape(number)}\s*:\s*", text)
    return text[match.end() :] if match else None


def unwrap(text: str, tag: str) -> tuple[str, str | None]:
    """Return what `<tag>` and `</tag>` enclose and the text after them, or the text and None if neither is there.

    One newline at each edge belongs to the tags. Raises MarkupError when one of the two is missing or repeated, or
    when anything but white space precedes them.
    """
    opening, closing = f"<{tag}>", f"</{tag}>"
    counts = text.count(opening), text.count(closing)
    if counts == (0, 0):
        return text, None
    start, end = text.find(opening), text.find(closing)
    if counts != (1, 1) or end < start:
        raise MarkupError("unclosed_think", max(start, 0), f"{counts[0]} {opening} and {counts[1]} {closing}")
    if text[:start].strip():
        raise MarkupError("stray_text", 0, f"text before {opening}")
    inner = text[start + len(opening) : end]
    return inner.removeprefix("\n").removesuffix("\n"), text[end + len(closing) :]


def wrap(body: str, tag: str, answer: str | None) -> str:
    """Return the inverse of `unwrap`."""
    return body if answer is None else f"<{tag}>\n{body}\n</{tag}>{answer}"
