"""Separate a model's thinking from its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

THINK_TAGS = ("<think>", "</think>")

Tags = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FailedCut:
    """Why an output has no thinking and answer: `no_think_tags`, `not_closed` or `ambiguous_cut`, which has a detail."""

    reason: str
    detail: str = ""


def cut(text: str, tags: Sequence[Tags] = (THINK_TAGS,)) -> tuple[str, str] | FailedCut:
    """Return thinking and answer as they are, white space included.

    The opening tag may be missing: many templates write it into the prompt. All readers of the text (graders, servers,
    chat templates) agree on where the thinking ends only if there is exactly one closing tag, and no opening tag except
    at the beginning; anything else is `ambiguous_cut`.
    """
    tags = tuple(dict.fromkeys(tags))
    ends = [(closing, opening) for opening, closing in tags for _ in range(text.count(closing))]
    begun = sum(text.count(opening) for opening, _ in tags)
    if not ends:
        return FailedCut("not_closed" if begun else "no_think_tags")
    closing, opening = ends[0]
    if len(ends) > 1:
        return FailedCut("ambiguous_cut", f"{len(ends)} closing tags")
    thinking, _, answer = text.partition(closing)
    if thinking.lstrip().startswith(opening):
        thinking, begun = thinking.lstrip().removeprefix(opening), begun - 1
    if begun:
        return FailedCut("ambiguous_cut", "an opening tag that is not at the beginning, or of another pair")
    return thinking, answer


def trim(text: str) -> str:
    """Return the text without blank lines at its beginning and end; other white space stays."""
    lines = text.split("\n")
    written = [at for at, line in enumerate(lines) if line.strip()]
    return "\n".join(lines[written[0] : written[-1] + 1]) if written else ""


def unwrap(answer: str, tags: Iterable[Tags]) -> str:
    """Return the answer without the tags that some models put around it (`<|begin_of_solution|>` …)."""
    for opening, closing in tags:
        if (bare := answer.strip()).startswith(opening):
            answer = trim(bare.removeprefix(opening).removesuffix(closing))
    return answer
