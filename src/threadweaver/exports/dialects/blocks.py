"""The tree that every dialect is read into: text, and forks whose paths may hold forks of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_DEPTH = 20
"""Forks within forks; deeper texts are refused. Multiverse's own data go to two or three."""


@dataclass(frozen=True, slots=True)
class Path:
    """One branch of a fork; `plan` announces it. The text at its edges is trimmed."""

    parts: tuple[Part, ...]
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """A parallel block. `conclusion` is what the dialect writes inside it, or directly after it, to sum it up."""

    paths: tuple[Path, ...]
    conclusion: str | None = None


Part = str | Fork


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text. `answer` is what follows the thinking, with the white space in between, or None where no think
    tags surround the thinking."""

    parts: tuple[Part, ...]
    answer: str | None = None


def texts(parts: Iterable[Part]) -> Iterator[str]:
    """Yield every piece of text below these parts."""
    for part in parts:
        if isinstance(part, str):
            yield part
            continue
        for path in part.paths:
            yield from texts(path.parts)
            if path.plan is not None:
                yield path.plan
        if part.conclusion is not None:
            yield part.conclusion


def trimmed(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts without white space at the two edges and without empty texts."""
    kept = list(parts)
    if kept and isinstance(kept[0], str):
        kept[0] = kept[0].lstrip()
    if kept and isinstance(kept[-1], str):
        kept[-1] = kept[-1].rstrip()
    return tuple(part for part in kept if part != "")


def flatten(parts: Iterable[Part], lost: Counter[str]) -> list[Part]:
    """Return the parts with forks whose paths are text alone, two or more each; count in `lost` what that costs.

    A fork is split around every path that itself holds a fork: this path becomes sequential text with its inner forks,
    in its place, and the paths before and after it remain forks of their own if they are two or more. The order of the
    text never changes.
    """
    flat: list[Part] = []
    after_split = False
    for part in parts:
        pieces = [part] if isinstance(part, str) else _split(part, lost)
        split = pieces != [part]
        for piece in pieces:
            (_on_a_new_line if split or after_split else _append)(flat, piece)
            after_split = False
        after_split = split
    return flat


def _split(fork: Fork, lost: Counter[str]) -> list[Part]:
    pieces: list[Part] = []
    plain: list[Path] = []

    def in_sequence(path: Path) -> None:
        lost["paths put in sequence"] += 1
        lost["outlines dropped"] += path.plan is not None
        for piece in flatten(path.parts, lost):
            _on_a_new_line(pieces, piece)

    def close(conclusion: str | None = None) -> None:
        if len(plain) > 1:
            _on_a_new_line(pieces, Fork(tuple(plain), conclusion))
        else:
            for path in plain:
                in_sequence(path)
            if conclusion is not None:
                lost["conclusions as text"] += 1
                _on_a_new_line(pieces, conclusion)
        plain.clear()

    for path in fork.paths:
        if any(isinstance(part, Fork) for part in path.parts):
            close()
            in_sequence(path)
        else:
            plain.append(path)
    close(fork.conclusion)
    return pieces


def _append(parts: list[Part], part: Part) -> None:
    """Append a part; two texts in a row become one."""
    if isinstance(part, str) and parts and isinstance(parts[-1], str):
        parts[-1] += part
    else:
        parts.append(part)


def _on_a_new_line(parts: list[Part], part: Part) -> None:
    """Append a part that was apart from the one before it, which a newline keeps so."""
    if parts and not _ends_line(parts[-1]) and not _begins_line(part):
        _append(parts, "\n")
    _append(parts, part)


def _ends_line(part: Part) -> bool:
    return isinstance(part, str) and part.endswith("\n")


def _begins_line(part: Part) -> bool:
    return isinstance(part, str) and part.startswith("\n")


def depth(parts: Sequence[Part]) -> int:
    """Return how many forks are within one another: 0 for text alone."""
    forks = (part for part in parts if isinstance(part, Fork))
    return max((1 + max((depth(path.parts) for path in fork.paths), default=0) for fork in forks), default=0)
