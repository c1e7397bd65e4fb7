"""Check that the running Python has the packages of a requirements file. Run by src/python.sh:

python -m threadweaver.runs.environment requirements.txt    prints what is missing and exits 3, else "complete"
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

_PIN = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?==([\w.]+)")


def missing(requirements: Path) -> list[str]:
    """Return the pins of a requirements file that this Python does not meet.

    A pin is met by its own version and by later ones of the same major version (of the same minor version while the
    major one is 0): these are compatible, and a user's environment rarely has exactly our versions.
    """
    return [f"{name} {pin}" for name, extras, pin in _pins(requirements) if not _is_met(name, extras, pin)]


def _pins(requirements: Path) -> Iterator[tuple[str, list[str], str]]:
    """Yield name, extras and version of each pin, including those of files named with `-r`."""
    for line in requirements.read_text().splitlines():
        if line.startswith("-r "):
            yield from _pins(requirements.parent / line[3:].strip())
        elif pin := _PIN.match(line):
            yield pin[1], pin[2].split(",") if pin[2] else [], pin[3]


def _is_met(name: str, extras: list[str], pin: str) -> bool:
    try:
        found = metadata.version(name)
        for extra in extras:
            for needed in metadata.requires(name) or []:
                if re.search(rf"extra *== *['\"]{extra}['\"]", needed):
                    metadata.version(re.match(r"[\w.-]+", needed)[0])
    except metadata.PackageNotFoundError:
        return False
    return _series(found) == _series(pin) and _numbers(found) >= _numbers(pin)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.match(r"[\d.]*", version)[0].split(".") if number]


def _series(version: str) -> list[int]:
    """Return the part of a version within which nothing incompatible changes: 3 of 3.54.0, 0.9 of 0.9.0."""
    numbers = _numbers(version)
    return numbers[: 1 + next((place for place, number in enumerate(numbers) if number), 0)]


if __name__ == "__main__":
    lacking = missing(Path(sys.argv[1]))
    if lacking:
        print(", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""))
        raise SystemExit(3)
    print("complete")  # what is no Python may also exit 0
