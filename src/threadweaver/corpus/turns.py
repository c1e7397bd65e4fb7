"""Conversations in source rows: their turns, whatever the keys and roles are called, and the last exchange in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from threadweaver.corpus.thinking import Turn, read_turn

ROLE_KEYS = ("role", "from", "speaker")
TEXT_KEYS = ("content", "value", "text")
USER = {"user", "human", "prompter"}
ASSISTANT = {"assistant", "gpt", "model", "bot", "chatgpt", "ai"}
SYSTEM = {"system", "developer"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """The last assistant's turn, if there is one, the user's turn that it answers, and the system's turn."""

    question: Mapping | None
    answer: Mapping | None
    system: str = ""


def is_conversation(value: object) -> bool:
    """Whether a value is a list of turns, each with a role and a content."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and bool(value)
        and all(isinstance(turn, Mapping) and role_of(turn) and _has_content(turn) for turn in value)
    )


def role_of(turn: Mapping) -> str:
    """Return user, assistant, system or another role in lower case; "" where the turn has none."""
    given = next((turn[key] for key in ROLE_KEYS if isinstance(turn.get(key), str)), "").strip().lower()
    for role, names in (("user", USER), ("assistant", ASSISTANT), ("system", SYSTEM)):
        if given in names:
            return role
    return given


def last_exchange(turns: Sequence[Mapping]) -> Exchange:
    """Return the last assistant's turn with the user's turn before it; without one, the last user's turn alone."""
    answers = [number for number, turn in enumerate(turns) if role_of(turn) == "assistant"]
    end = answers[-1] if answers else len(turns)
    questions = [turn for turn in turns[:end] if role_of(turn) == "user"]
    systems = [turn for turn in turns if role_of(turn) == "system"]
    return Exchange(
        questions[-1] if questions else None,
        turns[answers[-1]] if answers else None,
        read_turn(systems[0]).text if systems else "",
    )


def question_text(turn: Mapping | None) -> str:
    """Return the text of the user's turn, "" where there is none.

    Raises ValueError when a part of it is an image or the like: the problem would not be whole.
    """
    read = read_turn(turn) if turn is not None else Turn("")
    if read.others:
        raise ValueError(f"the problem holds a part of type {read.others[0]}: only text can be used")
    return read.text


def reference_of(turns: Sequence[Mapping]) -> object:
    """Return the reference answer that some sets keep inside a turn (`info.reference_answer`), or None."""
    for turn in turns:
        info = turn.get("info")
        if isinstance(info, Mapping) and info.get("reference_answer") not in (None, ""):
            return info["reference_answer"]
    return None


def _has_content(turn: Mapping) -> bool:
    return any(key in turn for key in (*TEXT_KEYS, "reasoning_content", "thinking"))
