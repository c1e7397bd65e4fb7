"""Separate a model's thinking from its answer, in every convention in which models and datasets write it.

The thinking is in tags (`TAGS`), in the channels of harmony (gpt-oss), in a field beside the content of a turn, or in
parts of the content. `cut` and `cut_turn` are strict: they are for chains, of which nothing may be guessed.
`after_thinking` is lenient: it is for a reply of which only what follows the thinking counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Tags = tuple[str, str]

TAGS: tuple[Tags, ...] = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<reasoning>", "</reasoning>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
ANSWER_TAGS: tuple[Tags, ...] = (
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<answer>", "</answer>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)

_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_BARE_ANALYSIS, _BARE_FINAL = "analysis", "assistantfinal"
"""What is left of harmony where a server decodes without its special tokens."""
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "think_content")
_CONTENT_FIELDS = ("content", "value", "text")
_THINKING_PARTS = {"thinking", "reasoning", "think", "reasoning.text", "reasoning_text", "summary_text"}
_TEXT_PARTS = {"text", "output_text", "input_text", ""}


@dataclass(frozen=True, slots=True)
class FailedCut:
    """Why an output has no thinking and answer: `no_think_tags`, `not_closed` or `ambiguous_cut`, which has a detail."""

    reason: str
    detail: str = ""


Cut = tuple[str, str] | FailedCut
"""Thinking and answer, or why there are none."""


# ---- texts


def cut(text: str, tags: Sequence[Tags] = TAGS) -> Cut:
    """Return thinking and answer as they are, white space included.

    The opening tag may be missing: many templates write it into the prompt. All readers of the text (graders, servers,
    chat templates) agree on where the thinking ends only if there is exactly one closing tag, and no opening tag except
    at the beginning; anything else is `ambiguous_cut`.
    """
    if channels := _channels(text):
        return _cut_channels(channels)
    if text.startswith(_BARE_ANALYSIS) and text.count(_BARE_FINAL) == 1:
        thinking, _, answer = text.removeprefix(_BARE_ANALYSIS).partition(_BARE_FINAL)
        return thinking, answer
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


def after_thinking(text: str, tags: Sequence[Tags] = TAGS) -> str | None:
    """Return what is not thinking: the whole text where there is none, None where the thinking never ends.

    Blocks are removed wherever they are; what precedes a closing tag without an opening one is thinking, too.
    """
    if channels := _channels(text):
        final = [content for name, content in channels if name == "final"]
        return "".join(final) if final else None
    if text.startswith(_BARE_ANALYSIS):
        text = text.rpartition(_BARE_FINAL)[2]
    for opening, closing in tags:
        if closing not in text and opening not in text:
            continue
        *closed, rest = text.split(closing)
        visible: list[str] = []
        for piece in closed:
            head, opened, _ = piece.partition(opening)
            if opened:
                visible.append(head)
            else:
                visible.clear()
        text = "".join([*visible, rest])
        if opening in text:
            text = text.partition(opening)[0]
            if not text.strip():
                return None
    return text


def answer_part(text: str) -> str:
    """Return what follows the thinking of an output, or all of it where the thinking has no end."""
    reply = after_thinking(text)
    return text if reply is None else reply


def opened_by(prompt: str) -> str:
    """Return the opening tag, with white space after it, that a chat template has written at the end of a prompt: it
    belongs to the turn that follows. Empty if there is none."""
    bare = prompt.rstrip()
    opening = next((opening for opening, _ in TAGS if bare.endswith(opening)), "")
    return prompt[len(bare) - len(opening) :] if opening else ""


def after_opening(text: str) -> str:
    """Return a text whose thinking is not closed without the opening tag at its beginning."""
    bare = text.lstrip()
    opening = next((opening for opening, _ in TAGS if bare.startswith(opening)), "")
    return bare.removeprefix(opening) if opening else text


def _channels(text: str) -> list[tuple[str, str]]:
    """Return name and content of the channels of a text in the harmony format; empty for any other text."""
    if "<|channel|>" not in text or "<|message|>" not in text:
        return []
    return [(found[1], found[2]) for found in _CHANNEL.finditer(text)]


def _cut_channels(channels: Sequence[tuple[str, str]]) -> Cut:
    final = [content for name, content in channels if name == "final"]
    if not final:
        return FailedCut("not_closed")
    if len(final) > 1:
        return FailedCut("ambiguous_cut", f"{len(final)} final messages")
    if others := {name for name, _ in channels} - {"analysis", "final"}:
        return FailedCut("ambiguous_cut", f"a message in channel {min(others)}: a tool was called")
    return "\n\n".join(content for name, content in channels if name == "analysis"), final[0]


# ---- turns


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn says: its text, the thinking that is kept beside it, and the types of parts that are neither."""

    text: str
    thinking: str = ""
    others: tuple[str, ...] = ()


