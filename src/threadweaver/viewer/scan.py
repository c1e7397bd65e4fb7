"""Scan a run: the files of its samples, and what every stage's account says about them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from threadweaver.files import to_json
from threadweaver.runs.records import ACCOUNT_FILE, LOSSES, AccountEntry, account_lines
from threadweaver.runs.stages import STAGES
from threadweaver.samples import Sample
from threadweaver.text import parse_json, whole
from threadweaver.viewer.runs import DATASET, PLAIN, Place, Run, inside

REJECTED = "rejected"
PENDING = "pending"
"""The outcome of a sample that the root's stage has not reached yet."""
_MONEY = ("cost_usd", "cost")
MOST = 1e15
"""A number beyond it is none that a stage measured."""


@dataclass(slots=True)
class Fate:
    """What became of a sample up to the root's stage, according to the accounts."""

    stage: str
    outcome: str
    reason: str = ""
    uuid: str = ""
    calls: float = 0
    cost: float = 0
    edits: float = 0
    facts: dict = field(default_factory=dict)
    """The facts of each stage's account about the sample, by stage, without the measures."""
    measures: dict = field(default_factory=dict)
    lost: bool = False
    later: str = ""
    """What the stages after the root's made of a sample that the root's passed on."""


@dataclass(frozen=True, slots=True)
class Found:
    """The file with a sample's text, its stage, and a signature that changes with either."""

    stage: str
    path: Path
    signature: str


def files(run: Run) -> dict[str, Found]:
    """Return by sample id the file of the latest stage that has one, also among rejected texts."""
    found: dict[str, Found] = {}
    for place in run.shown:
        if place.stage == "steps":
            continue
        for folder in (place.path, place.path / REJECTED):
            if not folder.resolve().is_relative_to(place.path.resolve()):  # a link to elsewhere
                continue
            for id, path, signature in _texts(folder):
                found[id] = Found(place.stage, path, f"{place.stage}:{signature}")
    return found


