"""What generation reads and leaves: problems in the Polaris schema, and the outputs sampled for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver import store
from threadweaver.errors import UserError

_SPLIT = re.compile(r"_split(\d+)_of_(\d+)$")
_KEYS = ("message_idx", "sample_idx", "result")


@dataclass(frozen=True, slots=True)
class Problem:
    text: str
    """The user's turn of the prompt, as it stands."""
    reference: object = None
    """A string, a number or a list of accepted answers; None where the row has none."""


@dataclass(frozen=True, slots=True)
class Output:
    """One sample: `row` counts the rows of the parquet from 0, `sample` the samples of that problem."""

    row: int
    sample: int
    text: str | None
    """None where generation gave up on the sample."""


@dataclass(frozen=True, slots=True)
class Generated:
    base: str
    """The name of all that is made from it: the file's stem with `/` and `-` turned into `_`."""
    outputs: tuple[Output, ...]
    """By row, then by sample."""
    unreadable: tuple[str, ...] = ()
    """File and line of journal lines that are no JSON, as a killed generation leaves one at the end."""
    missing: tuple[int, ...] = ()
    """Splits that were not given."""


# ---------------------------------------------------------------------------------------------------------------
# problems


def read_problems(path: Path, *, references: bool = True) -> list[Problem]:
    """The problems of a parquet in Polaris's schema, in order.

    Raises UserError when it is no parquet, lacks a column (named), or has rows with an empty prompt. Without
    `references` only the column `prompt` is needed.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    if not path.is_file():
        raise UserError(f"the problems {path} are not there: name another parquet")
    try:
        with parquet.ParquetFile(path) as file:
            columns = _needed(path, file.schema_arrow, references)
            rows = file.read(columns=columns).to_pylist()
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} cannot be read as parquet ({str(error)[:120]})") from None
    problems = [Problem(_user_turn(row["prompt"]), _reference(row) if references else None) for row in rows]
    if not problems:
        raise UserError(f"{path} holds no rows: name another parquet")
    empty = [index for index, problem in enumerate(problems) if not problem.text.strip()]
    if empty:
        count = f"column prompt; {len(empty)} such rows"
        raise UserError(f"{path}: row {empty[0]} has an empty prompt ({count}): remove them")
    return problems


def _needed(path: Path, schema, references: bool) -> list[str]:
    import pyarrow

    if "prompt" not in schema.names:
        raise UserError(f"{path} has no column prompt: a parquet in Polaris's schema is needed")
    if not references:
        return ["prompt"]
    kind = schema.field("reward_model").type if "reward_model" in schema.names else pyarrow.null()
    if not pyarrow.types.is_struct(kind) or kind.get_field_index("ground_truth") < 0:
        raise UserError(f"{path} has no column reward_model.ground_truth: the reference answers are needed")
    return ["prompt", "reward_model"]


def _user_turn(prompt: object) -> str:
    turns = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    said = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"]
    return said[-1] if said and isinstance(said[-1], str) else ""


def _reference(row: Mapping) -> object:
    """The ground truth; an empty one, or the NaN that data frames write for it, is none."""
    value = (row["reward_model"] or {}).get("ground_truth")
    if isinstance(value, list):
        value = [item for item in value if not _blank(item)]
    return None if _blank(value) else value


def _blank(value: object) -> bool:
    return value is None or value == [] or value != value or (isinstance(value, str) and not value.strip())


# ---------------------------------------------------------------------------------------------------------------
# outputs


def read_outputs(paths: Sequence[Path], rows: int) -> Generated:
    """The outputs of a final `.json`, of a journal (`.jsonl`), or of several splits of one run, for `rows` problems.

    Split i of k holds the problems from row i * ceil(rows / k) on and numbers them from 0. A sample that stands twice
    in a journal counts once, as it was written first. Raises UserError when a file is none of these or does not fit.
    """
    parts = _parts(paths)
    found: dict[tuple[int, int], Output] = {}
    unreadable: list[str] = []
    for path, split in parts.items():
        number, of = split or (0, 1)
        size = -(-rows // of)
        start, end = min(number * size, rows), min((number + 1) * size, rows)
        for place, row, sample, text in _journal(path) if path.suffix == ".jsonl" else _final(path):
            if row is None:
                unreadable.append(place)
            elif not 0 <= row < end - start:
                raise UserError(
                    f"{place} is of problem {row}, but the parquet has {end - start} rows"
                    f"{f' for split {number} of {of}' if split else ''}: these outputs are of other problems"
                )
            else:
                found.setdefault((start + row, sample), Output(start + row, sample, text))
    if not found:
        raise UserError(f"{paths[0]} holds no outputs: generate first, or name another --dataset-json")
    missing = sorted(set(range(of)) - {split[0] for split in parts.values() if split}) if split else []
    return Generated(_base(parts), tuple(found[key] for key in sorted(found)), tuple(unreadable), tuple(missing))


def _parts(paths: Sequence[Path]) -> dict[Path, tuple[int, int] | None]:
    """Each file and which split it is (number, of how many); None for a whole run."""
    parts: dict[Path, tuple[int, int] | None] = {}
    for path in paths:
        if not path.is_file():
            raise UserError(f"the outputs {path} are not there: generate first, or name another --dataset-json")
        match = _SPLIT.search(path.stem)
        parts[path] = (int(match[1]), int(match[2])) if match else None
        if match and not 0 <= int(match[1]) < int(match[2]):
            raise UserError(f"{path} is named as split {match[1]} of {match[2]}: splits count from 0")
    if len(paths) > 1:
        if None in parts.values() or len({(_stem(path), split[1]) for path, split in parts.items()}) > 1:
            raise UserError("several files for --dataset-json have to be splits of one run: <name>_split<i>_of_<k>")
        if len(set(parts.values())) < len(paths):
            raise UserError("a split is given twice to --dataset-json: name its .json or its .jsonl, not both")
    return parts


def _stem(path: Path) -> str:
    return _SPLIT.sub("", path.stem)


def _base(parts: Mapping[Path, object]) -> str:
    first = next(iter(parts))
    return re.sub(r"[-/]", "_", first.stem if len(parts) == 1 else _stem(first))


def _final(path: Path) -> Iterator[tuple[str, int, int, str | None]]:
    value = store.read_json(path)
    if not isinstance(value, list):
        raise UserError(f"{path} is no list of lists of texts (problems, samples) but a JSON {type(value).__name__}")
    for row, samples in enumerate(value):
        if not isinstance(samples, list):
            raise UserError(f"{path} is no list of lists of texts: item {row} is a {type(samples).__name__}")
        for sample, text in enumerate(samples):
            if not isinstance(text, str | None):
                raise UserError(f"{path}: sample {sample} of item {row} is a {type(text).__name__}, not a text")
            yield f"{path}, item {row}", row, sample, text


def _journal(path: Path) -> Iterator[tuple[str, int | None, int, str | None]]:
    for number, record, fault in store.read_jsonl(path):
        place = f"{path}, line {number}"
        if fault:
            yield place, None, 0, None
            continue
        if not isinstance(record, dict) or not all(key in record for key in _KEYS):
            raise UserError(f"{place} is no line of a journal ({', '.join(_KEYS)} are needed)")
        row, sample, text = (record[key] for key in _KEYS)
        if type(row) is not int or type(sample) is not int or sample < 0 or not isinstance(text, str | None):
            raise UserError(f"{place}: two numbers from 0 on and a text are needed ({', '.join(_KEYS)})")
        yield place, row, sample, text
