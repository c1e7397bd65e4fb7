"""What a source was recognized as, as a short table to look at before anything is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from threadweaver.corpus.reading import Contents, Reading
from threadweaver.corpus.sources import Source, read_contents
from threadweaver.corpus.values import Path, clip, path_text

_EXAMPLE = 60


def table(source: Source) -> list[str]:
    """Return the table of an opened source: role, column, an example, and counts over its first rows."""
    read = list(_contents(source))
    several = len(source.head)
    found = [(contents, trace) for contents in read for trace in contents.traces if not trace.fault]
    chains = f"{len(found) / len(read):.1f} per row" if read else "none"
    lines = [
        ("problem", _names(source.reading.problems), _example(contents.problem for contents in read), ""),
        ("chain", _chains(source.reading), _example(trace.thinking for _, trace in found), chains),
        ("output", _outputs(source.reading), _example(trace.output for _, trace in found), ""),
        (
            "reference",
            _names(source.reading.references) or "none",
            _example(contents.reference for contents in read),
            f"in {sum(contents.reference is not None for contents in read)} rows",
        ),
        (
            "correct",
            _marks(source.reading) or "none",
            _example({True: "yes", False: "no"}.get(trace.mark) for _, trace in found),
            f"of {sum(trace.mark is not None for _, trace in found)} of {len(found)} chains",
        ),
    ]
    rows = [(role, column, "" if example is None else example, count) for role, column, example, count in lines]
    widths = [max(len(line[place]) for line in rows) for place in (0, 1, 2)]
    shown = [
        "  " + "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]
    if source.reading.instruction:
        shown.append(f"  instruction before every problem, left out: {clip(source.reading.instruction, 80)!r}")
    unread = several - len(read)
    more = f", {unread} of them cannot be read" if unread else ""
    return [f"{source.path}: of the first {several} rows{more}", *shown]


def _contents(source: Source) -> Iterator[Contents]:
    for row in source.head:
        try:
            yield read_contents(row, source.reading)
        except ValueError:
            continue


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(path_text, paths))


def _chains(reading: Reading) -> str:
    return ", else ".join(_names([column.path for column in family]) for family in reading.chains)


def _outputs(reading: Reading) -> str:
    paths = dict.fromkeys(path for family in reading.chains for column in family for path in column.outputs)
    return _names(list(paths)) or "after the thinking"


def _marks(reading: Reading) -> str:
    marks = dict.fromkeys(mark.path for family in reading.chains for column in family for mark in column.marks)
    return _names(list(marks))


def _example(values) -> str | None:
    """Return the first value that is not missing or empty, clipped and in quotation marks where it is a text."""
    value = next((value for value in values if value not in (None, "")), None)
    return None if value is None else f'"{clip(value, _EXAMPLE)}"'
