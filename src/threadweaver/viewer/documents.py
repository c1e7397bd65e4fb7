"""Present one sample for the page: problem, answer, verdict, and the trajectory part by part."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict, dataclass, replace

from threadweaver.errors import UserError
from threadweaver.runs.records import LOSSES
from threadweaver.runs.stages import STAGES
from threadweaver.samples import Sample
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import BlockLineage, Lineage, ThreadLineage
from threadweaver.viewer import describe, pieces, scan, table
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.runs import DATASET, Run
from threadweaver.viewer.table import Row

MAX_SOURCE = 128 << 20
"""Bytes of a source dataset that is searched for one sample that was not collected: takes about a second."""


@dataclass(frozen=True, slots=True)
class Source:
    """Everything known about one sample, read on request."""

    row: Row
    text: str | None
    lineage: Lineage | None
    problem: str
    solution: object
    output: str
    thinking: str | None
    """The chain as collected; None where it is not kept."""
    loss: dict | None = None
    """Which stage lost the sample, and why; None if none has."""


def load(run: Run, indexer, row: Row) -> Source:
    """Read everything about the sample of a row."""
    if run.kind == DATASET:
        return _from_dataset(indexer, row)
    found = indexer.found.get(row.id)
    text = indexer.text(row.id) if found else None
    lineage = find_lineage(run, row.id)
    known = indexer.db.collected(row.id)
    if text is None and known is None and (sample := _origin(run, row.id)):
        shown = replace(row, place="source", problem=sample.problem, answer=describe.answer(sample.correctness))
        known_of = (sample.problem, sample.solution, sample.output, sample.thinking)
        return Source(shown, sample.thinking, None, *known_of, _loss(run, row))
    line = scan.read_line(run.collected, known[3], known[4]) if known and run.collected else {}
    thinking = line.get("thinking") if isinstance(line.get("thinking"), str) else None
    solution = line.get("solution", lineage.solution if lineage else "")
    problem = (known[1] if known else "") or (lineage.problem if lineage else "") or row.problem
    output = str(line.get("output") or "")
    return Source(row, text, lineage, problem, solution, output, thinking, _loss(run, row))


def _from_dataset(indexer, row: Row) -> Source:
    text, extra = indexer.kept(row.id)
    problem = extra.get("problem") or row.problem
    shown = text if extra else None
    return Source(row, shown, None, problem, extra.get("solution", ""), extra.get("output", ""), None)


def _origin(run: Run, id: str) -> Sample | None:
    """Return a sample that was not collected from the source dataset, if that exists and is not too large to read."""
    from threadweaver.corpus.readers import read_rows
    from threadweaver.corpus.sources import to_sample
    from threadweaver.stages.collecting import source_hash

    place = run.place("collect")
    named = place.settings.get("input") if place else None
    if not isinstance(named, str) or not id.isdigit():
        return None
    path = place.path / named
    dataset = str(place.settings.get("dataset", ""))
    try:
        if not path.is_file() or path.stat().st_size > MAX_SOURCE:
            return None
        # the account knows the row's hash: settings from elsewhere may name any file of this machine
        known = {entry.source for entry in scan.read_entries(place.path) if entry.id == id}
        for row in read_rows(path, int(id) + 1):
            if row.index == int(id):
                return to_sample(row, dataset) if source_hash(row) in known else None
    except (UserError, OSError, ValueError):
        return None
    return None


def find_lineage(run: Run, id: str) -> Lineage | None:
    """Return the lineage from the latest stage that has one; a damaged trace counts as none."""
    for place in reversed(run.shown):
        try:
            text = place.file(f"{id}.txt")
            sample = read_traced(text) if text and place.file("trace", f"{id}.json") else None
        except (UserError, OSError, AttributeError):
            continue
        if sample and sample.lineage:
            return sample.lineage
    return None


def _loss(run: Run, row: Row) -> dict | None:
    """Return the first loss that the accounts name, of all stages: a later one than the list's may have lost a sample.

    The accounts of a large run take long to search, so they are only where the list knows of a loss.
    """
    lost = row.outcome in LOSSES
    if not lost and not any(label.startswith(LOSSES) for label in row.labels.get("later", ())):
        return None
    for place in run.places:
        entry = scan.entry_of(place, row.id) if not lost or place.stage == row.stage else None
        if entry and entry.outcome in LOSSES:
            return {
                "stage": place.stage,
                "title": title_of(place.stage),
                "outcome": entry.outcome,
                "reason": entry.reason or "",
                "detail": str(entry.facts.get("detail") or entry.facts.get("error") or "")[:2000],
                "later": place not in run.shown,
                "calls": bool(entry.facts.get("calls")),
            }
    return None


def title_of(stage: str) -> str:
    return STAGES[stage].title.capitalize() if stage in STAGES else stage


def document(source: Source, gauge: Gauge) -> dict:
    """Return the sample as JSON, with rows and pieces as in `pieces`."""
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
        "loss": source.loss,
        "unused": [asdict(item) for item in source.lineage.unused] if source.lineage and source.loss else [],
        "answer": row.answer,
        "estimated": row.estimated,
        "measures": dict(zip(table.NAMES, row.values, strict=True)),
        "problem": pieces.rows(source.problem),
        "solution": _answer(source.solution),
        "final": [pieces.formula(final)] if final and len(final) < 400 else None,
        "output": pieces.rows(source.output) if source.output.strip() else None,
        "text": source.text,
        "parts": [],
        "fault": "",
        "verdict": None,
        "numbering": "chain" if source.lineage else "file",
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
        line = 1 + source.text.count("\n", 0, error.offset)
        shown = [{"kind": "text", "tokens": None, "rows": rows}]
        return {"parts": shown, "fault": str(error), "fault_line": line, "numbering": "file"}
    from threadweaver.stages import inspection

    found = inspection.inspect(source.text, source.lineage, inspection.Rules(max_leak=None))
    verdict = {"reason": found.reason, "detail": found.detail, "conserved": found.conserved}
    body = {"parts": parts(trajectory, source.lineage, Lengths(trajectory, gauge, source.row)), "verdict": verdict}
    return body if matches(trajectory, source.lineage) else body | {"numbering": "file"}


class Lengths:
    """The length of a passage in tokens: counted, or its share of the total by characters."""

    def __init__(self, trajectory: markup.Trajectory, gauge: Gauge, row: Row):
        total = row.values[0] if row.values else None
        self._starts = gauge.starts(trajectory.text) if gauge.exact else None
        self._share = (total or 0) / max(1, len(trajectory.text))

    def __call__(self, start: int, end: int) -> float:
        if self._starts is not None:
            return bisect_left(self._starts, end) - bisect_left(self._starts, start)
        return round((end - start) * self._share, 1)


def matches(trajectory: markup.Trajectory, lineage: Lineage | None) -> bool:
    """Return whether the lineage's line ranges are those of this text's blocks."""
    if lineage is None or len(lineage.blocks) != len(trajectory.blocks):
        return False
    pairs = zip(lineage.blocks, trajectory.blocks, strict=True)
    return all(len(origin.threads) == len(block.threads) for origin, block in pairs)


def parts(
    trajectory: markup.Trajectory, lineage: Lineage | None, lengths: Lengths, *, with_edits: bool = False
) -> list[dict]:
    """Return the trajectory's parts, with the chain's line numbers if the lineage matches, else those of the file."""
    by_chain = matches(trajectory, lineage)
    origins = iter(lineage.blocks if by_chain else ())
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
        origin = next(origins, None)
        result.append(_block(trajectory, part, origin, number, lengths, with_edits))
        line = origin.last if origin else line
    return [part for part in result if part["kind"] == "block" or any(row[2] for row in part["rows"])]


def _edge(raw: str, line: int, *, after_block: bool, before_block: bool) -> tuple[str, int]:
    """Remove from text between blocks the line ends of the block lines before and after it."""
    if after_block and raw.startswith("\n"):
        raw, line = raw[1:], line + 1
    return raw.removesuffix("\n") if before_block else raw, line


def _block(
    trajectory: markup.Trajectory,
    block: markup.Block,
    origin: BlockLineage | None,
    number: int,
    lengths: Lengths,
    with_edits: bool,
) -> dict:
    inside = [lengths(thread.inner_start, thread.inner_end) for thread in block.threads]
    longest = inside.index(max(inside))
    threads = []
    for at, thread in enumerate(block.threads):
        source = origin.threads[at] if origin else None
        if source:
            first = source.first + source.before.count("\n")
        else:
            body_at = trajectory.text.index(thread.body, thread.inner_start)
            first = 1 + trajectory.text.count("\n", 0, body_at)
        threads.append(
            {
                "k": at + 1,
                "tokens": inside[at],
                "longest": at == longest,
                "first": source.first if source else first,
                "last": source.last if source else first + thread.body.count("\n"),
                "rows": _thread_rows(thread.body, source, first, with_edits),
                "text": thread.body,
                "skipped": [asdict(item) for item in source.skipped] if source else [],
                "changes": [{"src": edit.src, "dest": edit.dest} for edit in _visible(source)],
                "edits": len(_visible(source)),
            }
        )
    return {
        "kind": "block",
        "number": number,
        "tokens": lengths(block.start, block.end),
        "threads": threads,
        "overhead": round(lengths(block.start, block.end) - sum(inside), 1),
        "reason": origin.reason if origin else "",
        "first": origin.first if origin else threads[0]["first"],
        "last": origin.last if origin else threads[-1]["last"],
        "outlines": [pieces.split(item.body) for item in block.outlines],
        "conclusion": pieces.rows(block.conclusion.body) if block.conclusion else None,
    }


def _visible(source: ThreadLineage | None) -> list[edits.Edit]:
    """Return the edits that change more than white space."""
    return [edit for edit in source.edits if edit.src.strip() or edit.dest.strip()] if source else []


def _thread_rows(body: str, source: ThreadLineage | None, first: int, with_edits: bool) -> list:
    if source and source.edits:
        try:
            return (pieces.edited_rows if with_edits else pieces.result_rows)(body, source.edits, first)
        except edits.ConservationError:
            return pieces.rows(body, first)
    return pieces.rows(body, first)
