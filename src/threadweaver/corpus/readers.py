"""Read the rows of a source dataset from files: JSON lines or arrays, parquet, arrow, CSV, or a folder of these."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from threadweaver.corpus import folders, hub
from threadweaver.errors import UserError, setting
from threadweaver.files import parse_lines

PACKED = (".gz", ".zst", ".xz")
KINDS = (".jsonl", ".json", ".parquet", ".arrow", ".csv", ".tsv")
_BATCH = 64
"""Rows of a parquet that are in memory at a time: generations of 32 chains a row are a megabyte each."""

Found = Iterator[tuple[str, Mapping | None, str]]
"""Place, fields and fault of rows."""


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
    if not path.exists() and not path.parent.is_dir() and (named := hub.parse(str(path))):
        return folders.safe_name(named.name.rpartition("/")[2])
    stem = _kind(path)[0] if path.is_file() else path.name
    if stem in ("train", "val", "test", "data", "collected", "chains"):
        stem = path.resolve().parent.name
    return folders.safe_name(stem)


def read_rows(
    path: Path, limit: int | None = None, split: str | None = None, subset: str | None = None
) -> Iterator[SourceRow]:
    """Yield the first `limit` rows of a file, of a folder of files, or of a dataset on the hub, in order.

    Of several splits one is read, `train` if nothing else is said. Raises UserError if `path` holds no dataset, or if
    it would have to be guessed which one.
    """
    for index, (place, fields, fault) in enumerate(_open(path, split, subset)):
        if limit is not None and index >= limit:
            return
        yield SourceRow(index, place, fields, fault)


def _open(path: Path, split: str | None, subset: str | None) -> Found:
    if path.is_dir():
        return _files(folders.files_of(path, split, subset))
    if path.is_file():
        return _file(path)
    if not path.parent.is_dir() and (named := hub.parse(str(path))):
        return hub.rows(named, split, subset)
    raise UserError(
        f"dataset {path} not found: name another with {setting('--dataset_path', 'DATASET_PATH')}, or try SRC_NAME=sample OFFLINE=1"
    )


def _kind(path: Path) -> tuple[str, str, str]:
    """Return the stem, the suffix and the packing of a file: `a.b`, `.jsonl`, `.gz`."""
    packing = path.suffix if path.suffix in PACKED else ""
    bare = Path(path.name.removesuffix(packing))
    return bare.stem, bare.suffix, packing


def is_dataset_file(path: Path) -> bool:
    return _kind(path)[1] in KINDS


def _files(paths: Iterable[Path]) -> Found:
    for path in paths:
        yield from _file(path)


def _file(path: Path) -> Found:
    _, kind, _ = _kind(path)
    if kind == ".parquet":
        return _parquet(path)
    if kind == ".arrow":
        return _arrow(path)
    if kind in (".csv", ".tsv"):
        return _unpacking(path, _table(path, "\t" if kind == ".tsv" else ","))
    if kind == ".json" and begins_with(path) == b"[":
        return _unpacking(path, _array(path))
    if kind in (".jsonl", ".json"):
        return _unpacking(path, _jsonl(path))
    raise UserError(
        f"{path} is not a dataset ({', '.join(KINDS)}, also with {', '.join(PACKED)}, or a folder of these): name "
        "another --dataset_path"
    )


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if its suffix says that it is packed."""
    packing = _kind(path)[2]
    if packing == ".zst":
        import pyarrow

        return io.BufferedReader(pyarrow.input_stream(str(path), compression="zstd"), 1 << 20)
    return {".gz": gzip.open, ".xz": lzma.open, "": open}[packing](path, "rb")


def _unpacking(path: Path, rows: Found) -> Found:
    """Pass rows on; what unpacking them raises becomes one line."""
    try:
        yield from rows
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UserError(f"{path} cannot be unpacked ({error}): it is cut off or damaged, copy it again") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(f"{path} cannot be unpacked ({error}): it is cut off or damaged, copy it again") from None


def begins_with(path: Path) -> bytes:
    """Return the first byte of a file that is not white space."""
    try:
        with open_unpacked(path) as file:
            return file.read(256).removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    except (EOFError, OSError, lzma.LZMAError):  # reading it names the fault
        return b""


def _jsonl(path: Path) -> Found:
    with open_unpacked(path) as file:
        for number, value, fault in parse_lines(file):
            fields = value if isinstance(value, dict) else None
            yield f"{path}, line {number}", fields, fault or ("" if fields else "not a JSON object")


