"""Parse replacements from a model's reply, in whatever way it writes JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from threadweaver.trajectory.loose_json import Found, damage, find_values, readings
from threadweaver.trajectory.reply_text import without_entities

_MARGIN = 40
"""Characters beside a value that are looked at: a line is searched no further, or many values on it would cost its
length each."""
_NUMBER = re.compile(r"\W*+(?:threads?[\W_]*+)?(\d{1,3})\W*+", re.I)
"""The number of a thread, as a key or a name: `2`, `thread 2`, `[Thread 2]`."""
_KEY = re.compile(r"[\"“']\W{0,3}(?:threads?[\W_]{0,3})?(\d{1,3})\W{0,3}[\"”']\s*+:", re.I)
_BEFORE_ELEMENT = re.compile(r"(?:[,\[{]|[\"”']\s*:)\s*\Z")
_AFTER_ELEMENT = re.compile(r"\s*[,\]}]")
_NO_OBJECT = 'an element is not an object with the strings "src" and "dest"'
_QUOTED = 60
"""Characters of a `src` that are quoted where its thread is unknown."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What an annotator proposes: `src`, found literally in the passage, becomes `dest`."""

    src: str
    dest: str


class UnreadableReply(ValueError):
    """A reply that cannot be read, or not all of it: `faults` are sentences for the model, `read` is what could be
    read."""

    def __init__(self, faults: Sequence[str], read: Mapping[int, list[Replacement]]):
        super().__init__(" ".join(faults))
        self.faults, self.read = tuple(faults), dict(read)


def parse_reply(text: str, passages: Mapping[int, str]) -> dict[int, list[Replacement]]:
    """Return the replacements of a reply by the number of their thread; threads without any are left out.

    `passages` holds the threads that were asked about. The reply is a JSON object of arrays with the numbers as keys;
    also read are keys such as "Thread 2", an object around it, an array or lines of JSON whose items name their thread,
    and items that name none where one thread was asked about or holds their `src` alone; all in a code fence or with
    prose around it. Of several values, the last one counts whose `src` all occur in their threads: what precedes it is
    a draft. Backslashes of mathematics may be single (`\\frac`, `\\times`, `\\neq`) or doubled, and the whole reply may
    be escaped for HTML: the reading with more `src` found is taken.

    Raises UnreadableReply, with the threads that could be read, where anything else could not.
    """
    variants = dict.fromkeys((text, without_entities(text)))
    best = max((_parse(variant, passages) for variant in variants), key=lambda found: (-len(found.faults), found.fit))
    if best.faults:
        raise UnreadableReply(best.faults, best.threads)
    return best.threads


