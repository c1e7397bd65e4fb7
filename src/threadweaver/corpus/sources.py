"""A source of chains: its rows in order, how its columns are read, and its rows as samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from threadweaver.corpus.readers import SourceRow, dataset_name, read_rows
from threadweaver.corpus.reading import Contents, Reading, Trace
from threadweaver.corpus.schemas import NoChains, Unrecognized, recognize, recognize_problems
from threadweaver.corpus.thinking import FailedCut, cut
from threadweaver.errors import UserError, setting
from threadweaver.samples import Sample, read_sample

HEAD = 1000
"""Rows that decide how a source is read, and of which the table counts."""
_SAFE_NAME = re.compile(r"[\w][\w.\-]{0,150}", re.ASCII)  # a file name may have 255 characters
_IDS = ("id", "uuid", "name", "problem_id")


class UnreadableChain(ValueError):
    """A row in which the thinking cannot be separated; `reason` is a code of `corpus.thinking`."""

    def __init__(self, trace: Trace):
        self.reason = trace.fault
        super().__init__(f"no chain: {trace.fault}" + (f" ({trace.detail})" if trace.detail else ""))


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What is said about a source beyond its path; the commands' flags have the same names."""

    split: str | None = None
    subset: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    """Role → column, of `--map`."""
    problems: Path | None = None
    """For a folder of `.txt`: the dataset with their problems."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source. `head` are its first rows; `rest` continues after them and can be read once."""

    path: Path
    name: str
    reading: Reading
    head: tuple[SourceRow, ...]
    rest: Iterator[SourceRow]

    def rows(self, limit: int | None = None) -> Iterator[SourceRow]:
        """Yield the first `limit` rows; to be called once."""
        return islice(chain(self.head, self.rest), limit)


def open_source(path: Path, options: SourceOptions = SourceOptions()) -> Source:
    """Open a source and recognize its columns. Raises UserError when it holds no rows or cannot be recognized."""
    given = dict(options.given)
    if options.problems is not None:
        rows = _with_problems(path, options)
        given.setdefault("chain", "thinking")
    else:
        rows = read_rows(path, split=options.split, subset=options.subset)
    head = tuple(islice(rows, HEAD))
    read = [row.fields for row in head if row.fields is not None]
    if not head:
        raise UserError(f"{path} holds no rows: name another with {setting('--dataset_path', 'DATASET_PATH')}")
    if not read:
        raise UserError(f"{head[0].place}: {head[0].fault} (no row of the first {len(head)} can be read)")
    try:
        return Source(path, dataset_name(path), recognize(read, given), head, rows)
    except NoChains as error:
        raise UserError(f"{path} holds no chains: {error}") from None
    except ValueError as error:
        place = path if len(head) > 1 or isinstance(error, Unrecognized) else head[0].place
        raise UserError(f"{place}: {error}") from None


def _with_problems(path: Path, options: SourceOptions) -> Iterator[SourceRow]:
    """Yield the rows of `--problems` that have a chain in the folder: row i is that of `<i>.txt` or of `<id>.txt`.

    Raises UserError when a chain has no problem.
    """
    files = {file.stem: file for file in path.glob("*.txt")} if path.is_dir() else {}
    if not files:
        raise UserError(f"{path} is not a folder of .txt: --problems is for chains that are files of their own")
    numbered = all(name.isdecimal() for name in files)
    for row in read_rows(options.problems, split=options.split, subset=options.subset):
        if row.fields is None:
            raise UserError(f"{row.place}: {row.fault}")
        names = [str(row.index)] if numbered else [str(row.fields[key]) for key in _IDS if key in row.fields]
        if found := next((name for name in names if name in files), None):
            yield replace(row, fields={**row.fields, "thinking": read_sample(files.pop(found))})
    if files:
        how = "row of that number" if numbered else f"row with that {', '.join(_IDS[:-1])} or {_IDS[-1]}"
        raise UserError(f"{options.problems} has no {how} for {len(files)} chains of {path} (first: {min(files)}.txt)")


# ---- samples


def to_sample(row: SourceRow, dataset: str, reading: Reading | None = None) -> Sample:
    """Return the first sample in a row that its source does not mark wrong, or else the first.

    Raises ValueError saying what is missing or cannot be read, UnreadableChain where no chain can be separated.
    """
    contents = read_contents(row, reading)
    trace = first_of(contents.traces)
    if trace.fault:
        raise UnreadableChain(trace)
    return sample_of(row, contents, trace, dataset)


def problem_of(fields: Mapping) -> str:
    """Return the problem in a row of any set; empty if none is recognized."""
    try:
        return recognize_problems([fields]).problem(fields)
    except ValueError:
        return ""


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
        problem=problem_of({name: value for name, value in fields.items() if name != column}),
        thinking=thinking.strip("\n"),
        output=output,
    )


def read_contents(row: SourceRow, reading: Reading | None = None) -> Contents:
    """Return what a row holds; without a `reading` its own values alone decide. Raises ValueError."""
    if row.fields is None:
        raise ValueError(row.fault)
    try:
        return (reading or recognize([row.fields])).contents(row.fields)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a value cannot be read ({error})") from None


def first_of(traces: tuple[Trace, ...]) -> Trace:
    """Return the first chain that can be read and is not marked wrong, else the first that can be read, else the first."""
    readable = [trace for trace in traces if not trace.fault]
    unmarked = [trace for trace in readable if trace.mark is not False]
    return [*unmarked, *readable, *traces][0]


def sample_of(row: SourceRow, contents: Contents, trace: Trace, dataset: str) -> Sample:
    """Return a chain of a row as a sample.

    A uuid that does not end in the row's number `-<i>`, or cannot name a file, is kept as `source_uuid` and replaced by
    `<dataset>-<i>`.
    """
    given = row.fields.get("uuid")
    uuid, extra = f"{dataset}-{row.index}", {}
    if isinstance(given, str) and given.endswith(f"-{row.index}") and _SAFE_NAME.fullmatch(given):
        uuid = given
    elif given is not None:
        extra["source_uuid"] = str(given)
    if len(contents.traces) > 1:
        extra["trace"] = trace.number
    rest = {key: value for key, value in contents.extra.items() if key not in ("graded", "trace", *Sample.COLUMNS)}
    return Sample(
        index=row.index,
        uuid=uuid,
        problem=contents.problem,
        thinking=trace.thinking,
        output=trace.output,
        solution="" if contents.reference is None else contents.reference,
        correctness=trace.mark,
        extra=rest | extra,
    )
