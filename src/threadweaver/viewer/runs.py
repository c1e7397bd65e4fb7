"""Find the folders that belong to one run, starting from any of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.runs import stages
from threadweaver.runs.records import MANIFEST_FILE, SETTINGS_FILE, read_settings

STAGES = tuple(name for name in stages.STAGES if name != "save")
"""The stages that keep a folder of samples, in order."""
PLAIN, DATASET = "plain", "dataset"
"""A folder of texts that no stage wrote; a parquet or .jsonl file, or a folder of these."""


@dataclass(frozen=True, slots=True)
class Place:
    """One stage's folder."""

    stage: str
    path: Path
    settings: dict = field(default_factory=dict)

    def file(self, *parts: str) -> Path | None:
        """Return a file of this folder; None if it is missing, or a link leads out of the folder."""
        return inside(self.path, self.path.joinpath(*parts))


def inside(folder: Path, path: Path) -> Path | None:
    """Return a path if it is a file in this folder, links followed: what comes from others may link to anything."""
    try:
        return path if path.is_file() and path.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a name too long, NUL, links in a circle
        return None


@dataclass(frozen=True, slots=True)
class Run:
    """The stages of a run, in order. `kind` is the stage of the root, or PLAIN or DATASET."""

    root: Path
    kind: str
    places: tuple[Place, ...]
    text_column: str | None = None
    """Of a dataset: the column with the trajectories, or None for the columns of our own."""

    def place(self, stage: str) -> Place | None:
        return next((place for place in self.places if place.stage == stage), None)

    @property
    def shown(self) -> tuple[Place, ...]:
        """The stages up to the root's own, which the list covers."""
        order = [place.stage for place in self.places]
        return self.places[: order.index(self.kind) + 1] if self.kind in order else self.places

    @property
    def collected(self) -> Path | None:
        place = self.place("collect") or Place(PLAIN, self.root)
        return place.file("collected.jsonl")

    @property
    def review_file(self) -> Path:
        """The file of the reviews: in a stage's folder, but next to a dataset, whose folder holds only the dataset."""
        if self.kind == DATASET:
            return self.root.parent / f"{self.root.name}.review.jsonl"
        return self.root / "review.jsonl"


def find(root: Path, text_column: str | None = None) -> Run:
    """Return the run that `root` belongs to; raises UserError when there is nothing to show, or no dataset with a text
    column is."""
    run = _find(root)
    if text_column and run.kind != DATASET:
        raise UserError(f"{root} is not a dataset (parquet or .jsonl): leave --text_column out, or name another --root")
    return replace(run, text_column=text_column)


def find_all(roots: Sequence[Path], text_column: str | None = None) -> list[Run]:
    """Return the runs of these roots, each once; a folder that holds runs or datasets stands for all of them."""
    found = {}
    for root in roots:
        for each in (_ends(root.resolve()) if root.is_dir() else []) or [root]:
            run = find(each, text_column)
            found[run.root] = run
    return list(found.values())


def _ends(folder: Path) -> list[Path]:
    """Return the last stages of the runs in a folder, or else its datasets; empty if the folder is itself one of these."""
    if _place(folder) or any(_has(folder, name) for name in ("*.txt", "collected.jsonl", "*.parquet", "state.json")):
        return []
    children = [child for child in sorted(folder.iterdir()) if child.is_dir() and not child.name.startswith(".")]
    places = [place for child in children if (place := _place(child))]
    read = {before.path for place in places for before in _before(place)}
    datasets = [child for child in children if not _place(child) and _has(child, "*.parquet")]
    ends = [place.path for place in places if place.path not in read]
    return ends or (datasets if len(datasets) > 1 and not _has(folder, "*.jsonl") else [])


def _find(root: Path) -> Run:
    if not root.exists():
        raise UserError(f"{root} not found: name a folder of trajectories with --root")
    root = root.resolve()
    if root.is_file():
        if root.suffix in (".parquet", ".jsonl") and root.name != "collected.jsonl":
            return Run(root, DATASET, ())
        root = root.parent
    if place := _place(root):
        return Run(root, place.stage, tuple(_chain(place)))
    if (root / "collected.jsonl").is_file():
        return Run(root, "collect", (Place("collect", root),))
    if _has(root, "*.txt"):
        return Run(root, PLAIN, (Place(PLAIN, root),))
    inside = [child.name for child in sorted(root.iterdir()) if child.is_dir() and _place(child)]
    if inside:
        raise UserError(f"{root} holds the stages of a run: name one of them with --root, for example {inside[-1]}")
    if _has(root, "*.parquet") or _has(root, "*.jsonl") or _has(root, "state.json") or _has(root, "*/*.parquet"):
        _refuse_links_out(root)
        return Run(root, DATASET, ())
    raise UserError(
        f"{root} holds nothing that can be shown (no <i>.txt, collected.jsonl, parquet or .jsonl): name another --root"
    )


def _refuse_links_out(root: Path) -> None:
    """Raise UserError if a dataset's folder has a link to a file outside; in the hub's cache, outside its repository."""
    repository = next((folder.parent for folder in (root, *root.parents) if folder.name == "snapshots"), root)
    for path in root.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(repository):
            raise UserError(f"{path} is a link to a file outside the folder: name that file with --root, or remove it")


def _has(root: Path, pattern: str) -> bool:
    return next(root.glob(pattern), None) is not None


def _place(folder: Path) -> Place | None:
    there = [path for name in (SETTINGS_FILE, MANIFEST_FILE) if (path := folder / name).exists()]
    if not there or not all(inside(folder, path) for path in there):
        return None
    try:
        settings = read_settings(folder)
    except UserError:
        return None
    return Place(settings["stage"], folder, settings) if settings and settings["stage"] in STAGES else None


def _chain(place: Place) -> Iterator[Place]:
    """Return the stages before this one, itself, and those after it, in order."""
    found = {place.stage: place}
    pending = [place]
    while pending:
        for earlier in _before(pending.pop()):
            if earlier.stage not in found:
                found[earlier.stage] = earlier
                pending.append(earlier)
    siblings = [other for child in sorted(place.path.parent.iterdir()) if child.is_dir() and (other := _place(child))]
    last = place
    while after := _after(last, siblings):
        found.setdefault(after.stage, after)
        last = after
    return (found[stage] for stage in STAGES if stage in found)


def _before(place: Place) -> Iterator[Place]:
    for key in ("input", "chains", "referee"):
        named = place.settings.get(key)
        if not isinstance(named, str):
            continue
        path = (place.path / named).resolve()
        earlier = _place(path.parent if path.suffix in (".jsonl", ".txt") else path)
        if earlier and STAGES.index(earlier.stage) < STAGES.index(place.stage):
            yield earlier


def _after(place: Place, siblings: list[Place]) -> Place | None:
    """Return the stage that was made from this one, of several the one written last."""
    made = [other for other in siblings if any(before.path == place.path for before in _before(other))]
    later = [other for other in made if STAGES.index(other.stage) == STAGES.index(place.stage) + 1] or [
        other for other in made if STAGES.index(other.stage) > STAGES.index(place.stage)
    ]
    return max(later, key=_written, default=None)


def _written(place: Place) -> int:
    """Return when a stage began to write its folder."""
    paths = (place.path / name for name in (SETTINGS_FILE, MANIFEST_FILE))
    return max((path.stat().st_mtime_ns for path in paths if path.is_file()), default=0)