def read_turn(turn: Mapping) -> Turn:
    """Return what a turn says; its content may be a text, null, or a list of parts.

    Raises TypeError when the content is anything else.
    """
    content = next((turn[name] for name in _CONTENT_FIELDS if turn.get(name) is not None), None)
    parts = list(_parts(content))
    info = turn.get("info")
    beside = [*(turn.get(name) for name in THINKING_FIELDS), turn.get("reasoning_details")]
    beside += [info.get("think_content")] if isinstance(info, Mapping) else []
    fields = [found for value in beside if (found := _thinking_of(value)).strip()]
    inside = "".join(text for kind, text in parts if kind == "thinking")
    return Turn(
        "".join(text for kind, text in parts if kind == "text"),
        fields[0] if fields else inside,
        tuple(kind for kind, _ in parts if kind not in ("text", "thinking")),
    )


def cut_turn(turn: Mapping, tags: Sequence[Tags] = TAGS) -> Cut:
    """Return thinking and answer of an assistant's turn, from tags, fields or parts.

    Thinking in a field that differs from the one in the content is `ambiguous_cut`. Raises TypeError like `read_turn`.
    """
    read = read_turn(turn)
    inside = cut(read.text, tags)
    if not read.thinking.strip():
        return inside
    if isinstance(inside, FailedCut):
        return (read.thinking, read.text) if inside.reason == "no_think_tags" else inside
    if inside[0].strip() and inside[0].strip() != read.thinking.strip():
        return FailedCut("ambiguous_cut", "the thinking in the content differs from the one beside it")
    return read.thinking, inside[1]


def _parts(content: object) -> Iterator[tuple[str, str]]:
    """Yield the kind ("text", "thinking", or the type of another part) and the text of each part."""
    if content is None:
        return
    if isinstance(content, str):
        yield "text", content
        return
    if not isinstance(content, Sequence | Mapping) or isinstance(content, bytes):
        raise TypeError(f"the content of a turn is of type {type(content).__name__}")
    for part in [content] if isinstance(content, Mapping) else content:
        if isinstance(part, str):
            yield "text", part
        elif not isinstance(part, Mapping):
            raise TypeError(f"a part of a turn is of type {type(part).__name__}")
        elif (kind := str(part.get("type") or "")) in _THINKING_PARTS:
            yield "thinking", _thinking_of(part)
        elif kind in _TEXT_PARTS:
            yield "text", "".join(text for _, text in _parts(part.get("text")))
        else:
            yield kind, ""


def _thinking_of(value: object) -> str:
    """Return the text of a thinking field: a text, a part, or a list of parts; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return next(
            (text for name in ("thinking", "text", "content", "summary") if (text := _thinking_of(value.get(name)))), ""
        )
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return "".join(map(_thinking_of, value))
    return ""


# ---- edges


def trim(text: str) -> str:
    """Return the text without blank lines at its beginning and end; other white space stays."""
    begin, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if begin >= end:
        return ""
    first, last = text.rfind("\n", 0, begin), text.find("\n", end)
    return text[first + 1 : last if last >= 0 else len(text)]


def unwrap(answer: str, tags: Iterable[Tags] = ANSWER_TAGS) -> str:
    """Return the answer without the tags that some models put around the whole of it (`<|begin_of_solution|>` …).

    The closing tag may be missing (a reply that was cut off); a pair around a part only stays.
    """
    for opening, closing in tags:
        if answer.lstrip().startswith(opening):
            bare = answer.strip()
            inside = bare.removeprefix(opening).removesuffix(closing)
            if opening not in inside and closing not in inside:
                answer = trim(inside)
    return answer
