"""Save the dataset: which of the accepted trajectories become rows, and what is in a row."""

from __future__ import annotations

import glob
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from threadweaver.corpus import training_rows
from threadweaver.corpus.chat import INSTRUCTION
from threadweaver.corpus.duplicates import normalized_problem
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, Tokenizer, load_tokenizer, short_name
from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest, read_jsonl, to_json
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Places, Result, Task, read_task
from threadweaver.samples import NoSamples, Sample, sample_key
from threadweaver.stages import mixing
from threadweaver.stages.collected import RowPlace, RowReader, Rows
from threadweaver.stages.traced import Place, Traced, TracedReader, is_lineage_of, traced_names
from threadweaver.text import unstorable

MAX_TOKENS = 40960
"""Training length allowed: what the published trainer's context holds."""
ORIGINS = ("source", "licence", "license")
"""Columns of collected rows that say where a row comes from: the card counts their values."""
FROM_OTHERS = ("stage", "input")
"""Settings that say from what a dataset was made. When only others differ, it is made again: that costs nothing, and
everything in it comes from the same trajectories."""


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """Options that determine the rows and files of a dataset; the command's flags have the same names."""

    tokenizer: str = DEFAULT_TOKENIZER
    build_chat: bool = True
    template: str = "qwen"
    instruction: str = INSTRUCTION
    max_tokens: int = MAX_TOKENS
    sample_size: int | None = None
    val_size: int = 0
    repeat: int = 8
    seed: int = 0
    units: bool = False
    sanitize: bool = True
    matched_only: bool = False
    license: str | None = None
    source: str | None = None
    mix: Sequence[Path] = ()
    """Saved datasets whose rows are added."""

    def settings(self) -> dict[str, object]:
        """Return the options as they appear in settings.json."""
        names = (
            "template",
            "instruction",
            "max_tokens",
            "sample_size",
            "val_size",
            "repeat",
            "seed",
            "license",
            "source",
        )
        return {
            "tokenizer": short_name(self.tokenizer),
            "build_chat": self.build_chat,
            "matched_only": self.matched_only,
            "sanitize": self.sanitize,
            **{name: getattr(self, name) for name in names},
            **({"units": True} if self.units else {}),
            **({"mix": mixing.setting_of(self.mix)} if self.mix else {}),
        }


def read_review(path: Path) -> dict[str, str]:
    """Return uuid → verdict, as written by the viewer; raises UserError for a line that is not a review."""
    if not path.is_file():
        raise UserError(f"the review {path} was not found: name the review.jsonl that the viewer wrote")
    verdicts = {}
    for number, row, fault in read_jsonl(path):
        if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("uuid", "verdict")):
            raise UserError(f"{path}, line {number}: {fault or 'not a review (uuid and verdict are needed)'}")
        verdicts[row["uuid"]] = row["verdict"]
    return verdicts


class Accepted:
    """The accepted trajectories of all folders that a pattern matches; of one that several hold, the last one counts.

    Raises UserError when there are none.
    """

    def __init__(self, pattern: str, *, accept_edits: bool):
        literal = Path(pattern)  # brackets in a folder's name are its own, if it exists
        named = (
            [literal.parent] if literal.parent.is_dir() else sorted({Path(path).parent for path in glob.glob(pattern)})
        )
        self.folders = [Given.open(folder, accept_edits=accept_edits) for folder in named]
        self._found: dict[str, int] = {}
        for number, given in enumerate(self.folders):
            try:
                self._found |= {Path(name).stem: number for name in traced_names(given, literal.name)}
            except NoSamples:
                if len(named) == 1:
                    raise
        if not self._found:
            raise UserError(f"no trajectory matches {pattern}: run step 5 first, or name another --trajectory-glob")

    def __contains__(self, id: str) -> bool:
        return id in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def place(self, id: str) -> TrajectoryPlace | None:
        """Return where a trajectory is, None if there is none."""
        if id not in self._found:
            return None
        given = self.folders[self._found[id]]
        return TrajectoryPlace(TracedReader(given.files), Place(f"{id}.txt", given.known(id)))


@dataclass(frozen=True, slots=True)
class TrajectoryPlace:
    read: TracedReader
    place: Place


@dataclass(frozen=True, slots=True)
class SavePlace:
    """Where a collected row and its trajectory are; `drawn` says whether the row is among those to save."""

    row: RowPlace | SampleFault | None
    trajectory: TrajectoryPlace | None
    drawn: bool = True


@dataclass(frozen=True, slots=True)
class Matched:
    """A collected sample and its trajectory, if it has one; what a row is made of."""

    sample: Sample
    traced: Traced | None
    drawn: bool = True

    @property
    def reasoning(self) -> str:
        return self.traced.text if self.traced else self.sample.thinking


