"""Parse replacements from a model's reply, in whatever way it writes JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from threadweaver.trajectory.loose_json import Found, damage, find_values, readings
from threadweaver.trajectory.reply_text import without_entities

_MARGIN = 40
"""Characters beside a value that are looked at: a line is searched no further, or many values on it would cost its
length each."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What an annotator proposes: `src`, found literally in the passage, becomes `dest`."""

    src: str
    dest: str


class UnreadableReply(ValueError):
    """A reply without a JSON array of {"src", "dest"}; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class _Proposal:
    """The replacements of one JSON value; `alone`: nothing else is on its lines."""

    start: int
    replacements: list[Replacement]
    alone: bool
    found: bool
    """Every `src` occurs in the passage."""


def parse_reply(text: str, passage: str = "") -> list[Replacement]:
    """Return the replacements of a reply: a JSON array, or objects one after the other, perhaps in a code fence or with
    prose around it.

    Of several, the last one counts whose `src` all occur in `passage`: what precedes it is a draft. Backslashes of
    mathematics may be single (`\\frac`, `\\times`, `\\neq`) or doubled, and the whole reply may be escaped for HTML:
    the reading with more `src` found in `passage` is taken. Raises UnreadableReply.
    """
    found, fault = [], None
    for variant in dict.fromkeys((text, without_entities(text))):
        try:
            found.append(_parse(variant, passage))
        except UnreadableReply as error:
            fault = fault or error
    if not found:
        raise fault
    return max(found, key=lambda replacements: _fit(replacements, passage))


def _parse(text: str, passage: str) -> list[Replacement]:
    values = list(find_values(text))
    broken = [value.start for value in values if value.value is None]
    proposals, fault = [], "the reply holds no JSON array" if not broken else "the reply's JSON cannot be read"
    for start, end, value in _joined(text, values):
        raw = _as_list(value)
        if raw is None or (broken and not isinstance(value, list)):  # an object of an array that is broken
            continue
        try:
            proposals.append(_proposal(text, start, end, raw, passage))
        except UnreadableReply as error:
            fault = str(error)
    chosen = _choose(proposals)
    if chosen is None or any(start > chosen.start for start in broken):
        raise UnreadableReply(fault if chosen is None else "the reply's last JSON cannot be read")
    if broken and not chosen.replacements:
        raise UnreadableReply(fault)
    return chosen.replacements


def _joined(text: str, values: Sequence[Found]) -> Iterator[tuple[int, int, list | dict]]:
    """Yield the values that are not broken, replacements one after the other (JSON lines) as one array."""
    lines: list[Found] = []
    for value in values:
        follows = bool(lines) and not text[lines[-1].end : value.start].strip(" \t\r\n,")
        if lines and not (follows and _is_replacement(value.value)):
            yield from _lines(lines)
            lines = []
        if _is_replacement(value.value):
            lines.append(value)
        elif value.value is not None:
            yield value.start, value.end, value.value
    if lines:
        yield from _lines(lines)


def _lines(lines: Sequence[Found]) -> Iterator[tuple[int, int, dict]]:
    yield lines[0].start, lines[-1].end, {"lines": [line.value for line in lines]}


def _is_replacement(value: object) -> bool:
    return isinstance(value, dict) and {"src", "dest"} <= value.keys()


def _as_list(value: list | dict) -> list | None:
    """Return the array of a value: itself, or the one that an object wraps; None where it has nothing to do with
    replacements."""
    if isinstance(value, list):
        return value
    lists = [item for item in value.values() if isinstance(item, list)]
    if len(lists) == 1 and not any(isinstance(item, dict) for item in value.values()):
        return lists[0]
    numbered = bool(value) and all(map(_is_replacement, value.values()))
    return list(value.values()) if numbered else None


def _proposal(text: str, start: int, end: int, raw: list, passage: str) -> _Proposal:
    """Return what an array proposes, in its best reading. Raises UnreadableReply."""
    read = [_replacements(reading) for reading in readings(raw)]
    if not read:
        raise UnreadableReply("the reply's JSON array cannot be read")
    best = max(read, key=lambda reading: _fit(reading, passage))
    return _Proposal(start, best, _is_alone(text, start, end), all(item.src in passage for item in best))


def _is_alone(text: str, start: int, end: int) -> bool:
    """Return whether nothing but a code fence is on the lines of this part of the text."""
    before, after = text[max(0, start - _MARGIN) : start], text[end : end + _MARGIN]
    return not (before.rpartition("\n")[2] + after.partition("\n")[0]).strip(" \t\r`")


def _choose(proposals: Sequence[_Proposal]) -> _Proposal | None:
    """Return the last proposal, if possible one whose `src` are all found; `[]` inside a sentence is only a word."""
    serious = [item for item in proposals if item.replacements or item.alone] or proposals
    fitting = [item for item in serious if item.found] or serious
    return fitting[-1] if fitting else None


def _replacements(value: list) -> list[Replacement]:
    result = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("src", "dest")):
            raise UnreadableReply(f'element {number} is not an object with the strings "src" and "dest"')
        result.append(Replacement(item["src"], item["dest"]))
    return result


def _fit(reading: Sequence[Replacement], passage: str) -> tuple[int, int]:
    found = sum(bool(item.src) and item.src in passage for item in reading)
    return found, -sum(damage(item.src) + damage(item.dest) for item in reading)
