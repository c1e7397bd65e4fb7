"""Rows of a source dataset, whatever it is kept in, as samples: the one place that knows the fields of others.

A row is known in three forms: collected (`problem`, `thinking`, …), processed Polaris (`question`,
`response_reasoning`, …) and chat (`messages`, the thinking between think tags in the assistant's turn).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.dependencies import DEGENERATE_SHARE, looping
from threadweaver.errors import UserError
from threadweaver.markup import reserved_tag
from threadweaver.store import Sample, read_json, read_jsonl, sample_key, to_json

MIN_CHARS = 400
"""A shorter chain is `too_short`: two threads of it could not save the 200 characters a block has to."""

_PROBLEM = ("problem", "question")
_THINKING = ("thinking", "response_reasoning", "reasoning")
_OUTPUT = ("output", "response_content", "response")
_SOLUTION = ("solution", "ground_truth", "answer", "gold")
_CORRECT = ("correctness", "correct", "is_correct")
_SAFE_NAME = re.compile(r"[\w][\w.\-]{0,150}", re.ASCII)  # of 255 characters that a file name may have
_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half of a character, from an escape that was cut: no file, tokenizer or parquet can hold it."""
_THINK = re.compile(r"\A\s*<think>\n?(.*?)\n?</think>\s*(.*)\Z", re.S)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the source; `fields` is None when it could not be read, and `fault` says why."""

    index: int
    place: str
    """File and line, or file and row: what an error message names."""
    fields: Mapping | None
    fault: str = ""


def name_of(path: Path) -> str:
    """The dataset's name, for uuids: the file's stem, or its folder's where the stem says nothing."""
    stem = path.stem if path.is_file() else path.name
    if stem in ("train", "val", "test", "data", "collected", "chains"):
        stem = path.resolve().parent.name
    return re.sub(r"[^\w.\-]+", "_", stem) or "dataset"


def read_rows(path: Path, limit: int | None = None, split: str = "train") -> Iterator[Row]:
    """The first `limit` rows of a `.jsonl`, a parquet file, or a folder of parquet or arrow files, in order; of a
    folder that holds several splits, those of `split`."""
    for index, (place, fields, fault) in enumerate(_open(path, split)):
        if limit is not None and index >= limit:
            return
        yield Row(index, place, fields, fault)


def _open(path: Path, split: str) -> Iterator[tuple[str, Mapping | None, str]]:
    if path.is_dir():
        return _folder(path, split)
    if not path.is_file():
        raise UserError(f"the dataset {path} is not there: name another with --dataset_path (DATASET_PATH)")
    if path.suffix in (".jsonl", ".json"):
        return _jsonl(path)
    if path.suffix == ".parquet":
        return _parquet([path])
    raise UserError(f"{path} is no .jsonl, no .parquet and no dataset folder")


def _folder(path: Path, split: str) -> Iterator[tuple[str, Mapping | None, str]]:
    if (path / "dataset_dict.json").is_file():
        splits = read_json(path / "dataset_dict.json")["splits"]
        path = path / (split if split in splits else splits[0])
    if (path / "collected.jsonl").is_file():  # beside the account, which is a .jsonl too
        return _jsonl(path / "collected.jsonl")
    if (path / "state.json").is_file():
        return _arrow(path)
    files = sorted(path.rglob("*.parquet"), key=lambda file: sample_key(str(file)))
    if of_split := [file for file in files if split in str(file.relative_to(path))]:
        files = of_split
    if files:
        return _parquet(files)
    lists = sorted(path.glob("*.jsonl"))
    if len(lists) == 1:
        return _jsonl(lists[0])
    raise UserError(f"{path} holds no dataset (parquet, arrow, or a single .jsonl): name another with --dataset_path")


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping | None, str]]:
    for number, value, fault in read_jsonl(path):
        fields = value if isinstance(value, dict) else None
        yield f"{path}, line {number}", fields, fault or ("" if fields else "not a JSON object")


def _parquet(files: list[Path]) -> Iterator[tuple[str, Mapping | None, str]]:
    import pyarrow
    import pyarrow.parquet as parquet

    for path in files:
        try:
            file, row = parquet.ParquetFile(path), 0
            for batch in file.iter_batches(batch_size=256):
                for fields in batch.to_pylist():
                    yield f"{path}, row {row}", fields, ""
                    row += 1
        except pyarrow.ArrowException as error:
            raise UserError(f"{path} cannot be read as parquet ({str(error)[:120]})") from None


def _arrow(path: Path) -> Iterator[tuple[str, Mapping | None, str]]:
    from datasets import load_from_disk

    for row, fields in enumerate(load_from_disk(str(path))):
        yield f"{path}, row {row}", fields, ""


def to_sample(row: Row, dataset: str) -> Sample:
    """The sample a row holds. Raises ValueError saying what is missing.

    `<i>` is the row's number in the source. A uuid that does not end in it, or cannot name a file, is kept as
    `source_uuid` and replaced by `<dataset>-<i>`.
    """
    if row.fields is None:
        raise ValueError(row.fault)
    fields = dict(row.fields)
    if "messages" in fields and not any(name in fields for name in _THINKING):
        fields |= _from_messages(fields.pop("messages"))
    problem, thinking = _take(fields, _PROBLEM), _take(fields, _THINKING)
    if not isinstance(problem, str) or not problem.strip():
        raise ValueError(f"no problem (one of {', '.join(_PROBLEM)})")
    if not isinstance(thinking, str):
        raise ValueError(f"no chain (one of {', '.join(_THINKING)}, or messages)")
    reward = fields.get("reward_model")
    solution = _take(fields, _SOLUTION)
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


def unfit(sample: Sample, *, keep_wrong: bool) -> str | None:
    """The code of why a chain is not collected, or None."""
    if sample.correctness is False and not keep_wrong:
        return "wrong"
    if _SURROGATE.search(to_json([sample.thinking, sample.problem, sample.output, sample.solution])):
        return "broken_unicode"
    if reserved_tag(sample.thinking) or any(
        reserved_tag(text, think=False) for text in (sample.problem, sample.output)
    ):
        return "contains_markup"
    if len(sample.thinking.strip()) < MIN_CHARS:
        return "too_short"
    if looping(sample.thinking) >= DEGENERATE_SHARE:
        return "looping"
    return None


def _take(fields: dict, names: tuple[str, ...]) -> object:
    """The first of these fields that holds something; all of them are taken out of the row."""
    values = [fields.pop(name, None) for name in names]
    return next((value for value in values if value is not None), None)


def _truth(value: object) -> bool | None:
    """A mark of right or wrong; raises ValueError when the field says neither (bool("False") is True)."""
    if value is None or value != value:  # pandas writes a missing one as NaN
        return None
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"{value!r:.40} is no mark of right or wrong ({', '.join(_CORRECT)})")


def _from_messages(messages: object) -> dict:
    try:
        user = next(turn["content"] for turn in reversed(messages) if turn["role"] == "user")
        assistant = next(turn["content"] for turn in reversed(messages) if turn["role"] == "assistant")
        match = _THINK.match(assistant)
    except (StopIteration, TypeError, KeyError):
        return {}
    return {"problem": user, "thinking": match.group(1), "output": match.group(2)} if match else {"problem": user}


def _is_plain(value: object) -> bool:
    """What JSON can carry; null columns of a parquet are dropped."""
    if value is None:
        return False
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
