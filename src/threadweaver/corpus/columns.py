"""The columns of a source, seen through its first rows: the words of their names, and what their values are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from threadweaver.corpus.references import is_prose, mark
from threadweaver.corpus.thinking import Cut, FailedCut, Turn, cut, cut_turn, read_turn
from threadweaver.corpus.turns import is_conversation, last_exchange
from threadweaver.corpus.values import Path, leaves, path_text

_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+\d*|[A-Z]+(?![^\W\d_A-Z])\d*|\d+", re.UNICODE)
ABOUT = frozenset(
    "type types source sources id uuid idx index count rate len length tokens num model name reason reasons difficulty "
    "level style date language lang url hash template category domain tag tags author version generator mode split".split()
)
"""A column with one of these words is about something and not the thing: `problem_type`, `grade_reason`."""
_FLAGS = {"on", "off", "true", "false", "yes", "no", "none", "low", "medium", "high", "enabled", "disabled"}
_MOST_LABEL_CHARS = 40
STRAY_IN = 4
SHORTEST_CHAIN = 400
LONG_CHARS = 2000
"""Median length from which a column `solution` is a chain: worked solutions of people are shorter."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a field inside a struct; `values` are those of the first rows by row number, without nulls."""

    path: Path
    values: Mapping[int, object] = field(repr=False)

    @property
    def name(self) -> str:
        return path_text(self.path)

    @property
    def words(self) -> tuple[str, ...]:
        return words_of(str(self.path[-1]))

    @property
    def about(self) -> bool:
        return bool(ABOUT & set(self.words))

    def texts(self) -> list[str]:
        """Return all its texts; of a list of texts, every item."""
        return [text for value in self.values.values() for text in texts_of(value)]

    def talks(self) -> list[Sequence[Mapping]]:
        """Return all its conversations."""
        return [value for value in self.values.values() if isinstance(value, Sequence) and is_conversation(value)]

    @property
    def is_text(self) -> bool:
        """Whether its values are texts, but for a stray number or list: reading names the row that holds it."""
        return _but_for_strays(isinstance(value, str) for value in self.values.values())

    @property
    def is_texts(self) -> bool:
        """Whether its values are texts or lists of texts, but for strays."""
        return _but_for_strays(bool(texts_of(value)) or value == [] for value in self.values.values())

    @property
    def is_turns(self) -> bool:
        return _but_for_strays(is_conversation(value) for value in self.values.values())

    @property
    def is_label(self) -> bool:
        """Whether it holds a switch or a category: `reasoning: "on"`."""
        texts = [value.strip().lower() for value in self.values.values() if isinstance(value, str)]
        if len(texts) < len(self.values):
            return False
        few = len(texts) >= 10 and len(set(texts)) * 5 <= len(texts) and max(map(len, texts)) <= _MOST_LABEL_CHARS
        return few or set(texts) <= _FLAGS

    @property
    def is_prose(self) -> bool:
        """Whether most of its texts are sentences, not short answers."""
        texts = self.texts()
        return bool(texts) and sum(map(is_prose, texts)) * 2 > len(texts)

    @property
    def could_be_chain(self) -> bool:
        """Whether any of its texts, or what it holds beside texts, is as long as the shortest chains."""
        values = (value for value in self.values.values() if isinstance(value, str | list))
        return any(len(str(value)) >= SHORTEST_CHAIN for value in values if not is_conversation(value))

    @property
    def is_long(self) -> bool:
        texts = self.texts()
        return bool(texts) and median(map(len, texts)) > LONG_CHARS

    @property
    def is_marks(self) -> bool:
        """Whether all its values mark right or wrong, or lie between 0 and 1."""
        values = (item for value in self.values.values() for item in (value if isinstance(value, list) else [value]))
        return all(map(_is_mark, values))


def _but_for_strays(fits: Iterable[bool]) -> bool:
    """Whether at most one value in `STRAY_IN` does not fit."""
    found = list(fits)
    return found.count(False) * STRAY_IN <= len(found)


def _is_mark(value: object) -> bool:
    try:
        mark(value)
    except ValueError:
        return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1
    return True


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case: `groundTruth`, `ground_truth` and `ground-truth` are one."""
    return tuple(word.lower() for word in _WORD.findall(name))


def texts_of(value: object) -> list[str]:
    """Return a text, or the texts of a list, as a list; nothing for anything else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence) and not is_conversation(value):
        texts = [item for item in value if item is not None]
        return texts if all(isinstance(item, str) for item in texts) else []
    return []


def columns_of(rows: Iterable[Mapping]) -> list[Column]:
    """Return the columns in which any of the rows has a value, in their order."""
    found: dict[Path, dict[int, object]] = {}
    for number, row in enumerate(rows):
        for path, value in leaves(row):
            found.setdefault(path, {})[number] = value
    return [Column(path, values) for path, values in found.items()]


def cuts_of(value: object) -> list[str]:
    """Return the chains that a value holds in tags, channels, fields or parts: of a text, a list of texts, or turns."""
    found = (result[0].strip() for result in _cuts(value) if not isinstance(result, FailedCut))
    return [chain for chain in found if chain]


def tagged(value: object) -> bool:
    """Whether a value has thinking that is begun or closed, in whatever way."""
    return any(not isinstance(result, FailedCut) or result.reason != "no_think_tags" for result in _cuts(value))


def _cuts(value: object) -> list[Cut]:
    if not is_conversation(value):
        return [cut(text) for text in texts_of(value)]
    answer = last_exchange(value).answer
    try:
        return [cut_turn(answer)] if answer is not None else []
    except TypeError:
        return []


def said_by(turn: Mapping | None) -> Turn:
    """Return what a turn says; nothing for a turn that cannot be read."""
    try:
        return read_turn(turn) if turn is not None else Turn("")
    except TypeError:
        return Turn("")
