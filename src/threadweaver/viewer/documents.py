"""One sample as the page shows it: problem, answer, verdict, and the trajectory part by part."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.samples import Sample
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import BlockLineage, Lineage
from threadweaver.viewer import describe, pieces, scan, table
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.runs import DATASET, Run
from threadweaver.viewer.table import Row

MAX_SOURCE = 128 << 20
"""Bytes of a source dataset that is read through for one sample that was left out: about a second."""


@dataclass(frozen=True, slots=True)
class Source:
    """All that is kept of one sample, read when it is asked for."""

    row: Row
    text: str | None
    record: Lineage | None
    problem: str
    solution: object
    output: str
    thinking: str | None
    """The chain as it was collected; None where it is not kept."""
    detail: str = ""
    """What the filter said of a rejected sample."""


def load(run: Run, indexer, row: Row) -> Source:
    if run.kind == DATASET:
        return _from_dataset(indexer, row)
    found = indexer.found.get(row.id)
    text = indexer.text(row.id) if found else None
    record = find_record(run, row.id)
    known = indexer.db.collected(row.id)
    if text is None and known is None and (sample := _origin(run, row.id)):
        shown = replace(row, place="source", problem=sample.problem, answer=describe.answer(sample.correctness))
        return Source(shown, sample.thinking, None, sample.problem, sample.solution, sample.output, sample.thinking)
    line = scan.read_line(run.collected, known[3], known[4]) if known and run.collected else {}
    thinking = line.get("thinking") if isinstance(line.get("thinking"), str) else None
    solution = line.get("solution", record.solution if record else "")
    problem = (known[1] if known else "") or (record.problem if record else "") or row.problem
    return Source(
        row,
        text,
        record,
        problem,
        solution,
        str(line.get("output") or ""),
        thinking,
        _detail(found.path if found else None),
    )


def _from_dataset(indexer, row: Row) -> Source:
    text, extra = indexer.kept(row.id)
    problem = extra.get("problem") or row.problem
    shown = text if extra else None
    return Source(row, shown, None, problem, extra.get("solution", ""), extra.get("output", ""), None)


def _origin(run: Run, id: str) -> Sample | None:
    """A sample that was not collected, as the source dataset has it, where that is at hand and not too large to read."""
    from threadweaver.corpus.readers import read_rows
    from threadweaver.corpus.schemas import to_sample

    place = run.place("collect")
    named = place.settings.get("input") if place else None
    if not isinstance(named, str) or not id.isdigit():
        return None
    path = place.path / named
    try:
        if not path.is_file() or path.stat().st_size > MAX_SOURCE:
            return None
        for row in read_rows(path, int(id) + 1):
            if row.index == int(id):
                return to_sample(row, str(place.settings.get("dataset", "")))
    except (UserError, OSError, ValueError):
        return None
    return None


def find_record(run: Run, id: str) -> Lineage | None:
    """The lineage of the latest stage that has one; a damaged trace counts as none."""
    for place in reversed(run.shown):
        try:
            sample = read_traced(place.path / f"{id}.txt") if (place.path / "trace" / f"{id}.json").is_file() else None
        except (UserError, OSError, AttributeError):
            continue
        if sample and sample.record:
            return sample.record
    return None


def _detail(path: Path | None) -> str:
    if path is None or path.parent.name != scan.REJECTED:
        return ""
    try:
        return str(json.loads(path.with_suffix(".json").read_bytes()).get("detail", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def document(source: Source, gauge: Gauge) -> dict:
    """The sample as JSON; rows and pieces as in `pieces`."""
    from threadweaver.grading import boxed

    row = source.row
    final = boxed.final_answer(source.output) or boxed.final_answer(source.text or "")
    result = {
        "id": row.id,
        "uuid": row.uuid,
        "stage": row.stage,
        "place": row.place,
        "outcome": row.outcome,
        "reason": row.reason,
        "detail": source.detail,
        "answer": row.answer,
        "estimated": row.estimated,
        "measures": dict(zip(table.NAMES, row.values, strict=True)),
        "problem": pieces.rows(source.problem),
        "solution": _answer(source.solution),
        "final": pieces.split(f"${final}$") if final and len(final) < 400 else None,
        "output": pieces.rows(source.output) if source.output.strip() else None,
        "text": source.text,
        "parts": [],
        "fault": "",
        "verdict": None,
        "numbering": "chain" if source.record else "file",
    }
    if source.text is not None:
        result |= _body(source, gauge)
    return result


def _answer(solution: object) -> list | None:
    if solution is None or solution == "":
        return None
    text = " or ".join(map(str, solution)) if isinstance(solution, list) else str(solution)
    return pieces.split(text if "$" in text or not any(mark in text for mark in "\\^_") else f"${text}$")


def _body(source: Source, gauge: Gauge) -> dict:
    try:
        trajectory = markup.parse(source.text)
    except markup.MarkupError as error:
        rows = pieces.tagged_rows(source.text)
        return {"parts": [{"kind": "text", "tokens": None, "rows": rows}], "fault": str(error), "numbering": "file"}
    from threadweaver.stages import inspection

    verdict = inspection.inspect(source.text, source.record, inspection.Rules())
    told = {"reason": verdict.reason, "detail": verdict.detail, "conserved": verdict.conserved}
    body = {"parts": parts(trajectory, source.record, Lengths(trajectory, gauge, source.row)), "verdict": told}
    return body if usable(trajectory, source.record) else body | {"numbering": "file"}


class Lengths:
    """How long a passage is in tokens: counted, or its share of the counted (or estimated) total."""

    def __init__(self, trajectory: markup.Trajectory, gauge: Gauge, row: Row):
        total = row.values[0] if row.values else None
        self._starts = gauge.starts(trajectory.text) if gauge.exact else None
        self._share = (total or 0) / max(1, len(trajectory.text))

    def __call__(self, start: int, end: int) -> float:
        if self._starts is not None:
            return bisect_left(self._starts, end) - bisect_left(self._starts, start)
        return round((end - start) * self._share, 1)


def usable(trajectory: markup.Trajectory, record: Lineage | None) -> bool:
    """Whether the record's line ranges are those of this text's blocks."""
    if record is None or len(record.blocks) != len(trajectory.blocks):
        return False
    pairs = zip(record.blocks, trajectory.blocks, strict=True)
    return all(len(note.threads) == len(block.threads) for note, block in pairs)


def parts(
    trajectory: markup.Trajectory, record: Lineage | None, lengths: Lengths, *, with_edits: bool = False
) -> list[dict]:
    """The trajectory's parts; lines are numbered as in the chain where the record allows it, else as in the file."""
    notes = iter(record.blocks if usable(trajectory, record) else ())
    by_chain = usable(trajectory, record)
    result, line, number = [], 1, 0
    for part in trajectory.parts:
        raw = trajectory.text[part.start : part.end]
        if isinstance(part, markup.Text):
            if not by_chain:
                line = 1 + trajectory.text.count("\n", 0, part.start)
            shown, first = _edge(raw, line, after_block=part.start > 0, before_block=part.end < len(trajectory.text))
            result.append({"kind": "text", "tokens": lengths(part.start, part.end), "rows": pieces.rows(shown, first)})
            line += raw.count("\n")
            continue
        number += 1
        note = next(notes, None)
        result.append(_block(trajectory, part, note, number, lengths, with_edits))
        line = note.last if note else line
    return [part for part in result if part["kind"] == "block" or any(row[2] for row in part["rows"])]


