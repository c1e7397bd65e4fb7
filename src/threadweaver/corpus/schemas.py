"""Turn a row of any known schema into a sample. No other module knows the fields of source datasets.

There are three schemas: collected (`problem`, `thinking`, …), processed Polaris (`question`, `response_reasoning`, …)
and chat (`messages`, with the thinking between think tags in the assistant's turn).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from threadweaver.corpus.readers import SourceRow
from threadweaver.corpus.thinking import TAGS, FailedCut, cut
from threadweaver.samples import Sample

_PROBLEM = ("problem", "question")
_THINKING = ("thinking", "response_reasoning", "reasoning")
_OUTPUT = ("output", "response_content", "response")
_SOLUTION = ("solution", "ground_truth", "answer", "gold")
_COLLECTED = {"thinking", "output", "solution", "correctness"}
_CORRECT = ("correctness", "correct", "is_correct")
_SAFE_NAME = re.compile(r"[\w][\w.\-]{0,150}", re.ASCII)  # a file name may have 255 characters


class AmbiguousThinking(ValueError):
    """A row that could be cut into thinking and answer in several places."""


def to_sample(row: SourceRow, dataset: str) -> Sample:
    """Return the sample in a row; raises ValueError saying what is missing or cannot be read.

    A uuid that does not end in the row's number `-<i>`, or cannot name a file, is kept as `source_uuid` and replaced by
    `<dataset>-<i>`.
    """
    if row.fields is None:
        raise ValueError(row.fault)
    fields = dict(row.fields)
    if "messages" in fields and not any(name in fields for name in _THINKING):
        fields |= _from_messages(fields.pop("messages"))
    problem, thinking = _take(fields, _PROBLEM), _take(fields, _THINKING)
    if isinstance(thinking, str) and thinking.lstrip().startswith(tuple(opening for opening, _ in TAGS)):
        thinking = _without_wrapper(thinking)
    if not isinstance(problem, str) or not problem.strip():
        raise ValueError(f"no problem (one of {', '.join(_PROBLEM)})")
    if not isinstance(thinking, str):
        raise ValueError(f"no chain (one of {', '.join(_THINKING)}, or messages with think tags)")
    reward = fields.get("reward_model")
    # our own rows keep the reference in `solution`; beside an answer, `solution` is how somebody worked it out
    names = _SOLUTION if row.fields.keys() >= _COLLECTED else sorted(_SOLUTION, key=lambda name: name == "solution")
    solution = _take(fields, names)
    if solution is None and isinstance(reward, Mapping):
        solution = reward.get("ground_truth")
    correctness = _truth(_take(fields, _CORRECT))
    given = fields.pop("uuid", None)
    uuid = f"{dataset}-{row.index}"
    if isinstance(given, str) and given.endswith(f"-{row.index}") and _SAFE_NAME.fullmatch(given):
        uuid = given
    elif given is not None:
        fields["source_uuid"] = str(given)
    return Sample(
        index=row.index,
        uuid=uuid,
        problem=problem,
        thinking=thinking,
        output=_take(fields, _OUTPUT) or "",
        solution="" if solution is None else solution,
        correctness=correctness,
        extra={key: value for key, value in fields.items() if _is_plain(value)},
    )


def problem_of(fields: Mapping) -> str:
    """Return the problem in a row of any set; empty if it has none."""
    return next((fields[name] for name in _PROBLEM if isinstance(fields.get(name), str)), "")


def from_column(row: SourceRow, dataset: str, column: str) -> Sample:
    """Return the sample of a row whose chain or trajectory is the text of one column, alone or in think tags.

    Of its other columns only a problem is read. Raises ValueError when there is no such text.
    """
    fields = row.fields or {}
    text = fields.get(column)
    if not isinstance(text, str):
        raise ValueError(row.fault or f"no text in the column {column!r}")
    found = cut(text)
    thinking, output = (text, "") if isinstance(found, FailedCut) else found
    return Sample(
        index=row.index,
        uuid=f"{dataset}-{row.index}",
        problem=problem_of(fields),
        thinking=thinking.strip("\n"),
        solution="",
        output=output,
        correctness=None,
    )


def _without_wrapper(thinking: str) -> str:
    """Return a chain without the think tags around the whole of it, if they are that."""
    found = cut(thinking)
    if isinstance(found, FailedCut) or found[1].strip():
        return thinking
    return found[0].removeprefix("\n").removesuffix("\n")


def _take(fields: dict, names: Sequence[str]) -> object:
    """Remove all of these fields from the row and return the first that is not None."""
    values = [fields.pop(name, None) for name in names]
    return next((value for value in values if value is not None), None)


def _truth(value: object) -> bool | None:
    """Return a mark of right or wrong; raises ValueError when the field is neither (bool("False") is True)."""
    if value is None or value != value:  # pandas writes a missing value as NaN
        return None
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"{value!r:.40} does not mark right or wrong ({', '.join(_CORRECT)})")


def _from_messages(messages: object) -> dict:
    """Return the last question, and the thinking and output of the last answer, as fields of a row.

    Raises AmbiguousThinking when an answer has think tags but not one place where the thinking ends.
    """
    try:
        user = next(turn["content"] for turn in reversed(messages) if turn["role"] == "user")
        assistant = next(turn["content"] for turn in reversed(messages) if turn["role"] == "assistant")
    except (StopIteration, TypeError, KeyError):
        return {}
    found = cut(assistant) if isinstance(assistant, str) else FailedCut("no_think_tags")
    if not isinstance(found, FailedCut):
        thinking, answer = found  # templates write one newline at either end of the thinking
        return {"problem": user, "thinking": thinking.removeprefix("\n").removesuffix("\n"), "output": answer.lstrip()}
    if found.detail:
        raise AmbiguousThinking(f"no chain: where the thinking of the last answer ends is ambiguous ({found.detail})")
    return {"problem": user}


def _is_plain(value: object) -> bool:
    """Return whether JSON can carry the value; null columns of a parquet are dropped."""
    if value is None:
        return False
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
