"""Problems to generate chains for: find, read and split a parquet in the Polaris schema."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.corpus.references import reference
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.corpus.values import plain
from threadweaver.errors import UserError
from threadweaver.files import sha256, to_json

POLARIS = "polaris-data-53K"
_POLARIS_SOURCE = (
    "it is stage1/polaris-data-53K.parquet of the POLARIS repository (md5 58e1e523f9946956f68055a374d43a46)"
)


@dataclass(frozen=True, slots=True)
class Problem:
    text: str
    """The user's turn of the prompt, unchanged."""
    reference: object = None
    """A string, a number or a list of accepted answers; None where the row has no reference answer."""


def read_problems(path: Path, *, references: bool = True) -> list[Problem]:
    """Return the problems of a parquet in the Polaris schema, in order.

    Without `references` only the column `prompt` is needed. Raises UserError when the file is not a parquet, lacks a
    column, or has rows with an empty prompt.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    if not path.is_file():
        raise UserError(f"the problems {path} were not found: name another parquet")
    try:
        with parquet.ParquetFile(path) as file:
            columns = _needed(path, file.schema_arrow, references)
            table = file.read(columns=columns)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} cannot be read as parquet ({str(error)[:120]})") from None
    rows = [_values(path, table, row) for row in range(table.num_rows)]
    try:
        problems = [Problem(_user_turn(row["prompt"]), _reference(row) if references else None) for row in rows]
    except ValueError as error:  # bytes that are not UTF-8, a type that no reference has
        raise UserError(f"{path}: {error}") from None
    if not problems:
        raise UserError(f"{path} holds no rows: name another parquet")
    empty = [index for index, problem in enumerate(problems) if not problem.text.strip()]
    if empty:
        count = f"column prompt; {len(empty)} such rows"
        raise UserError(f"{path}: row {empty[0]} has an empty prompt ({count}): remove them")
    return problems


def _values(path: Path, table, row: int) -> dict:
    try:
        return table.slice(row, 1).to_pylist()[0]
    except UnicodeDecodeError:
        raise UserError(f"{path}: row {row} holds text that is not UTF-8: remove it, or convert the file") from None


def _needed(path: Path, schema, references: bool) -> list[str]:
    import pyarrow

    if "prompt" not in schema.names:
        raise UserError(f"{path} has no column prompt: a parquet in the Polaris schema is needed")
    if not references:
        return ["prompt"]
    kind = schema.field("reward_model").type if "reward_model" in schema.names else pyarrow.null()
    if not pyarrow.types.is_struct(kind) or kind.get_field_index("ground_truth") < 0:
        raise UserError(f"{path} has no column reward_model.ground_truth: the reference answers are needed")
    return ["prompt", "reward_model"]


def _user_turn(prompt: object) -> str:
    if isinstance(prompt, str) and prompt.lstrip().startswith("[{"):  # a conversation that went through a CSV
        with contextlib.suppress(ValueError, RecursionError):
            prompt = json.loads(prompt)
    turns = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    said = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"]
    return said[-1] if said and isinstance(said[-1], str) else ""


def _reference(row: Mapping) -> object:
    """Return the ground truth, or None where it is empty or the NaN that data frames write for it."""
    return reference(plain((row["reward_model"] or {}).get("ground_truth"), ("reward_model", "ground_truth")))


def find_data(data_type: str, data: Path) -> tuple[Path, str]:
    """Return the parquet that `--data-type` means, and its name.

    `data_type` is a name in the folder `data`, a path, or a folder with val.parquet. Raises UserError.
    """
    given = Path(data_type).expanduser()
    for path in (given, data / given, data / f"{data_type}.parquet"):
        if path.is_dir() and (path / "val.parquet").is_file():
            return path / "val.parquet", path.resolve().name
        if path.is_file():
            return path, path.stem
    source = f" ({_POLARIS_SOURCE})" if given.name.removesuffix(".parquet") == POLARIS else ""
    raise UserError(
        f"no problems {data_type!r} found: there is neither {data / data_type}.parquet, nor a file or a folder with "
        f"val.parquet of that name{source}"
    )


def split_of(problems: list[Problem], total: int, current: int) -> tuple[int, list[Problem]]:
    """Return the first row and the problems of split `current` (from 0) of `total`.

    Each split has ceil(rows / total) rows, the last ones fewer. Raises UserError when the split is empty.
    """
    if not 0 <= current < total:
        raise UserError(
            f"--current-split {current} is not one of --total-splits {total}: splits count from 0 to {total - 1}"
        )
    size = -(-len(problems) // total)
    first = current * size
    if first >= len(problems):
        splits = -(-len(problems) // size)
        raise UserError(f"split {current} of {total} is empty: {len(problems)} problems make {splits} splits of {size}")
    return first, problems[first : first + size]


def fingerprint(problems: list[Problem]) -> str:
    """Return the SHA-256 of the problems and their references."""
    return sha256(to_json([[problem.text, problem.reference] for problem in problems]))


def system_prompt(tokenizer: Tokenizer) -> str | None:
    """Return what the chat template writes before the first question but not before a later one, or None.

    Training rows are question and answer only, so a system prompt would make the prompts differ from them.
    """
    marks = ("first-question", "an-answer", "second-question")
    turns = [{"role": role, "content": mark} for role, mark in zip(("user", "assistant", "user"), marks, strict=True)]
    first = tokenizer.chat(turns[:1]).partition(marks[0])[0].removeprefix(tokenizer.hf.bos_token or "")
    later = tokenizer.chat(turns).partition(marks[1])[2].partition(marks[2])[0]
    return None if later.endswith(first) else first
