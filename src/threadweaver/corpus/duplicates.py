"""Near-duplicates of problems: the same words but for a few, and the same numbers.

Two problems that differ in a number are two problems, however alike their words are.
"""

from __future__ import annotations

import heapq
import itertools
import re
from array import array
from zlib import crc32

from threadweaver.corpus import chat

ALIKE = 0.8
"""Share of word pairs that two problems have in common from which on they are the same one."""
_SKETCH = 48
"""Smallest hashes that are kept of a problem; a problem of fewer word pairs is compared exactly."""
_BANDS = 6
_NUMBER = re.compile(r"\d+")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[=<>+*/^-]")


def normalized_problem(problem: str) -> str:
    """Return a problem without instruction, case, white space and punctuation: equal for two copies of a problem."""
    text = problem.replace(chat.INSTRUCTION, " ").lower()
    return "".join(char for char in text if char.isalnum() or char in "+-*/^=<>")


class Seen:
    """The problems met so far, each under the name of the first that had it; about 600 bytes per problem."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._sketches: list[tuple[str, array]] = []
        self._buckets: dict[int, list[int]] = {}

    def add(self, problem: str, name: str) -> str:
        """Return the name of the first problem that is this one, `name` if there is none before it."""
        same = hash(normalized_problem(problem))
        if same in self._names:
            return self._names[same]
        sketch, numbers = _sketch(problem), hash(tuple(_NUMBER.findall(problem)))
        keys = {hash((numbers, place, value)) for place, value in enumerate(sketch[:_BANDS])}
        for number in sorted({number for key in keys for number in self._buckets.get(key, ())}):
            first, other = self._sketches[number]
            if _alike(sketch, other) >= ALIKE:
                self._names[same] = first
                return first
        self._names[same] = name
        for key in keys:
            self._buckets.setdefault(key, []).append(len(self._sketches))
        self._sketches.append((name, sketch))
        return name


def _sketch(problem: str) -> array:
    """Return the smallest hashes of the problem's word pairs: two sets are as alike as their smallest hashes."""
    words = _TOKEN.findall(problem.replace(chat.INSTRUCTION, " ").lower())
    pairs = {crc32(f"{first} {second}".encode()) for first, second in itertools.pairwise(words)}
    return array("L", heapq.nsmallest(_SKETCH, pairs))


def _alike(first: array, second: array) -> float:
    """Return the estimated share of word pairs that two problems have in common."""
    smallest = heapq.nsmallest(_SKETCH, {*first, *second})
    return len(set(first) & set(second) & set(smallest)) / len(smallest) if smallest else 1.0
