"""Detect benchmark problems by the word n-grams they share with a problem."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from threadweaver.corpus import chat
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.schemas import recognize_problems
from threadweaver.errors import UserError

NGRAM = 8
"""Words per n-gram, as in public decontaminations of mathematics data."""
SHARE = 0.5
"""A problem is contaminated when it contains this share of a benchmark problem's n-grams …"""
ENOUGH = 24
"""… or this many of them, whatever the share: a reworded half of a long problem. Stock phrases ("where m and n are
relatively prime positive integers") gave up to 9 between unrelated problems and 18 within one contest."""

_WORD = re.compile(r"[^\W\d_]+|\d+")

Words = Sequence[str]


def words(text: str) -> list[str]:
    """Return runs of letters and runs of digits in lower case, without LaTeX's backslashes, dollars and braces."""
    return _WORD.findall(text.lower())


def bare(problem: str, instruction: str = chat.INSTRUCTION) -> str:
    """Return the problem without the instruction, which all problems share."""
    return problem.replace(chat.INSTRUCTION, " ").replace(instruction or chat.INSTRUCTION, " ")


def problems_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield row number and problem of a dataset; raises UserError when it holds none."""
    rows = (row for row in read_rows(path) if row.fields is not None)
    head = list(islice(rows, 100))
    try:
        reading = recognize_problems([row.fields for row in head])
        for row in chain(head, rows):
            yield row.index, reading.problem(row.fields)
    except ValueError as error:
        raise UserError(f"the benchmark {path} cannot be used: {error}") from None


class Benchmarks:
    """An index of benchmark problems by their n-grams; a problem shorter than n words is one gram of its own length."""

    def __init__(self, problems: Iterable[tuple[str, str]], n: int = NGRAM):
        """`problems` are pairs of name and text."""
        self.n = n
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for name, text in problems:
            grams = set(self._grams(words(text)))
            for gram in grams:
                self._holders[gram].append(len(self._names))
            self._names.append(name)
            self._sizes.append(len(grams))
        self._lengths = sorted({len(gram) for gram in self._holders})

    @classmethod
    def of_files(cls, paths: Sequence[Path], n: int = NGRAM, instruction: str = chat.INSTRUCTION) -> Benchmarks:
        """Return the index of the problems in some datasets; raises UserError when one cannot be read."""
        return cls(
            (
                (f"{path.name}, row {number}", bare(problem, instruction))
                for path in paths
                for number, problem in problems_of(path)
            ),
            n,
        )

    def find(self, text: str) -> str | None:
        """Return the name of the benchmark problem that `text` overlaps with most, or None if it is clean."""
        listed = words(text)
        shared: Counter[int] = Counter()
        for length in self._lengths:
            # a benchmark problem of fewer than n words counts only if it is the whole text
            for gram in self._grams(listed) if length == self.n else [tuple(listed)]:
                shared.update(self._holders.get(gram, ()))
        hits = [(count / self._sizes[k], k) for k, count in shared.items() if self._enough(count, self._sizes[k])]
        return self._names[max(hits)[1]] if hits else None

    def _grams(self, listed: Words) -> set[tuple[str, ...]]:
        if len(listed) < self.n:
            return {tuple(listed)} if listed else set()
        return {tuple(listed[at : at + self.n]) for at in range(len(listed) - self.n + 1)}

    @staticmethod
    def _enough(count: int, size: int) -> bool:
        return count >= SHARE * size or count >= ENOUGH
