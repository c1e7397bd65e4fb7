"""Samples as collected, and the order in which the samples of a folder are read."""

from __future__ import annotations

import json
import pickle
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar

from threadweaver.errors import UserError
from threadweaver.files import parse_lines, read_text
from threadweaver.text import fault_in


class NoSamples(UserError):
    """A folder without the samples that were looked for."""


def read_sample(path: Path) -> str:
    """Return a sample's text: the file without the one final newline that writing added."""
    return read_text(path).removesuffix("\n")


def sample_key(name: str) -> tuple:
    """Return a sort key that orders the numbers in sample names by value: 2 before 10, `set-2` before `set-10`."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def list_samples(path: Path, pattern: str = "*.txt") -> list[Path]:
    """Return the samples of a folder in the order of their numbers, or `path` alone if it is a file.

    Raises UserError when there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} not found: run the stage before it, or name another --input")
    try:
        found = [file for file in path.glob(pattern) if file.is_file() and not file.name.startswith(".")]
    except (ValueError, NotImplementedError):
        raise UserError(f"{pattern!r} is not a pattern for files inside {path}: use one such as '*.txt'") from None
    if not found:
        raise NoSamples(f"{path} holds no samples ({pattern}): run the stage before it, or name another folder")
    return sorted(found, key=lambda file: sample_key(file.name))


MAX_NAME = 200
"""Bytes of a uuid: a file name may have 255, of which `_reasoning.txt` and the temporary name need some."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of `collected.jsonl`. `index` is its row in the source."""

    COLUMNS: ClassVar = ("uuid", "problem", "solution", "correctness", "thinking", "output")

    index: int
    uuid: str
    problem: str
    thinking: str
    solution: object = ""
    """The reference answer: a string, a number or a list of accepted answers."""
    correctness: bool | None = None
    output: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The sample's name in a run, and the stem of its files: `<i>`, or `<i>.<t>` for a further chain of a row."""
        further = f".{self.extra.get('trace')}"
        return f"{self.index}{further}" if self.uuid.endswith(f"-{self.index}{further}") else str(self.index)

    @classmethod
    def from_row(cls, row: Mapping, position: int) -> Sample:
        """Read a row that `to_row` wrote; `position` is the index when the uuid does not end in one.

        Raises KeyError or TypeError for any other row, ValueError when the uuid cannot name a file.
        """
        further = re.escape(f".{row['trace']}") if "trace" in row else ""
        match = re.search(rf"-(\d+)({further})?$", row["uuid"])
        if "/" in row["uuid"] or fault_in(row["uuid"]) or len(row["uuid"].encode()) > MAX_NAME:
            raise ValueError(f"the uuid {row['uuid']!r:.60} cannot name a file")
        if not isinstance(row.get("output", ""), str | None) or not isinstance(row.get("correctness"), bool | None):
            raise TypeError("output or correctness of another form")
        return cls(
            index=int(match.group(1)) if match else position,
            uuid=row["uuid"],
            problem=row["problem"] + "",
            thinking=row["thinking"] + "",
            solution=row.get("solution", ""),
            correctness=row.get("correctness"),
            output=row.get("output") or "",
            extra={key: value for key, value in row.items() if key not in cls.COLUMNS},
        )

    def to_row(self) -> dict:
        """Return the fields as one JSON object of `collected.jsonl`."""
        row = {"uuid": self.uuid, "problem": self.problem, "solution": self.solution}
        row |= {"correctness": self.correctness, "thinking": self.thinking, "output": self.output}
        return row | dict(self.extra)


class Spooled(Collection[Sample]):
    """Samples in a temporary file, added one by one, then read as often as they are asked for."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  as long as the samples
        self._count = 0

    def __del__(self) -> None:
        self._file.close()

    def append(self, sample: Sample) -> None:
        pickle.dump(sample, self._file, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        self._file.seek(0)
        for _ in range(self._count):
            yield pickle.load(self._file)

    def __contains__(self, sample: object) -> bool:
        return any(sample == other for other in self)


class Collected(Sequence[Sample]):
    """The samples of a `collected.jsonl` in order, read from the file when they are asked for.

    Only their names, and where each line begins, are in memory: a corpus may be larger than that.
    """

    def __init__(self, path: Path, places: Mapping[str, tuple[int, int, str]]):
        self.path, self.places = path, dict(places)
        """Name → offset of its line, its position among the samples, and its uuid."""
        self._names = list(self.places)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        return self.get(self._names[at])

    def __iter__(self) -> Iterator[Sample]:
        with open(self.path, "rb") as file:
            for offset, position, _ in self.places.values():
                yield sample_at(file, offset, position)

    def get(self, name: str) -> Sample | None:
        """Return the sample of this name, None if there is none."""
        if name not in self.places:
            return None
        offset, position, _ = self.places[name]
        with open(self.path, "rb") as file:
            return sample_at(file, offset, position)


def sample_at(file: IO[bytes], offset: int, position: int) -> Sample:
    """Return the sample whose line begins at this byte of a `collected.jsonl`."""
    file.seek(offset)
    try:
        return Sample.from_row(json.loads(file.readline()), position)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file.name} was changed while it was read: run the same command again") from None


def read_collected(path: Path) -> Collected:
    """Return the samples of a `collected.jsonl`, or of the one in folder `path`.

    Raises UserError at the first line that is not a sample, and for a uuid or name that appears twice.
    """
    if path.is_dir():
        path = path / "collected.jsonl"
    if not path.is_file():
        raise UserError(f"{path} not found: run src/collect_trajectories.py first, or name another --input")
    places: dict[str, tuple[int, int, str]] = {}
    seen: set[str] = set()
    offset = 0
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.strip():
                sample = _collected_sample(f"{path}, line {number}", raw, len(places))
                for what, value, held in (("uuid", sample.uuid, seen), ("index", sample.name, places)):
                    if value in held:
                        raise UserError(f"{path}: the {what} {value} appears twice: collect again")
                seen.add(sample.uuid)
                places[sample.name] = (offset, len(places), sample.uuid)
            offset += len(raw)
    return Collected(path, places)


def _collected_sample(place: str, raw: bytes, position: int) -> Sample:
    [(_, row, fault)] = parse_lines([raw])
    try:
        return Sample.from_row(row, position)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{place}: {fault or 'not a collected sample (uuid, problem and thinking are needed)'}"
        ) from None