@dataclass(slots=True)
class _Reading:
    """What one JSON value proposes; `alone`: nothing else is on its lines."""

    passages: Mapping[int, str]
    threads: dict[int, list[Replacement]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    start: int = 0
    alone: bool = False

    @property
    def found(self) -> bool:
        """Whether every `src` occurs in its thread."""
        return all(item.src in self.passages[number] for number, items in self.threads.items() for item in items)

    @property
    def fit(self) -> tuple[int, int]:
        """How many `src` occur in their threads, and how little looks like damaged LaTeX."""
        pairs = [(number, item) for number, items in self.threads.items() for item in items]
        found = sum(bool(item.src) and item.src in self.passages[number] for number, item in pairs)
        return found, -sum(damage(item.src) + damage(item.dest) for _, item in pairs)

    def take(self, value: object, thread: int | None = None) -> None:
        """Take in a value as far as it is about replacements; `thread` is the number under which it is."""
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    self._take_object(item, _named(item) or thread)
                else:
                    self._fault(thread, _NO_OBJECT)
        elif isinstance(value, Mapping):
            self._take_object(value, _named(value) or thread)
        elif value is not None:
            self._fault(thread, _NO_OBJECT)

    def _take_object(self, value: Mapping, thread: int | None) -> None:
        inner = [item for item in value.values() if isinstance(item, list | Mapping)]
        if "src" in value or "dest" in value:
            self._put(value, thread)
        elif thread is None and (keyed := _by_number(value)):
            for number, items in keyed:
                self.take(items, number)
        elif len(inner) == 1 or (inner and all(map(_is_replacement, inner))):
            for item in inner:
                self.take(item, thread)
        elif inner or (value and thread is None):
            self._fault(thread, 'an object has neither the strings "src" and "dest" nor numbers of threads as keys')

    def _put(self, item: Mapping, thread: int | None) -> None:
        src, dest = item.get("src"), item.get("dest")
        if not (isinstance(src, str) and isinstance(dest, str)):
            self._fault(thread, _NO_OBJECT)
            return
        if thread is None:
            holding = [number for number, text in self.passages.items() if src in text]
            places = list(self.passages) if len(self.passages) == 1 else holding
            thread = places[0] if len(places) == 1 else None
        if thread is None:
            self._fault(None, f"the replacement of {json.dumps(src[:_QUOTED], ensure_ascii=False)} names no thread")
        elif thread not in self.passages:
            asked = ", ".join(map(str, self.passages))
            self._fault(thread, f"it is not one of the threads asked for ({asked})")
        else:
            self.threads.setdefault(thread, []).append(Replacement(src, dest))

    def _fault(self, thread: int | None, what: str) -> None:
        sentence = f"Thread {thread}: {what}." if thread else f"{what[:1].upper()}{what[1:]}."
        if sentence not in self.faults:
            self.faults.append(sentence)


def _is_replacement(value: object) -> bool:
    return isinstance(value, Mapping) and {"src", "dest"} <= value.keys()


def _named(value: Mapping) -> int | None:
    """Return the number of the thread that an object names in a field of its own."""
    for key, name in value.items():
        if str(key).lower().startswith("thread") and isinstance(name, int | str) and not isinstance(name, bool):
            match = _NUMBER.fullmatch(str(name))
            return int(match[1]) if match else None
    return None


def _by_number(value: Mapping) -> list[tuple[int, object]]:
    """Return number and value of the keys that are numbers of threads."""
    matches = ((_NUMBER.fullmatch(str(key)), item) for key, item in value.items())
    return [(int(match[1]), item) for match, item in matches if match]


def _read(value: object, passages: Mapping[int, str], thread: int | None = None) -> _Reading:
    """Return a found value in its best reading."""
    found = []
    for reading in readings(value):
        found.append(_Reading(passages))
        found[-1].take(reading, thread)
    return max(found, key=lambda one: one.fit, default=_Reading(passages, faults=["Its JSON cannot be read."]))


def _parse(text: str, passages: Mapping[int, str]) -> _Reading:
    values = list(find_values(text))
    broken = [value.start for value in values if value.value is None]
    none = _Reading(passages, faults=["Its JSON cannot be read." if broken else "It holds no JSON object."])
    proposals = []
    for start, end, value in _joined(text, values):
        if broken and _is_element(text, start, end):  # of an array or object that is broken
            continue
        reading = _read(value, passages)
        if reading.faults and not reading.threads:
            none = reading if not broken else none
            continue
        reading.start, reading.alone = start, _is_alone(text, start, end)
        proposals.append(reading)
    chosen = _choose(proposals)
    if broken and (chosen is None or not chosen.threads or broken[-1] > chosen.start):
        return _salvage(text[broken[0] :], passages) or none
    return chosen or none


def _salvage(text: str, passages: Mapping[int, str]) -> _Reading | None:
    """Read the threads of a broken object one by one; None if nothing in it names a thread."""
    keys = list(_KEY.finditer(text))
    saved = _Reading(passages)
    for at, key in enumerate(keys):
        end = keys[at + 1].start() if at + 1 < len(keys) else len(text)
        part = text[key.end() : end]
        first = next(find_values(part), None)
        number = int(key[1])
        if first is None or first.value is None or part[: first.start].strip():
            saved.faults.append(f"Thread {number}: its JSON cannot be read.")
        else:
            reading = _read(first.value, passages, number)
            saved.threads |= reading.threads
            saved.faults += reading.faults
    if keys and not saved.faults:
        saved.faults.append("Its JSON cannot be read.")
    return saved if keys else None


def _joined(text: str, values: Sequence[Found]) -> Iterator[tuple[int, int, object]]:
    """Yield the values that are not broken; objects one after the other (JSON lines) as one array, unless the later
    one is about the same threads again."""
    lines: list[Found] = []
    about: set[int] = set()
    for value in values:
        if value.value is None:
            continue
        numbers = _part(value.value)
        follows = bool(lines) and not text[lines[-1].end : value.start].strip(" \t\r\n,")
        if lines and (numbers is None or not follows or about & numbers):
            yield _one(lines)
            lines, about = [], set()
        lines.append(value)
        about |= numbers or set()
        if numbers is None:
            yield _one(lines)
            lines = []
    if lines:
        yield _one(lines)


def _part(value: list | dict) -> set[int] | None:
    """Return the threads that an object has as keys, which may be none; None for what is no line of JSON lines."""
    if not isinstance(value, dict):
        return None
    numbers = {number for number, _ in _by_number(value)}
    return numbers if numbers or _is_replacement(value) or _named(value) else None


def _one(lines: Sequence[Found]) -> tuple[int, int, object]:
    whole = lines[0].value if len(lines) == 1 else [line.value for line in lines]
    return lines[0].start, lines[-1].end, whole


def _is_element(text: str, start: int, end: int) -> bool:
    """Return whether what surrounds a value is what surrounds an element of an array or object."""
    before = _BEFORE_ELEMENT.search(text[max(0, start - _MARGIN) : start])
    return before is not None or _AFTER_ELEMENT.match(text[end : end + _MARGIN]) is not None


def _is_alone(text: str, start: int, end: int) -> bool:
    """Return whether nothing but a code fence is on the lines of this part of the text."""
    before, after = text[max(0, start - _MARGIN) : start], text[end : end + _MARGIN]
    return not (before.rpartition("\n")[2] + after.partition("\n")[0]).strip(" \t\r`")


def _choose(proposals: Sequence[_Reading]) -> _Reading | None:
    """Return the last proposal, if possible one whose `src` are all found; `{}` inside a sentence is only a word."""
    serious = [item for item in proposals if item.threads or item.alone] or proposals
    fitting = [item for item in serious if item.found] or serious
    return fitting[-1] if fitting else None
