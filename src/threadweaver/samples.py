"""Samples as collected, and the order in which the samples of a folder are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import read_jsonl, read_text
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
    """One row of `collected.jsonl`. `index` is its row in the source, and the number in its file names."""

    index: int
    uuid: str
    problem: str
    thinking: str
    solution: object = ""
    """The reference answer: a string, a number or a list of accepted answers."""
    correctness: bool | None = None
    output: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Mapping, position: int) -> Sample:
        """Read a row that `to_row` wrote; `position` is the index when the uuid does not end in one.

        Raises KeyError or TypeError for any other row, ValueError when the uuid cannot name a file.
        """
        known = {"uuid", "problem", "thinking", "solution", "correctness", "output"}
        match = re.search(r"-(\d+)$", row["uuid"])
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
            extra={key: value for key, value in row.items() if key not in known},
        )

    def to_row(self) -> dict:
        """Return the fields as one JSON object of `collected.jsonl`."""
        row = {"uuid": self.uuid, "problem": self.problem, "solution": self.solution}
        row |= {"correctness": self.correctness, "thinking": self.thinking, "output": self.output}
        return row | dict(self.extra)


def read_collected(path: Path) -> list[Sample]:
    """Return the samples of a `collected.jsonl`, or of the one in folder `path`.

    Raises UserError at the first line that is not a sample, and for a uuid or index that appears twice.
    """
    if path.is_dir():
        path = path / "collected.jsonl"
    if not path.is_file():
        raise UserError(f"{path} not found: run src/collect_trajectories.py first, or name another --input")
    samples = []
    for number, row, fault in read_jsonl(path):
        try:
            samples.append(Sample.from_row(row, len(samples)))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        except (KeyError, TypeError):
            raise UserError(
                f"{path}, line {number}: {fault or 'not a collected sample (uuid, problem and thinking are needed)'}"
            ) from None
    for name in ("uuid", "index"):
        (value, count), *_ = Counter(getattr(sample, name) for sample in samples).most_common(1) or [("", 0)]
        if count > 1:
            raise UserError(f"{path}: the {name} {value} appears twice: collect again")
    return samples
