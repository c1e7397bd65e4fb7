"""Parse the outlines of a block from a model's reply: numbered lines, or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from threadweaver.trajectory.loose_json import damage, find_values, readings
from threadweaver.trajectory.reply_text import with_ascii_marks, without_entities

# one class before the number and one after it: two adjacent runs of blanks would take quadratic time
_NUMBERED = re.compile(
    r"^([\s>#*\-•`]*)(?:(?:outline|thread)\s*)?\(?(\d{1,3})\)?[\s*]*(?::|[.)](?=[\s*]|$))(.*)$", re.I | re.DOTALL
)
_TAG_END = re.compile(r"</outlines?\s*>", re.I)
_TAG_BEGIN = re.compile(r"<outlines?\s*>", re.I)
_RULE = re.compile(r"\s*(?:```\w*|[-*_=~]{2,})\s*")
"""A code fence, or a line drawn across."""
_SENTENCE_END = re.compile(r"[.!?…。！？][)\]\"'”’»*`$]*$")
_BEFORE_WORD = "*_#>-•([\"'“‘ \t"
_OWN_NUMBER = re.compile(r"^\s*\d+\s*[:：]\s*")
_KEY = re.compile(r"\D*(\d{1,3})\D*")
_QUOTES = {'"': '"', "“": "”", "«": "»"}


class UnreadableOutlines(ValueError):
    """The reply lacks outlines that were asked for; the message says which."""

    def __init__(self, message: str, code: str = "count"):
        super().__init__(message)
        self.code = code


def parse_outlines(text: str, wanted: Sequence[int]) -> list[str]:
    """Return the outlines with the wanted numbers, which follow one another, from a reply: lines `1: …`, `2: …`, perhaps in a fence, in tags or with prose around them, or
    JSON (an array of texts, or an object with the numbers as keys).

    Numbered lines need no escapes, so mathematics is read as typed. Raises UnreadableOutlines, also where it is unclear
    whether a line below an outline continues it or is a remark.
    """
    plain = without_entities(text)
    try:
        return _from_lines(plain, wanted)
    except UnreadableOutlines:
        if listed := _from_json(plain, wanted):
            return listed
        raise


# ---- numbered lines


@dataclass(slots=True)
class _Item:
    """One numbered line, `below` the lines directly below it."""

    number: int
    text: str
    below: list[str]

    @property
    def is_finished(self) -> bool:
        return _SENTENCE_END.search(self.text) is not None


def _from_lines(text: str, wanted: Sequence[int]) -> list[str]:
    items = _items(_TAG_BEGIN.sub("\n", _TAG_END.sub("\n\n", text)).replace("\r\n", "\n"))
    _check_numbers([item.number for item in items], wanted)
    return [_with_lines_below(item, [other for other in items if other is not item]) for item in items]


def _items(text: str) -> list[_Item]:
    """Return the numbered lines; a blank line or a fence ends what may belong to one."""
    items: list[_Item] = []
    is_open = False
    for line in text.split("\n"):
        if match := _NUMBERED.match(with_ascii_marks(line.replace("．", ":"))):
            body = line[match.start(3) : match.end(3)].strip()
            items.append(_Item(int(match[2]), _bare(body, match[1]), []))
            is_open = True
        elif is_open and line.strip() and not _RULE.fullmatch(line):
            items[-1].below.append(line.strip())
        else:
            is_open = False
    return items


def _with_lines_below(item: _Item, others: Sequence[_Item]) -> str:
    """Return the outline with the lines that continue it and without a remark. Raises UnreadableOutlines.

    A finished sentence is not continued by one that begins with a capital, an unfinished one by anything else. What
    follows an unfinished one with a capital is a remark if it is itself a sentence and no outline of this reply ends
    like one.
    """
    text = item.text
    for line in item.below:
        finished, begins = _SENTENCE_END.search(text) is not None, line.lstrip(_BEFORE_WORD)[:1]
        capital = begins.isalpha() and not begins.islower()
        sentence = _SENTENCE_END.search(line) is not None
        if capital and (finished or (sentence and not any(other.is_finished for other in others))):
            return text
        if capital or finished:
            raise UnreadableOutlines(
                f"It is unclear whether the line below outline {item.number} belongs to it: write each outline on one "
                "line, and nothing else.",
                "stray_line",
            )
        text = f"{text} {line}".strip()
    return text


def _bare(text: str, before: str) -> str:
    """Return a line's text without what encloses it: the stars of a pair that opened before the number (`**1:** …`,
    `**1: …**`), a backtick, quotation marks round the whole."""
    if "**" in before and text.count("**") % 2:
        text = text.removeprefix("**").strip() if text.startswith("**") else text.removesuffix("**").strip()
    if "`" in before:
        text = text.removesuffix("`").strip()
    closing = _QUOTES.get(text[:1])
    if closing and text.endswith(closing) and len(text) > 1 and not {text[0], closing} & set(text[1:-1]):
        text = text[1:-1].strip()
    return text


def _check_numbers(numbers: Sequence[int], wanted: Sequence[int]) -> None:
    if list(numbers) == list(wanted):
        return
    span = f'"{wanted[0]}: "' if len(wanted) == 1 else f'"{wanted[0]}: " to "{wanted[-1]}: ", in order'
    form = f"Write one line for each of the {len(wanted)} threads asked for, numbered {span}."
    if not numbers:
        raise UnreadableOutlines(f"It holds no numbered line. {form}", "unreadable_outlines")
    if repeated := [number for number in wanted if numbers.count(number) > 1]:
        raise UnreadableOutlines(f"Outline {repeated[0]} is there {numbers.count(repeated[0])} times. {form}")
    if missing := [str(number) for number in wanted if number not in numbers]:
        raise UnreadableOutlines(f"Outline {', '.join(missing)} of {len(wanted)} is missing. {form}")
    if beyond := [str(number) for number in numbers if number not in wanted]:
        raise UnreadableOutlines(f"Outline {', '.join(beyond)} was not asked for. {form}")
    raise UnreadableOutlines(f"The outlines are in the order {', '.join(map(str, numbers))}. {form}")


# ---- JSON


def _from_json(text: str, wanted: Sequence[int]) -> list[str] | None:
    """Return the outlines of the last JSON value that has all of them, in the reading with less damaged LaTeX."""
    fitting = None
    values = list(find_values(text))
    if all(value.value is not None for value in values):
        wholes = [value.value for value in values]
        lines = [item for item in wholes if isinstance(item, dict)]
        for whole in [*wholes, *([lines] if len(lines) == len(wholes) > 1 else [])]:
            fitting = _best(readings(whole), wanted) or fitting
    return fitting


def _best(read: Sequence[object], wanted: Sequence[int]) -> list[str] | None:
    pairs = [list(_numbered(value, wanted[0])) for value in read]
    found = [[text for _, text in pair] for pair in pairs if [number for number, _ in pair] == list(wanted)]
    return min(found, key=lambda texts: sum(map(damage, texts)), default=None)


def _numbered(value: object, first: int, depth: int = 2) -> Iterator[tuple[int, str]]:
    """Yield number and text of the outlines in a JSON value: an array of texts or of objects with one text, an object
    with numbers in its keys, or an object around one of these. Items of an array without numbers count from `first`."""
    if isinstance(value, Mapping):
        inner = list(value.values())
        if len(inner) == 1 and depth and not isinstance(inner[0], str):
            yield from _numbered(inner[0], first, depth - 1)
        elif all(isinstance(text, str) for text in inner):
            yield from _with_numbers((_key_number(key), text) for key, text in value.items())
    elif isinstance(value, list):
        yield from _with_numbers(
            (at, item) if isinstance(item, str) else _one_text(item, at) for at, item in enumerate(value, first)
        )


def _with_numbers(pairs: Iterator[tuple[int, object]]) -> Iterator[tuple[int, str]]:
    """Yield the pairs, each without a number of its own; one that is not a number and a text has the number 0."""
    for number, text in pairs:
        yield (number, _OWN_NUMBER.sub("", text).strip()) if isinstance(text, str) else (0, "")


def _key_number(key: str) -> int:
    match = _KEY.fullmatch(key)
    return int(match[1]) if match else 0


def _one_text(item: object, at: int) -> tuple[int, object]:
    """Return number and text of an object that has one text and at most a number beside it."""
    fields = list(item.values()) if isinstance(item, Mapping) else []
    texts = [field for field in fields if isinstance(field, str)]
    numbers = [field for field in fields if isinstance(field, int)]
    if len(texts) != 1 or len(texts) + len(numbers) != len(fields) or len(numbers) > 1:
        return 0, None
    if not numbers and len(item) == 1 and (own := _key_number(next(iter(item)))):
        return own, texts[0]
    return (numbers[0] if numbers else at), texts[0]