def _edge(raw: str, line: int, *, after_block: bool, before_block: bool) -> tuple[str, int]:
    """Text between blocks without the line ends that belong to the blocks' own last and first lines."""
    if after_block and raw.startswith("\n"):
        raw, line = raw[1:], line + 1
    return raw.removesuffix("\n") if before_block else raw, line


def _block(
    trajectory: markup.Trajectory,
    block: markup.Block,
    note: BlockLineage | None,
    number: int,
    lengths: Lengths,
    with_edits: bool,
) -> dict:
    inside = [lengths(thread.inner_start, thread.inner_end) for thread in block.threads]
    longest = inside.index(max(inside))
    threads = []
    for at, thread in enumerate(block.threads):
        trace = note.threads[at] if note else None
        if trace:
            first = trace.first + trace.before.count("\n")
        else:
            body_at = trajectory.text.index(thread.body, thread.inner_start)
            first = 1 + trajectory.text.count("\n", 0, body_at)
        threads.append(
            {
                "k": at + 1,
                "tokens": inside[at],
                "longest": at == longest,
                "first": trace.first if trace else first,
                "last": trace.last if trace else first + thread.body.count("\n"),
                "rows": _thread_rows(thread.body, trace, first, with_edits),
                "text": thread.body,
                "skipped": [asdict(item) for item in trace.skipped] if trace else [],
                "edits": len([edit for edit in trace.edits if edit.src.strip() or edit.dest.strip()]) if trace else 0,
            }
        )
    return {
        "kind": "block",
        "number": number,
        "tokens": lengths(block.start, block.end),
        "threads": threads,
        "overhead": round(lengths(block.start, block.end) - sum(inside), 1),
        "reason": note.reason if note else "",
        "first": note.first if note else threads[0]["first"],
        "last": note.last if note else threads[-1]["last"],
        "outlines": [pieces.split(item.body) for item in block.outlines],
        "conclusion": pieces.rows(block.conclusion.body) if block.conclusion else None,
    }


def _thread_rows(body: str, trace, first: int, with_edits: bool) -> list:
    if trace and trace.edits:
        try:
            return (pieces.edited_rows if with_edits else pieces.result_rows)(body, trace.edits, first)
        except edits.ConservationError:
            return pieces.rows(body, first)
    return pieces.rows(body, first)