def _texts(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield the samples of one folder. A link is followed only if it leads to a file in the same folder.

    A name that is not UTF-8 has its odd bytes escaped in the id.
    """
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            name = entry.name
            if not name.endswith(".txt") or name.startswith("."):
                continue
            try:
                if entry.is_symlink() and Path(entry.path).resolve().parent != folder.resolve():
                    continue
                if not entry.is_file():
                    continue
                stat = entry.stat()
            except OSError:
                continue
            yield whole(name[:-4]), folder / name, f"{stat.st_mtime_ns}.{stat.st_size}"


def state(run: Run) -> str:
    """Return a string that changes when a folder or an account does; cheap to compute often."""
    marks = []
    for place in run.places or (Place(DATASET, run.root),):
        for path in (place.path, place.path / REJECTED, place.path / ACCOUNT_FILE, place.path / "collected.jsonl"):
            try:
                stat = path.stat()
            except OSError:
                continue
            marks.append(f"{path.name}:{stat.st_mtime_ns}:{stat.st_size}")
    return " ".join(marks)


def accounts_state(run: Run) -> str:
    """Return a string that changes when an account or the collected samples do, but not with other files."""
    marks = []
    for place in run.places:
        for name in (ACCOUNT_FILE, "collected.jsonl"):
            path = place.path / name
            if path.is_file():
                stat = path.stat()
                marks.append(f"{place.stage}/{name}:{stat.st_mtime_ns}:{stat.st_size}")
    return " ".join(marks)


def fates(run: Run) -> dict[str, Fate]:
    """Return what became of every sample, by id. The first loss counts; a later stage can only repeat it."""
    known: dict[str, Fate] = {}
    for place in run.shown:
        for entry in read_entries(place.path):
            _take(known, place, entry)
    for fate in known.values():
        if fate.stage != run.kind and not fate.lost and run.kind not in (PLAIN, DATASET):
            fate.outcome, fate.reason = PENDING, f"not in {run.kind}"
    _look_ahead(run, known)
    return known


def _look_ahead(run: Run, known: dict[str, Fate]) -> None:
    """Note which samples the stages after the root's lost, how far the others came, and what was found about them."""
    for place in run.places[len(run.shown) :]:
        title = STAGES[place.stage].title.split(" (")[0]
        for entry in read_entries(place.path):
            fate = known.get(entry.id)
            if fate is None or fate.lost or fate.later.startswith(LOSSES):
                continue
            fate.facts[place.stage] = {name: value for name, value in entry.facts.items() if name != "measures"}
            fate.later = f"{entry.outcome} in {title}" if entry.outcome in LOSSES else f"passed {title}"


def read_entries(folder: Path) -> Iterator[AccountEntry]:
    """Yield the account entries of a folder, also while it is being written: a line that is not one is skipped."""
    if inside(folder, folder / ACCOUNT_FILE):
        for _, entry, _ in account_lines(folder):
            if entry:
                yield replace(entry, id=whole(entry.id), uuid=whole(entry.uuid))


def entry_of(place: Place, id: str) -> AccountEntry | None:
    """Return the sample's last account entry, found by its text so that a long account is not parsed whole."""
    needle = b'"id":' + json.dumps(id, ensure_ascii=False).encode() + b","
    found = None
    try:
        with open(place.file(ACCOUNT_FILE) or os.devnull, "rb") as file:
            for line in file:
                if needle in line[:400]:
                    with suppress(ValueError):
                        entry = AccountEntry.from_row(parse_json(line))
                        found = entry if entry.id == id else found
    except OSError:
        return None
    return found


def facts_of(place: Place, id: str) -> dict:
    """Return the facts about a sample in a stage's account; empty if it is not in it."""
    entry = entry_of(place, id)
    return dict(entry.facts) if entry else {}


def _take(known: dict[str, Fate], place: Place, entry: AccountEntry) -> None:
    fate = known.setdefault(entry.id, Fate(place.stage, entry.outcome))
    facts = entry.facts if isinstance(entry.facts, dict) else {}
    fate.uuid = entry.uuid or fate.uuid
    fate.calls += number(facts.get("calls"))
    fate.cost += cost_of(facts)
    fate.edits = number(facts.get("edits")) or fate.edits
    fate.facts[place.stage] = {name: value for name, value in facts.items() if name != "measures"}
    if isinstance(facts.get("measures"), dict):
        fate.measures = {name: value for name, value in facts["measures"].items() if is_number(value)}
    if not fate.lost:
        fate.stage, fate.outcome, fate.reason = place.stage, entry.outcome, entry.reason or ""
        fate.lost = entry.outcome in LOSSES


def number(value: object) -> float:
    return value if is_number(value) else 0


def is_number(value: object) -> bool:
    """Whether a value can be summed and drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def cost_of(facts: dict) -> float:
    """Return the cost of a sample's calls in one stage, in US dollars."""
    return next((number(facts[key]) for key in _MONEY if key in facts), 0)


def collected_rows(path: Path) -> Iterator[tuple[str, str, str, str, int, int]]:
    """Yield for each line of a collected.jsonl: id, uuid, problem, other fields as JSON, offset, bytes."""
    at = 0
    with open(path, "rb") as file:
        for position, raw in enumerate(file):
            try:
                sample = Sample.from_row(parse_json(raw), position)
            except (ValueError, KeyError, TypeError, AttributeError):
                at += len(raw)
                continue
            fields = {"solution": sample.solution, "correctness": sample.correctness}
            yield sample.name, sample.uuid, sample.problem, to_json(fields), at, len(raw)
            at += len(raw)


def read_line(path: Path, at: int, size: int) -> dict:
    """Return one line of a collected.jsonl; empty if the file changed meanwhile."""
    try:
        with open(path, "rb") as file:
            file.seek(at)
            row = parse_json(file.read(size))
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) else {}
