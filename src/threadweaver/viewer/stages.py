"""Present one sample's way through the stages: the annotation, the result, every edit, the cost."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from threadweaver.runs.records import ACCOUNT_FILE, MANIFEST_FILE, OUTCOMES
from threadweaver.text import parse_json
from threadweaver.trajectory import markup
from threadweaver.viewer import describe, documents, pieces, scan
from threadweaver.viewer.documents import Lengths, Source
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.runs import Place, Run

CHAT_LIMIT = 400_000
"""The most characters of a conversation that are shown."""


def stages(run: Run, source: Source, gauge: Gauge) -> dict:
    """Return as JSON: the account entry of each stage, the chain, the annotation, the result with its edits."""
    chain = _chain(run, source)
    note = _annotation(run, source, chain)
    result = {
        "id": source.row.id,
        "path": [_station(place, source) for place in run.places],
        "chain": pieces.rows(chain) if chain is not None else None,
        "steps": [],
        "annotated": [],
        "unused": [],
        "notes": [],
        "parts": [],
        "chats": _chats(run, source),
    }
    if note:
        result["steps"] = [_step(step) for step in note.steps]
        result["annotated"] = [_annotated(block) for block in note.blocks]
    if source.lineage:
        result["unused"] = [asdict(item) for item in source.lineage.unused]
        result["notes"] = [dict(item) for item in source.lineage.notes]
    if source.text is not None:
        try:
            trajectory = markup.parse(source.text)
            lengths = Lengths(trajectory, gauge, source.row)
            result["parts"] = documents.parts(trajectory, source.lineage, lengths, with_edits=True)
        except markup.MarkupError:
            result["parts"] = [{"kind": "text", "tokens": None, "rows": pieces.tagged_rows(source.text)}]
    return result


def _chain(run: Run, source: Source) -> str | None:
    """Return the chain as collected, from its file or from `collected.jsonl`."""
    place = run.place("collect")
    if place:
        path = place.file(f"{source.row.id}.txt")
        with contextlib.suppress(OSError):
            return describe.read(path) if path else source.thinking
    return source.thinking


def _annotation(run: Run, source: Source, chain: str | None):
    """Return the annotation as the extraction parses it; None if it is not kept."""
    from threadweaver.trajectory import annotation

    place = run.place("steps")
    if place is None or chain is None:
        return None
    path = _of_uuid(place, source, "_reasoning.txt")
    return annotation.parse(describe.read(path), annotation.lines(chain)) if path else None


def _of_uuid(place: Place, source: Source, suffix: str, *folders: str) -> Path | None:
    """Return a stage's file named by this sample's uuid. The name comes from the data and must not leave the folder."""
    uuid = (source.lineage.uuid if source.lineage else "") or source.row.uuid or source.row.id
    if not uuid or "/" in uuid or "\0" in uuid or len(uuid) > 200:
        return None
    return place.file(*folders, f"{uuid}{suffix}")


def _step(step) -> dict:
    return {
        "number": step.number,
        "depth": step.number.count("."),
        "description": pieces.split(step.description),
        "first": step.lines.first if step.lines else None,
        "last": step.lines.last if step.lines else None,
    }


def _annotated(block) -> dict:
    threads = [{"passed": thread.passed, "steps": [step.number for step in thread.steps]} for thread in block.threads]
    return {"number": block.number, "threads": threads}


def _station(place: Place, source: Source) -> dict:
    """Return what one stage's account says about the sample."""
    entry = scan.entry_of(place, source.row.id)
    settings = {key: value for key, value in place.settings.items() if key not in ("stage", "input", "chains")}
    station = {
        "stage": place.stage,
        "title": documents.title_of(place.stage),
        "folder": place.path.name,
        "settings": settings,
        "outcome": None,
    }
    if entry:
        facts = {key: value for key, value in entry.facts.items() if key not in ("measures", "ledger")}
        station |= {"outcome": entry.outcome, "reason": entry.reason, "facts": facts}
    return station


def _chats(run: Run, source: Source) -> list[str]:
    """Return the stages that keep a conversation about this sample."""
    return [place.stage for place in run.places if _of_uuid(place, source, "_chat.txt", "chat")]


def chat(run: Run, source: Source, stage: str) -> str | None:
    place = run.place(stage)
    path = _of_uuid(place, source, "_chat.txt", "chat") if place else None
    return describe.read(path)[:CHAT_LIMIT] if path else None


def funnel(run: Run) -> list[dict]:
    """Return the stages of the run with the outcomes of their samples, from their manifests or accounts."""
    return [{"stage": place.stage, "folder": place.path.name, "counts": _counts(place)} for place in run.places]


def _counts(place: Place) -> dict[str, int]:
    try:
        manifest = parse_json(place.file(MANIFEST_FILE).read_bytes())
        return {str(key): int(value) for key, value in manifest["outcomes"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, OverflowError):
        pass
    path = place.file(ACCOUNT_FILE)
    if path is None:
        return {}
    stat = path.stat()
    return _count_account(place.path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _count_account(folder: Path, *_changes: int) -> dict[str, int]:
    """Count the outcomes in the text of an account without a manifest, of a stage that is still running."""
    text = (folder / ACCOUNT_FILE).read_bytes()
    counts = {outcome: text.count(b'"outcome":"%s"' % outcome.encode()) for outcome in OUTCOMES}
    return {outcome: number for outcome, number in counts.items() if number}
