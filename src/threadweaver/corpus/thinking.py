"""Where the thinking of a model's output ends and its answer begins: think tags, cut, trim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

THINK_TAGS = ("<think>", "</think>")

Tags = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Loss:
    reason: str
    detail: str = ""


def cut(text: str, tags: Sequence[Tags] = (THINK_TAGS,)) -> tuple[str, str] | Loss:
    """Thinking and answer, without the blank lines around them.

    The opening tag may be missing: many templates write it into the prompt. Only where exactly one closing tag stands,
    and no opening tag but at the beginning, do all readers of the text (graders, servers, chat templates) agree on
    where the thinking ends; anything else is `ambiguous_cut`.
    """
    tags = tuple(dict.fromkeys(tags))
    ends = [(closing, opening) for opening, closing in tags for _ in range(text.count(closing))]
    begun = sum(text.count(opening) for opening, _ in tags)
    if not ends:
        return Loss("not_closed" if begun else "no_think_tags")
    closing, opening = ends[0]
    if len(ends) > 1:
        return Loss("ambiguous_cut", f"{len(ends)} closing tags")
    thinking, _, answer = text.partition(closing)
    if thinking.lstrip().startswith(opening):
        thinking, begun = thinking.lstrip().removeprefix(opening), begun - 1
    if begun:
        return Loss("ambiguous_cut", "an opening tag that is not at the beginning, or of another pair")
    return (trim(thinking), trim(answer)) if thinking.strip() else Loss("no_thinking")


def trim(text: str) -> str:
    """The text without blank lines at its beginning and end; other white space stays."""
    lines = text.split("\n")
    written = [at for at, line in enumerate(lines) if line.strip()]
    return "\n".join(lines[written[0] : written[-1] + 1]) if written else ""


def unwrap(answer: str, tags: Iterable[Tags]) -> str:
    """The answer without the tags that some models put around it (`<|begin_of_solution|>` …)."""
    for opening, closing in tags:
        if (bare := answer.strip()).startswith(opening):
            answer = trim(bare.removeprefix(opening).removesuffix(closing))
    return answer
