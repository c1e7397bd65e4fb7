"""Read the rows of a source dataset: JSON lines, parquet, arrow, or a folder of these."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import read_json, read_jsonl, read_text
from threadweaver.samples import sample_key


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the source. `fields` is None when it could not be read; `fault` says why."""

    index: int
    place: str
    """File and line, or file and row, for error messages."""
    fields: Mapping | None
    fault: str = ""


def dataset_name(path: Path) -> str:
    """Return the dataset's name for uuids: the file's stem, or the folder's name where the stem is a generic one."""
    stem = path.stem if path.is_file() else path.name
    if stem in ("train", "val", "test", "data", "collected", "chains"):
        stem = path.resolve().parent.name
    return re.sub(r"[^\w.\-]+", "_", stem) or "dataset"


def read_rows(path: Path, limit: int | None = None, split: str = "train") -> Iterator[SourceRow]:
    """Yield the first `limit` rows of a `.jsonl`, a parquet file, or a folder of parquet or arrow files, in order.

    Of a folder with several splits only `split` is read. Raises UserError if `path` holds no dataset.
    """
    for index, (place, fields, fault) in enumerate(_open(path, split)):
        if limit is not None and index >= limit:
            return
        yield SourceRow(index, place, fields, fault)


def _open(path: Path, split: str) -> Iterator[tuple[str, Mapping | None, str]]:
    if path.is_dir():
        return _folder(path, split)
    if not path.is_file():
        raise UserError(
            f"dataset {path} not found: name another with DATASET_PATH (--dataset_path), or try SRC_NAME=sample OFFLINE=1"
        )
    if path.suffix == ".json" and _is_array(path):
        return _array(path)
    if path.suffix in (".jsonl", ".json"):
        return _jsonl(path)
    if path.suffix == ".parquet":
        return _parquet([path])
    raise UserError(f"{path} is not a dataset (.jsonl, .parquet or a folder of these): name another --dataset_path")


def _folder(path: Path, split: str) -> Iterator[tuple[str, Mapping | None, str]]:
    if (path / "dataset_dict.json").is_file():
        splits = read_json(path / "dataset_dict.json")["splits"]
        path = path / (split if split in splits else splits[0])
    if (path / "collected.jsonl").is_file():  # next to the account, which is also a .jsonl
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
    raise UserError(
        f"{path} holds no dataset (parquet, arrow, or a single .jsonl): name another with DATASET_PATH (--dataset_path)"
    )


def _jsonl(path: Path) -> Iterator[tuple[str, Mapping | None, str]]:
    for number, value, fault in read_jsonl(path):
        fields = value if isinstance(value, dict) else None
        yield f"{path}, line {number}", fields, fault or ("" if fields else "not a JSON object")


def _is_array(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(256).lstrip()[:1] == b"["


def _array(path: Path) -> Iterator[tuple[str, Mapping | None, str]]:
    try:
        rows = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as a JSON array ({getattr(error, 'msg', error)}): fix it, or give one object per "
            "line as a .jsonl"
        ) from None
    for number, value in enumerate(rows):
        fields = value if isinstance(value, dict) else None
        yield f"{path}, item {number}", fields, "" if fields else "not a JSON object"


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
