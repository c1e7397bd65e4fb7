"""Read the outputs of generation: a final JSON, a journal, or several splits of one run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from threadweaver.corpus.readers import begins_with, json_items
from threadweaver.errors import UserError
from threadweaver.files import parse_lines, read_json
from threadweaver.text import what_is_wrong

_SPLIT = re.compile(r"_split(\d+)_of_(\d+)$")
_KEYS = ("message_idx", "sample_idx", "result")


@dataclass(frozen=True, slots=True)
class Output:
    """One sampled text: `row` counts the rows of the parquet from 0, `sample` the samples of that problem."""

    row: int
    sample: int
    text: str | None
    """None where generation failed on the sample."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sample is: in a journal, the byte at which its line begins, and the problem that it names; in a final
    `.json`, its list and place."""

    path: Path
    offset: int
    item: int = 0


@dataclass(frozen=True, slots=True)
class Unread:
    """An output that any process can read: in a journal, the byte at which its line begins; else its text."""

    row: int
    sample: int
    text: str | None = None
    line: _Place | None = None

    def read(self) -> Output:
        if self.line is None:
            return Output(self.row, self.sample, self.text)
        with open(self.line.path, "rb") as file:
            file.seek(self.line.offset)
            [(_, record, fault)] = list(parse_lines([file.readline()])) or [(0, None, "blank")]
        said = f"{self.line.path} was changed while it was read: run again when it is written"
        if fault or _numbers(said, record) != (self.line.item, self.sample):
            raise UserError(said)
        return Output(self.row, self.sample, record["result"])


class Outputs:
    """Sampled texts in the order of rows, then samples, to be read from their files; in memory is only where they are."""

    def __init__(self, places: Mapping[tuple[int, int], _Place]):
        self._places = dict(sorted(places.items()))

    def __len__(self) -> int:
        return len(self._places)

    def rows(self) -> set[int]:
        """Return the problems that have a sample."""
        return {row for row, _ in self._places}

    def __iter__(self) -> Iterator[Unread]:
        with ExitStack() as stack:
            finals: dict[Path, _Final] = {}
            for (row, sample), place in self._places.items():
                if place.path.suffix == ".jsonl":
                    yield Unread(row, sample, line=place)
                    continue
                final = finals.get(place.path) or stack.enter_context(closing(_Final(place.path)))
                finals[place.path] = final
                yield Unread(row, sample, final.samples(place.offset)[place.item])


class _Final:
    """The lists of a final `.json`, asked for in their order; only one is in memory."""

    def __init__(self, path: Path):
        self._items, self._number, self._samples = json_items(path), -1, []

    def samples(self, number: int) -> list[str | None]:
        while self._number < number:
            self._number, self._samples = self._number + 1, next(self._items)
        return self._samples

    def close(self) -> None:
        self._items.close()


@dataclass(frozen=True, slots=True)
class Generated:
    base: str
    """The name of all files made from it: the file's stem with `/` and `-` turned into `_`."""
    outputs: Outputs
    """In the order of rows, then samples."""
    unreadable: tuple[str, ...] = ()
    """File and line of journal lines that are not JSON; a killed generation leaves one at the end."""
    missing: tuple[int, ...] = ()
    """Splits that were not given."""


def read_outputs(paths: Sequence[Path], rows: int) -> Generated:
    """Return the outputs of a final `.json`, of a journal (`.jsonl`), or of several splits of one run, for `rows` problems.

    Split i of k has the problems from row i * ceil(rows / k) and numbers them from 0. Of a sample that appears twice in a
    journal the first line counts. Raises UserError when a file is none of these or does not fit.
    """
    parts = _parts(paths)
    found: dict[tuple[int, int], _Place] = {}
    unreadable: list[str] = []
    for path, split in parts.items():
        number, of = split or (0, 1)
        size = -(-rows // of)
        start, end = min(number * size, rows), min((number + 1) * size, rows)
        for said, row, sample, place in _journal(path) if path.suffix == ".jsonl" else _final(path):
            if row is None:
                unreadable.append(said)
            elif not 0 <= row < end - start:
                of_split = f" for split {number} of {of}" if split else ""
                raise UserError(
                    f"{said} is of problem {row}, but the parquet has {end - start} rows{of_split}: "
                    "these outputs are of other problems"
                )
            else:
                found.setdefault((start + row, sample), place)
    if not found:
        raise UserError(f"{paths[0]} holds no outputs: generate first, or name another --dataset-json")
    missing = sorted(set(range(of)) - {split[0] for split in parts.values() if split}) if split else []
    return Generated(_base(parts), Outputs(found), tuple(unreadable), tuple(missing))


def _parts(paths: Sequence[Path]) -> dict[Path, tuple[int, int] | None]:
    """Return for each file which split it is (number, of how many), or None for a whole run."""
    parts: dict[Path, tuple[int, int] | None] = {}
    for path in paths:
        if not path.is_file():
            raise UserError(f"the outputs {path} were not found: generate first, or name another --dataset-json")
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


def _final(path: Path) -> Iterator[tuple[str, int, int, _Place]]:
    if begins_with(path) != b"[":
        raise UserError(
            f"{path} is a JSON {type(read_json(path)).__name__}, not a list of lists of texts (problems, samples)"
        )
    try:
        with closing(json_items(path)) as items:
            for row, samples in enumerate(items):
                if not isinstance(samples, list):
                    raise UserError(f"{path} is not a list of lists of texts: item {row} is a {type(samples).__name__}")
                for sample, text in enumerate(samples):
                    if not isinstance(text, str | None):
                        raise UserError(f"{path}: sample {sample} of item {row} is a {type(text).__name__}, not a text")
                    yield f"{path}, item {row}", row, sample, _Place(path, row, sample)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({what_is_wrong(error)}): remove it and run again") from None


def _journal(path: Path) -> Iterator[tuple[str, int | None, int, _Place]]:
    offset = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            begins, offset = offset, offset + len(line)
            for _, record, fault in parse_lines([line]):
                said = f"{path}, line {number}"
                row, sample = (None, 0) if fault else _numbers(said, record)
                yield said, row, sample, _Place(path, begins, row or 0)


def _numbers(said: str, record: object) -> tuple[int, int]:
    """Return the problem and the sample of a journal's line; raises UserError for another line."""
    if not isinstance(record, dict) or not all(key in record for key in _KEYS):
        raise UserError(f"{said} is not a line of a journal ({', '.join(_KEYS)} are needed)")
    row, sample, text = (record[key] for key in _KEYS)
    if type(row) is not int or type(sample) is not int or sample < 0 or not isinstance(text, str | None):
        raise UserError(f"{said}: two numbers from 0 and a text are needed ({', '.join(_KEYS)})")
    return row, sample