def _array(path: Path) -> Found:
    """Read a JSON array item by item; only one is in memory."""
    with open_unpacked(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            for number, value in enumerate(_items(text)):
                fields = value if isinstance(value, dict) else None
                yield f"{path}, item {number}", fields, "" if fields else "not a JSON object"
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path} cannot be read as a JSON array ({getattr(error, 'msg', error)}): fix it, or give one object "
                "per line as a .jsonl"
            ) from None


def json_items(path: Path) -> Iterator[object]:
    """Yield the items of the JSON array in a file, one in memory at a time; raises ValueError."""
    with open_unpacked(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        yield from _items(text)


def _items(file: IO[str], size: int = 1 << 16) -> Iterator[object]:
    """Yield the items of the JSON array in a file; raises ValueError."""
    decoder, text = json.JSONDecoder(), file.read(size).lstrip()[1:]
    after = ""  # what has to precede the next item
    while True:
        text = text.lstrip()
        while not text and (more := file.read(size)):
            text = more.lstrip()
        if text[:1] == "]":
            if (text[1:] + file.read()).strip():
                raise ValueError("something follows the array")
            return
        if after and text[:1] != after:
            raise ValueError("a comma is missing between two items" if text else "the array is not closed")
        text = text.removeprefix(after).lstrip()
        value, text = _item(decoder, file, text, size)
        yield value
        after = ","


def _item(decoder: json.JSONDecoder, file: IO[str], text: str, size: int) -> tuple[object, str]:
    """Return the next item and the text after it, reading on while it is not whole."""
    while True:
        try:
            value, end = decoder.raw_decode(text)
            if end < len(text):
                return value, text[end:]
        except json.JSONDecodeError as error:
            if not (more := file.read(max(size, len(text)))):
                raise error from None
        else:
            if not (more := file.read(size)):
                return value, ""
        text = text.lstrip() + more


def _table(path: Path, delimiter: str) -> Found:
    csv.field_size_limit(sys.maxsize)
    with open_unpacked(path) as file:
        rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), delimiter=delimiter)
        place, row = path, -1
        try:
            header = next(rows, None)
            if not header:
                raise UserError(f"{path} holds no rows: name another with {setting('--dataset_path', 'DATASET_PATH')}")
            for row, values in enumerate(value for value in rows if value):
                place = f"{path}, row {row}"
                if len(values) > len(header):
                    yield place, None, f"{len(values)} fields, the header has {len(header)}"
                else:
                    yield place, {name: value for name, value in zip(header, values, strict=False) if value != ""}, ""
        except UnicodeDecodeError:
            raise UserError(f"{path} is not UTF-8 (after row {row}): convert it") from None
        except csv.Error as error:
            raise UserError(f"{path} cannot be read as a table ({error}, after row {row}): fix it") from None


def _parquet(path: Path) -> Found:
    import pyarrow
    import pyarrow.parquet as parquet

    row = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from _batch(path, batch, row)
                row += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{path} cannot be read as parquet ({' '.join(str(error).split())[:120]})") from None


def _arrow(path: Path) -> Found:
    import pyarrow

    row = 0
    try:
        with pyarrow.memory_map(str(path)) as file:
            try:
                batches = iter(pyarrow.ipc.open_stream(file))
            except pyarrow.ArrowInvalid:
                whole = pyarrow.ipc.open_file(file)
                batches = (whole.get_batch(number) for number in range(whole.num_record_batches))
            for batch in batches:
                for start in range(0, batch.num_rows, _BATCH):
                    yield from _batch(path, batch.slice(start, _BATCH), row + start)
                row += batch.num_rows
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} cannot be read as arrow ({' '.join(str(error).split())[:120]})") from None


def _batch(path: Path, batch, first: int) -> Found:
    """Yield the rows of a record batch; a row with text that is not UTF-8 has a fault that names its column."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        rows = [_one_row(batch, number) for number in range(batch.num_rows)]
    for number, fields in enumerate(rows, first):
        place = f"{path}, row {number}"
        if isinstance(fields, str):
            yield place, None, f"column {fields} is not UTF-8"
        else:
            yield place, fields, ""


def _one_row(batch, number: int) -> dict | str:
    """Return a row, or the name of its column that cannot be read."""
    fields = {}
    for name in batch.schema.names:
        try:
            fields[name] = batch.column(name)[number].as_py()
        except UnicodeDecodeError:
            return name
    return fields
