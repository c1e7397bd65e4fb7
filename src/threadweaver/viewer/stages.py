"""One sample through all stages: what the annotator said, what was made of it, what was changed, what it cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from threadweaver.runs.folder import ACCOUNT_FILE, MANIFEST_FILE, OUTCOMES, AccountEntry
from threadweaver.trajectory import markup
from threadweaver.viewer import describe, documents, pieces
from threadweaver.viewer.documents import Lengths, Source
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.runs import Place, Run

CHAT_LIMIT = 400_000
"""Characters of a conversation that are shown."""


def stages(run: Run, source: Source, gauge: Gauge) -> dict:
    """The sample's way as JSON: the account of each stage, the chain, the annotation, the result with its edits."""
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
    if source.record:
        result["unused"] = [asdict(item) for item in source.record.unused]
        result["notes"] = [dict(item) for item in source.record.notes]
    if source.text is not None:
        try:
            trajectory = markup.parse(source.text)
            lengths = Lengths(trajectory, gauge, source.row)
            result["parts"] = documents.parts(trajectory, source.record, lengths, with_edits=True)
        except markup.MarkupError:
            result["parts"] = [{"kind": "text", "tokens": None, "rows": pieces.tagged_rows(source.text)}]
    return result


def _chain(run: Run, source: Source) -> str | None:
    """The chain as it was collected, from its file or from its line."""
    place = run.place("collect")
    if place:
        try:
            return describe.read(place.path / f"{source.row.id}.txt")
        except OSError:
            pass
    return source.thinking


def _annotation(run: Run, source: Source, chain: str | None):
    """What the annotator wrote, read as the extraction reads it; None where it is not kept."""
    from threadweaver.trajectory import annotation

    place = run.place("steps")
    if place is None or chain is None:
        return None
    path = _of_uuid(place.path, source, "_reasoning.txt")
    return annotation.parse(describe.read(path), annotation.lines(chain)) if path else None


def _of_uuid(folder: Path, source: Source, suffix: str) -> Path | None:
    """The file that a folder keeps under this sample's uuid. The name comes from the data: it must stay in the folder."""
    uuid = (source.record.uuid if source.record else "") or source.row.uuid or source.row.id
    if not uuid or "/" in uuid or "\0" in uuid or len(uuid) > 200:
        return None
    path = folder / f"{uuid}{suffix}"
    return path if path.is_file() else None


def _step(step) -> dict:
    return {
        "number": step.number,
        "depth": step.number.count("."),
        "description": pieces.split(step.description),
        "first": step.lines.first if step.lines else None,
        "last": step.lines.last if step.lines else None,
    }


def _annotated(block) -> dict:
    threads = [
        {
            "first": thread.lines.first if thread.lines else None,
            "last": thread.lines.last if thread.lines else None,
            "passed": thread.passed,
            "note": thread.note,
            "steps": [step.number for step in thread.steps],
        }
        for thread in block.threads
    ]
    return {
        "number": block.number,
        "reason": block.reason,
        "threads": threads,
        "first": block.lines.first if block.lines else None,
        "last": block.lines.last if block.lines else None,
        "problems": [{"code": str(item.code), "detail": item.detail, "thread": item.thread} for item in block.defects],
    }


def _station(place: Place, source: Source) -> dict:
    """What one stage's account says of the sample."""
    entry = next((entry for entry in _entries_of(place, source.row.id)), None)
    settings = {key: value for key, value in place.settings.items() if key not in ("stage", "input", "chains")}
    station = {"stage": place.stage, "folder": place.path.name, "settings": settings, "outcome": None}
    if entry:
        facts = {key: value for key, value in entry.facts.items() if key != "measures"}
        station |= {"outcome": entry.outcome, "reason": entry.reason, "facts": facts}
    return station


def _entries_of(place: Place, id: str) -> list[AccountEntry]:
    """The sample's lines of the account, found by their text so that a long account is not parsed whole."""
    needle = b'"id":' + json.dumps(id, ensure_ascii=False).encode() + b","
    found = []
    try:
        with open(place.path / ACCOUNT_FILE, "rb") as file:
            for line in file:
                if needle in line[:400]:
                    try:
                        found.append(AccountEntry(**json.loads(line)))
                    except (ValueError, TypeError):
                        continue
    except OSError:
        return []
    return [entry for entry in found if entry.id == id][-1:]


def _chats(run: Run, source: Source) -> list[str]:
    """The stages that keep a conversation about this sample."""
    return [place.stage for place in run.places if _of_uuid(place.path / "chat", source, "_chat.txt")]


def chat(run: Run, source: Source, stage: str) -> str | None:
    place = run.place(stage)
    path = _of_uuid(place.path / "chat", source, "_chat.txt") if place else None
    return describe.read(path)[:CHAT_LIMIT] if path else None


def funnel(run: Run) -> list[dict]:
    """The stages of the run with what became of their samples, from the manifests (or accounts) they keep."""
    return [{"stage": place.stage, "folder": place.path.name, "counts": _counts(place)} for place in run.places]


def _counts(place: Place) -> dict[str, int]:
    try:
        manifest = json.loads((place.path / MANIFEST_FILE).read_bytes())
        return {str(key): int(value) for key, value in manifest["outcomes"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        pass
    try:
        stat = (place.path / ACCOUNT_FILE).stat()
    except OSError:
        return {}
    return _count_account(place.path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _count_account(folder: Path, *_changes: int) -> dict[str, int]:
    """The outcomes of an account without a manifest (a stage under way), counted in its text when it grew."""
    text = (folder / ACCOUNT_FILE).read_bytes()
    counts = {outcome: text.count(b'"outcome":"%s"' % outcome.encode()) for outcome in OUTCOMES}
    return {outcome: number for outcome, number in counts.items() if number}