@dataclass(frozen=True, slots=True)
class SaveReader:
    """Reads the tasks of `SavePlaces`: the payload is Matched. Raises SampleFault where a file is not what was passed
    on, UserError where row and trajectory are of different runs."""

    rows: RowReader

    def __call__(self, task: Task) -> Task:
        place, traced, edited = task.payload, None, ()
        if place.trajectory:
            found = place.trajectory.read(replace(task, payload=place.trajectory.place))
            traced, edited = found.payload, found.edited
        if isinstance(place.row, SampleFault):
            raise place.row
        if place.row is None:
            raise UserError(
                f"the trajectory {task.id}.txt has no collected sample in {self.rows.path}: they belong to different runs"
            )
        row = self.rows(place.row)
        if row.fault:
            raise row.fault
        self._check(task.id, row.sample, traced)
        source = digest(to_json(row.sample.to_row()) + (traced.text if traced else ""))
        return Task(
            task.id, source, Matched(row.sample, traced, place.drawn), row.sample.uuid, edited=(*row.edited, *edited)
        )

    def _check(self, id: str, sample: Sample, traced: Traced | None) -> None:
        """Raise UserError unless a trajectory was made from this sample's chain."""
        lineage = traced.lineage if traced else None
        if lineage and lineage.uuid != sample.uuid:
            raise UserError(f"the trajectory {id}.txt belongs to {lineage.uuid}, the collected sample is {sample.uuid}")
        if lineage and not is_lineage_of(lineage, sample.thinking):
            raise UserError(f"the trajectory {id}.txt was made from another chain than {self.rows.path} holds")


def save_places(options: SaveOptions, rows: Rows, accepted: Accepted) -> tuple[Sequence[Task], SaveReader]:
    """Return one unread task per sample that may become a row, and what reads them. Raises UserError for a trajectory
    without a collected sample."""
    reader = SaveReader(rows.reader)
    strangers = [id for id in accepted if not rows.uuid(id)]
    for id in strangers:
        read_task(Task(id, "", SavePlace(None, accepted.place(id))), reader)
    matched = {*accepted} if options.matched_only else {*accepted, *rows.ids}
    ids = sorted(matched, key=sample_key)
    drawn = {*ids}
    if options.sample_size is not None and options.sample_size < len(ids):
        drawn = {*random.Random(options.seed).sample(ids, options.sample_size)}

    def make(ids: Sequence[str]) -> Iterator[Task]:
        for id, row in zip(ids, rows.places(ids), strict=True):
            yield Task(id, "", SavePlace(row, accepted.place(id), id in drawn), rows.uuid(id))

    return Places(ids, make), reader


@dataclass(frozen=True, slots=True)
class SavedRow:
    """A row, with what the files and cards need to know of it."""

    columns: Mapping[str, object]
    problem: str
    """Its problem, normalized; empty if no rows are held out."""
    origins: tuple[str | None, ...]
    """Its values of `ORIGINS`."""


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Decides on a sample, and makes its row. `review` maps the uuids that a person has reviewed to their verdicts."""

    options: SaveOptions
    tokenizer: Tokenizer | None
    special: tuple[str, ...]
    """Special tokens that no text may contain."""
    folder: str
    """The name of the trajectories' folder."""
    review: Mapping[str, str]

    @classmethod
    def load(cls, options: SaveOptions, folder: str, review: Mapping[str, str]) -> RowMaker:
        """Load the tokenizer; raises UserError if it cannot be loaded."""
        tokenizer = load_tokenizer(options.tokenizer) if options.build_chat else None
        special = training_rows.special_tokens(tokenizer) if tokenizer and options.sanitize else ()
        return cls(options, tokenizer, special, folder, review)

    def __call__(self, task: Task) -> Result:
        """Return whether a sample becomes a row; the value is the row."""
        matched: Matched = task.payload
        sample, reasoning = matched.sample, matched.reasoning
        if self.review.get(task.uuid) == "reject":
            return Result("rejected", "review")
        if not matched.drawn:
            return Result("rejected", "not_drawn")
        if reason := _unfit(sample, reasoning):
            return Result("rejected", reason)
        if token := training_rows.special_token((sample.problem, reasoning, sample.output), self.special):
            return Result("rejected", "special_token", facts={"detail": token})
        row = self._row(task.id, matched)
        facts = {"training_length": row.training_length}
        if row.training_length > self.options.max_tokens:
            return Result("rejected", "over_max_tokens", facts=facts)
        origins = tuple(str(value) if (value := sample.extra.get(name)) else None for name in ORIGINS)
        problem = normalized_problem(sample.problem) if self.options.val_size else ""
        return Result("ok", facts=facts, value=SavedRow(row.columns, problem, origins))

    def _row(self, id: str, matched: Matched) -> training_rows.Row:
        return training_rows.build_row(
            matched.sample,
            matched.reasoning,
            f"{self.folder}/{id}.txt" if matched.traced else "sequential",
            self.tokenizer,
            instruction=self.options.instruction,
            deepseek=self.options.template == "deepseek",
            blocks=_of_blocks(matched.traced),
        )


def _unfit(sample: Sample, reasoning: str) -> str | None:
    """Return why a sample cannot be a row whatever the options; stage 5 lets no such text pass."""
    reason = unstorable([sample.problem, reasoning, sample.output, sample.solution])
    return reason or (None if reasoning.strip() else "empty")


def _of_blocks(traced: Traced | None) -> dict[str, object]:
    """Return what is known of each block: kind and novelty, and the referee's verdict on its independence."""
    lineage = traced.lineage if traced else None
    if lineage is None:
        return {"block_kinds": None, "independence": None}
    kinds = [{"kind": block.kind, "novelty": block.novelty} for block in lineage.blocks]
    judged = [note["independent"] for note in lineage.notes if note.get("kind") == "referee" and "independent" in note]
    return {"block_kinds": kinds, "independence": judged or None}
