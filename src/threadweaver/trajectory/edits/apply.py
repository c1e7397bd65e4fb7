"""Apply replacements to a passage, and undo what was applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from threadweaver.trajectory import markup
from threadweaver.trajectory.edits.parse import Replacement
from threadweaver.trajectory.loose_json import CONTROL


class ConservationError(ValueError):
    """The trajectory and its lineage do not give the chain back."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One applied change: `src` became `dest` at `offset` characters of the text that the earlier edits left."""

    offset: int
    src: str
    dest: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A replacement that was not applied, and why (`not_found`, `ambiguous`, `tag_in_dest`, …)."""

    src: str
    dest: str
    code: str


@dataclass(frozen=True, slots=True)
class Applied:
    text: str
    edits: tuple[Edit, ...]
    skipped: tuple[Skipped, ...]


def apply(text: str, replacements: Sequence[Replacement]) -> Applied:
    """Apply the replacements that can be applied to a passage, then trim it and record the trimming as edits too.

    A `src` must occur exactly once, not counting occurrences that cut a word in two. A replacement that overlaps
    another one, leaves less than half of the passage or makes a tag is skipped.
    """
    placed: list[tuple[int, Replacement]] = []
    skipped: list[Skipped] = []
    for item in replacements:
        offset, code = _locate(text, item)
        if code is None and any(_overlap(offset, item, at, other) for at, other in placed):
            code = "overlaps"
        if code is None and len(text) - len(item.src) + len(item.dest.strip()) < len(text) / 2:
            code = "shrinks_thread"
        if code is None and markup.TAG_SHAPED.search(text[:offset] + item.dest + text[offset + len(item.src) :]):
            code = "makes_tag"
        if code:
            skipped.append(Skipped(item.src, item.dest, code))
        else:
            placed.append((offset, item))
    placed.sort(key=lambda pair: pair[0])
    result, edits = _substitute(text, placed)
    shrinks = "shrinks_thread" if len(result.strip()) < len(text) / 2 else None
    if together := "makes_tag" if markup.TAG_SHAPED.search(result) else shrinks:  # though each alone would pass
        skipped += [Skipped(item.src, item.dest, together) for _, item in placed]
        return Applied(text, (), tuple(skipped))
    result, trims = _trim(result)
    return Applied(result, (*edits, *trims), tuple(skipped))


def undo(text: str, edits: Sequence[Edit]) -> str:
    """Return the passage before the edits; raises ConservationError when the text is not what they left."""
    for edit in reversed(edits):
        end = edit.offset + len(edit.dest)
        if text[edit.offset : end] != edit.dest:
            raise ConservationError(f"the text at character {edit.offset} is not what the edit wrote")
        text = text[: edit.offset] + edit.src + text[end:]
    return text


def _locate(text: str, item: Replacement) -> tuple[int, str | None]:
    """Return the offset at which the replacement applies, or the code of why it is skipped."""
    if not item.src:
        return 0, "empty_src"
    if item.src == item.dest:
        return 0, "no_change"
    if markup.TAG_SHAPED.search(item.dest):
        return 0, "tag_in_dest"
    if CONTROL.search(item.dest) and not CONTROL.search(item.src):
        return 0, "control_character"
    whole = (at for at in _occurrences(text, item.src) if not _cuts_a_word(text, at, item.src))
    offsets = list(islice(whole, 2))
    if not offsets:
        return 0, "not_found"
    if len(offsets) > 1:
        return 0, "ambiguous"
    return offsets[0], None


def _occurrences(text: str, src: str) -> Iterator[int]:
    at = text.find(src)
    while at >= 0:
        yield at
        at = text.find(src, at + 1)


def _cuts_a_word(text: str, at: int, src: str) -> bool:
    end = at + len(src)
    before = at > 0 and text[at - 1].isalnum() and src[0].isalnum()
    after = end < len(text) and text[end].isalnum() and src[-1].isalnum()
    return before or after


def _overlap(offset: int, item: Replacement, other_offset: int, other: Replacement) -> bool:
    return offset < other_offset + len(other.src) and other_offset < offset + len(item.src)


def _substitute(text: str, placed: Sequence[tuple[int, Replacement]]) -> tuple[str, list[Edit]]:
    out, edits, cursor, length = [], [], 0, 0
    for offset, item in placed:
        out += [text[cursor:offset], item.dest]
        length += offset - cursor
        edits.append(Edit(length, item.src, item.dest))
        length += len(item.dest)
        cursor = offset + len(item.src)
    return "".join([*out, text[cursor:]]), edits


def _trim(text: str) -> tuple[str, list[Edit]]:
    edits = []
    if tail := text[len(text.rstrip()) :]:
        edits.append(Edit(len(text) - len(tail), tail, ""))
    text = text.rstrip()
    if head := text[: len(text) - len(text.lstrip())]:
        edits.append(Edit(0, head, ""))
    return text.lstrip(), edits
