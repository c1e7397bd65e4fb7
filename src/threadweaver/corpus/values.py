"""The values of source rows: where they are (`messages[0].content`), and as plain text, numbers, lists and structs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from threadweaver.text import parse_json, shown

Path = tuple[str | int, ...]
"""Where a value is in a row: keys of structs, and positions in lists."""

_STEP = re.compile(r"\[(-?\d+)\]|\.?([^.\[\]]+)")
_MOST_DEPTH = 4
_SHORT = 300
_KINDS = {
    "list": "a list",
    "dict": "a struct",
    "bool": "a truth value",
    "int": "a number",
    "float": "a number",
    "str": "a text",
}


class OddValue(ValueError):
    """A value that cannot be what is expected in its place; the text names the column."""


def parse_path(text: str, columns: Sequence[str] = ()) -> Path:
    """Return the path in `a.b[0].c`; a column whose own name has dots or brackets is taken whole.

    Raises ValueError when it is not a path.
    """
    if text in columns:
        return (text,)
    steps = list(_STEP.finditer(text))
    if not steps or "".join(step[0] for step in steps) != text:
        raise ValueError(
            f"{text!r} does not name a column (examples: answer, reward_model.ground_truth, messages[0].content)"
        )
    return tuple(int(step[1]) if step[1] else step[2] for step in steps)


def path_text(path: Path) -> str:
    """Return a path as `--map` takes it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def at(row: Mapping, path: Path) -> object:
    """Return the plain value at a path, or None where there is none; JSON in a text is read where the path goes on.

    Raises OddValue.
    """
    value: object = row
    for step in path:
        if isinstance(value, str):
            value = from_json(value)
        if isinstance(step, int):
            inside = (
                isinstance(value, Sequence) and not isinstance(value, str | bytes) and -len(value) <= step < len(value)
            )
            value = value[step] if inside else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return from_json(plain(value, path))


def plain(value: object, path: Path) -> object:
    """Return a value as JSON knows it: bytes as text, a Decimal as a number or its digits, NaN as None.

    Raises OddValue for bytes that are not UTF-8 and for types that are none of these.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, Mapping):
        return {str(key): plain(item, path) for key, item in value.items()}
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise OddValue(f"column {path_text(path)} holds bytes that are not UTF-8") from None
    if isinstance(value, Decimal):
        if value.is_nan():
            return None
        return (
            int(value) if value.is_finite() and value == value.to_integral_value() and abs(value) < 1e18 else str(value)
        )
    if isinstance(value, Sequence):
        return [plain(item, path) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise OddValue(f"column {path_text(path)} holds a value of type {type(value).__name__}")


def from_json(value: object) -> object:
    """Return the list or struct that a text holds as JSON (a column that went through a CSV), or the value itself.

    Only a struct, or a list of structs, texts or truth values, counts: `[0, 1]` is an interval.
    """
    if not isinstance(value, str) or value[:1] not in "[{" or not value:
        return value
    try:
        read = parse_json(value)
    except ValueError:
        return value
    if isinstance(read, dict):
        return read
    return read if read and all(isinstance(item, dict | str | bool | None) for item in read) else value


def leaves(row: Mapping, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield the path and the plain value of every field that is not a struct, in the order of the row.

    Values that cannot be read are left out: they are reported where they are needed.
    """
    for key, value in row.items():
        here = (*path, str(key))
        try:
            value = from_json(plain(value, here))
        except OddValue:
            continue
        if isinstance(value, dict) and len(here) < _MOST_DEPTH:
            yield from leaves(value, here)
        elif value is not None:
            yield here, value


def is_blank(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def text_at(row: Mapping, path: Path) -> str | None:
    """Return the text at a path, None where there is none; raises OddValue when it is something else."""
    value = at(row, path)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise odd(value, path, "a text")


def odd(value: object, path: Path, needed: str) -> OddValue:
    """Return the fault of a plain value that is not of the kind needed, such as `a text`."""
    kind = _KINDS[type(value).__name__]
    return OddValue(f"column {path_text(path)} holds {kind} where {needed} is needed")


def clip(text: object, size: int) -> str:
    """Return a value on one line, as a terminal can show it: `size` characters of it at most."""
    line = " ".join(str(text)[: 4 * size].split())
    return shown(line if len(line) <= size else line[: size - 1] + "…")


def small_extras(row: Mapping, used: set[str]) -> dict[str, object]:
    """Return the columns beside those used that are short enough to be carried along: numbers, marks and short texts."""
    extra = {}
    for key, value in row.items():
        if str(key) in used or value is None or value != value:
            continue
        if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _SHORT):
            extra[str(key)] = value
    return extra
