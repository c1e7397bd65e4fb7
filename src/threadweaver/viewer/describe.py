"""Turn a sample into a row of the list: read its text, parse it, measure it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from threadweaver.files import to_json
from threadweaver.samples import Sample
from threadweaver.text import parse_json
from threadweaver.trajectory import markup
from threadweaver.viewer import columns, table
from threadweaver.viewer.gauge import Gauge, shape
from threadweaver.viewer.runs import inside
from threadweaver.viewer.scan import Fate, Found
from threadweaver.viewer.table import Row

EXCERPT = 320
"""Characters of the problem that the list shows."""
_ESTIMATE = Gauge()


@dataclass(frozen=True, slots=True)
class Known:
    """What `collected.jsonl`, or the trace, says about one sample."""

    uuid: str = ""
    problem: str = ""
    correctness: bool | None = None
    solution: object = ""


@dataclass(frozen=True, slots=True)
class Described:
    row: Row
    problem: str
    text: str
    extra: dict | None = None
    """What the index keeps of a sample that has no file of its own."""


def read(path: Path) -> str:
    """Return a sample's text. Bytes that are not UTF-8 are shown as replacement characters, so the sample is visible."""
    return path.read_bytes().decode("utf-8", "replace").removesuffix("\n")


def describe(id: str, found: Found | None, fate: Fate | None, known: Known) -> Described:
    """Return the row of a sample whose text is in a file, or no longer anywhere."""
    text = ""
    if found:
        try:
            text = read(found.path)
        except OSError:  # gone since the scan: the next one drops it
            found = None
    stage = fate.stage if fate else (found.stage if found else "")
    row = Row(
        id=id,
        uuid=known.uuid or (fate.uuid if fate else ""),
        problem=excerpt(known.problem),
        stage=stage,
        outcome=fate.outcome if fate else "ok",
        reason=(fate.reason if fate else "") or "",
        answer=answer(known.correctness),
        estimated=False,
        values=(None,) * len(table.NAMES),
        shape="[]",
        place=found.stage if found else "",
        labels=_labels(fate),
    )
    return Described(measured(row, text if found else None, fate), known.problem, text)


def _labels(fate: Fate | None) -> dict[str, list[str]]:
    if fate is None:
        return {}
    return columns.labels_of(fate.facts) | ({"later": [fate.later]} if fate.later else {})


def measured(row: Row, text: str | None, fate: Fate | None, gauge: Gauge = _ESTIMATE) -> Row:
    """Return the row with the measures of the account, or those by the gauge if the account has none."""
    values: dict[str, float | None] = dict.fromkeys(table.NAMES)
    if fate:
        values |= {"calls": fate.calls or None, "cost": fate.cost or None, "edits": fate.edits}
        values |= columns.measures_of(fate.facts)
    if text is None:
        return replace(row, values=tuple(values.values()))
    values |= {"chars": len(text), "lines": text.count("\n") + 1}
    account = dict(fate.measures) if fate else {}
    estimated, plan = False, [len(text)]
    try:
        trajectory = markup.parse(text)
        plan = shape(trajectory)
        estimated = not account and not gauge.exact
        values |= {name: value for name, value in (account or gauge.measures(trajectory)).items() if name in values}
    except markup.MarkupError as error:
        if row.outcome in table.KEPT and row.place != "collect":
            row = replace(row, outcome=table.MALFORMED, reason=error.code)
    return replace(row, values=tuple(values.values()), shape=to_json(plan), estimated=estimated)


def remeasured(row: Row, text: str, gauge: Gauge) -> Row:
    """Return the row with counts instead of estimates."""
    try:
        counted = gauge.measures(markup.parse(text))
    except markup.MarkupError:
        return replace(row, estimated=False)
    values = dict(zip(table.NAMES, row.values, strict=True)) | counted
    return replace(row, values=tuple(values[name] for name in table.NAMES), estimated=False)


def from_dataset(sample: Sample) -> Described:
    """Return the row of a dataset's sample, which has no stages."""
    row = Row(
        id=sample.name,
        uuid=sample.uuid,
        problem=excerpt(sample.problem),
        stage="",
        outcome="ok",
        reason="",
        answer=answer(sample.correctness),
        estimated=False,
        values=(),
        shape="[]",
        place="dataset",
    )
    extra = {"problem": sample.problem, "solution": sample.solution, "output": sample.output}
    row = measured(row, sample.thinking, None)
    return Described(row, sample.problem, sample.thinking, json.loads(json.dumps(extra, default=str)))


def from_trace(path: Path) -> Known:
    """Return what the trace next to a text says about its sample; empty without a readable trace."""
    try:
        trace = inside(path.parent, path.parent / "trace" / f"{path.stem}.json")
        data = parse_json(trace.read_bytes()) if trace else {}
        return Known(str(data["uuid"]), str(data["problem"]), data["correctness"], data["solution"])
    except (OSError, ValueError, KeyError, TypeError):
        return Known()


def excerpt(problem: str) -> str:
    line = " ".join(problem.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def answer(correctness: object) -> str:
    return "unknown" if correctness is None else "right" if correctness else "wrong"
