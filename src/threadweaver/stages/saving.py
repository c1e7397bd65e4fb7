"""Save the dataset: choose the accepted trajectories that become rows, and write the files."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from threadweaver.corpus import training_rows
from threadweaver.corpus.chat import INSTRUCTION
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, TEMPLATE_DATE, Tokenizer, load_tokenizer, short_name
from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest, read_jsonl, to_json, to_pretty_json, write_atomic
from threadweaver.runs.account import WRONG, Account, kept_wrong
from threadweaver.runs.folder import ACCOUNT_FILE, SETTINGS_FILE, AccountEntry
from threadweaver.runs.runner import Result, Task
from threadweaver.samples import sample_key
from threadweaver.stages.collected import Row, samples_of
from threadweaver.stages.traced import Traced, is_lineage_of
from threadweaver.text import parse_json, unstorable
from threadweaver.trajectory import markup

MAX_TOKENS = 40960
"""Training length allowed: what the published trainer's context holds."""


ORIGINS = ("source", "licence", "license")
"""Columns of collected rows that say where a row comes from: the card counts their values."""
MOST_ORIGINS = 20

FILES = "files.json"
"""What the dataset's folder holds, with digests; written last."""
CARD = "README.md"
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
        }


@dataclass(frozen=True, slots=True)
class Trajectories:
    """The accepted trajectories by sample number, and the faults of those that are not what was accepted."""

    sound: Mapping[str, Traced]
    faults: Mapping[str, SampleFault]
    edited: Mapping[str, tuple[str, ...]]
    """Files that were changed by hand, and taken, by sample number."""


def read_trajectories(tasks: Iterable[Task], rows: Mapping[str, Row], collected: Path) -> Trajectories:
    """Take the trajectories that `traced_tasks` read, and check each against the chain that it was made from."""
    sound, edited = {}, {id: row.edited for id, row in rows.items() if row.edited}
    faults = {id: row.fault for id, row in rows.items() if row.fault}
    for task in tasks:
        id, traced = task.id, task.payload
        if id in faults or task.fault:
            faults[id] = task.fault or faults[id]
            continue
        if id not in rows:
            raise UserError(
                f"the trajectory {id}.txt has no collected sample in {collected}: they belong to different runs"
            )
        sample = rows[id].sample
        if traced.lineage and traced.lineage.uuid != sample.uuid:
            raise UserError(
                f"the trajectory {id}.txt belongs to {traced.lineage.uuid}, the collected sample is {sample.uuid}"
            )
        if traced.lineage and not is_lineage_of(traced.lineage, sample.thinking):
            raise UserError(f"the trajectory {id}.txt was made from another chain than {collected} holds")
        sound[id] = traced
        if names := (*edited.get(id, ()), *task.edited):
            edited[id] = names
    return Trajectories(sound, faults, edited)


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


class Saver:
    """Decides on each row, then writes the files.

    `folder` is the folder of the trajectories and `collected` that of their chains; `review` maps the uuids that a
    person has reviewed to their verdicts.
    """

    def __init__(
        self,
        options: SaveOptions,
        rows: Mapping[str, Row],
        found: Trajectories,
        folder: Path,
        collected: Path,
        review: Mapping[str, str],
    ):
        self.options, self.samples, self.trajectories, self.found = options, samples_of(rows), found.sound, found
        self.folder, self.collected, self.review = folder, collected, review
        wanted = {*found.sound, *(id for id in found.faults if id not in rows or rows[id].fault is None)}
        every = {**rows, **found.faults}
        self.ids = sorted((id for id in every if id in wanted or not options.matched_only), key=sample_key)
        self.drawn = set(self.ids)
        if options.sample_size is not None and options.sample_size < len(self.ids):
            self.drawn = set(random.Random(options.seed).sample(self.ids, options.sample_size))

    @cached_property
    def tokenizer(self) -> Tokenizer | None:
        return load_tokenizer(self.options.tokenizer) if self.options.build_chat else None

    @cached_property
    def tagged(self) -> Tokenizer:
        """The tokenizer as trainers set it up, with the tags as single tokens."""
        return self.tokenizer.with_tags(markup.TAGS)

    def load(self) -> None:
        """Load the tokenizer now; raises UserError, before anything is written, if it cannot be loaded."""
        _ = self.tokenizer

    def tasks(self) -> Iterator[Task]:
        for id in self.ids:
            if fault := self.found.faults.get(id):
                sample = self.samples.get(id)
                yield Task(id, "", None, sample.uuid if sample else "", fault)
                continue
            sample, traced = self.samples[id], self.trajectories.get(id)
            source = digest(to_json(sample.to_row()) + (traced.text if traced else ""))
            yield Task(id, source, sample, sample.uuid, edited=self.found.edited.get(id, ()))

    def __call__(self, task: Task) -> Result:
        if self.review.get(task.uuid) == "reject":
            return Result("rejected", "review")
        if task.id not in self.drawn:
            return Result("rejected", "not_drawn")
        if reason := self._unfit(task):
            return Result("rejected", reason)
        if token := self._special_token(task):
            return Result("rejected", "special_token", facts={"detail": token})
        row = self._row(task.id)
        facts = {"training_length": row.training_length}
        if row.training_length > self.options.max_tokens:
            return Result("rejected", "over_max_tokens", facts=facts)
        return Result("ok", facts=facts)

    def _unfit(self, task: Task) -> str | None:
        """Return why a sample cannot be a row whatever the options; stage 5 lets no such text pass."""
        reasoning, sample = self._reasoning(task.id)[0], task.payload
        return unstorable([sample.problem, reasoning, sample.output, sample.solution]) or (
            None if reasoning.strip() else "empty"
        )

    def _special_token(self, task: Task) -> str | None:
        if not self.tokenizer or not self.options.sanitize:
            return None
        return training_rows.special_token(task.payload, self._reasoning(task.id)[0], self.tokenizer)

    def _reasoning(self, id: str) -> tuple[str, str]:
        """Return what is saved as the reasoning, and where it comes from."""
        traced = self.trajectories.get(id)
        return (traced.text, f"{self.folder.name}/{id}.txt") if traced else (self.samples[id].thinking, "sequential")

    def _row(self, id: str) -> training_rows.Row:
        reasoning, source = self._reasoning(id)
        deepseek = self.options.template == "deepseek"
        return training_rows.build_row(
            self.samples[id],
            reasoning,
            source,
            self.tokenizer,
            instruction=self.options.instruction,
            deepseek=deepseek,
            blocks=_of_blocks(self.trajectories.get(id)),
        )

    def write(self, output: Path, entries: Sequence[AccountEntry], run: Account, *, fresh: bool) -> None:
        """Write all parquet files and cards, unless no entry is new (`fresh`) and they are there whole.

        `files.json`, written last, lists them: a write that was cut short is done again, with what it left removed
        first, so that files of two settings never lie side by side.
        """
        kept = [entry.id for entry in entries if entry.outcome == "ok"]
        if not kept:
            raise UserError(f"no row is left to save ({dict(Counter(entry.reason for entry in entries))})")
        if not fresh and _is_whole(output):
            return
        rows = [self._row(id) for id in kept]
        train, validation = training_rows.split_validation(rows, self.options.val_size, self.options.seed)
        _remove(output)
        repeat = self.options.repeat
        parts = {"sample": self._write_rows(output / f"sample_{len(train)}", train, "train", 1, run)}
        if repeat > 1:
            repeated = output / f"sample_{len(train)}_{repeat}x"
            parts["repeated"] = self._write_rows(repeated, train, "train", repeat, run)
        parts["val"] = self._write_rows(output / f"val_{len(validation)}", validation, "val", 1, run)
        if self.options.units:
            parts["units"] = self._write_units(output, "units", train, "train", run)
            parts["val_units"] = self._write_units(output, "val_units", validation, "val", run)
        found = {name: str(path.relative_to(output)) for name, path in parts.items() if path}
        write_atomic(output / CARD, training_rows.top_card(output.name, found, self.options.license, self._origin(run)))
        files = sorted(path for path in (*output.glob("*/*"), output / CARD) if path.is_file())
        made = {
            **_made_from(output),
            "files": {str(path.relative_to(output)): digest(path.read_bytes()) for path in files},
        }
        write_atomic(output / FILES, to_pretty_json(made))

    def _write_rows(
        self, folder: Path, rows: list[training_rows.Row], split: str, repeat: int, run: Account
    ) -> Path | None:
        """Write rows and their card; return the parquet file, None if there are no rows."""
        if not rows:
            return None
        facts = {"rows": len(rows) * repeat, "repeated": repeat}
        facts |= {"read": len(run.stages[0].entries)} if run.stages else {}
        facts |= {stage.label: len(stage.passed) for stage in run.stages}
        facts |= self._notes(rows, run)
        card = training_rows.card(
            f"{folder.parent.name}, {split}",
            facts,
            [stage.settings for stage in run.stages],
            self.options.license,
            self._origin(run),
        )
        return training_rows.write(folder, rows, card, split=split, repeat=repeat)

    def _write_units(
        self, output: Path, prefix: str, rows: list[training_rows.Row], split: str, run: Account
    ) -> Path | None:
        """Write the units of rows and their card; return the parquet file, None if there are no rows."""
        if not rows:
            return None
        pairs = (pair for row in rows for pair in training_rows.unit_rows(row, self.tagged))
        name, facts = f"{output.name}, {split}, units", {"rows": len(rows)} | self._notes(rows, run)
        licence, source = self.options.license, self._origin(run)
        return training_rows.write_units(output, prefix, pairs, name, facts, licence, source, split=split)

    def _notes(self, rows: Sequence[training_rows.Row], run: Account) -> dict[str, object]:
        """Return what a reader of the card has to know: rows that something calls wrong, a date that is made up."""
        uuids = {row.columns["uuid"] for row in rows}
        wrong = {fact: {self.samples[id].uuid for id in ids} for fact, ids in kept_wrong(run).items()}
        notes: dict[str, object] = {}
        kept = [sample for sample in self.samples.values() if sample.uuid in uuids]
        for name in ORIGINS:
            counted = Counter(str(sample.extra[name]) for sample in kept if sample.extra.get(name))
            shown = [f"{value} {number}" for value, number in counted.most_common(MOST_ORIGINS)]
            more = [f"{len(counted) - MOST_ORIGINS} others"] if len(counted) > MOST_ORIGINS else []
            notes |= {name: ", ".join([*shown, *more])} if counted else {}
        notes |= {f"rows {WRONG[fact]}": len(uuids & found) for fact, found in wrong.items()}
        filtered = run.stage("filter")
        worth = [
            block
            for entry in (filtered.entries if filtered else ())
            if entry.uuid in uuids
            for block in entry.facts.get("worth", ())
        ]
        if worth:
            notes["blocks"] = len(worth)
            notes["blocks of new work"] = sum(block["new"] for block in worth)
            notes["blocks after the final answer"] = sum(block["after_answer"] for block in worth)
        if self.tokenizer and self.tokenizer.has_date:
            notes["date in the chat template, always"] = f"{TEMPLATE_DATE:%Y-%m-%d}"
        return notes

    def _origin(self, run: Account) -> str:
        """Return what the chains come from: what the user names, else the name of their dataset."""
        first = run.stage("collect")
        return self.options.source or (str(first.settings["dataset"]) if first else self.collected.name)


def _of_blocks(traced: Traced | None) -> dict[str, object]:
    """Return what is known of each block: kind and novelty, and the referee's verdict on its independence."""
    lineage = traced.lineage if traced else None
    if lineage is None:
        return {"block_kinds": None, "independence": None}
    kinds = [{"kind": block.kind, "novelty": block.novelty} for block in lineage.blocks]
    judged = [note["independent"] for note in lineage.notes if note.get("kind") == "referee" and "independent" in note]
    return {"block_kinds": kinds, "independence": judged or None}


def _is_whole(output: Path) -> bool:
    """Whether the files of this account are there as they were written."""
    try:
        made = parse_json((output / FILES).read_bytes())
    except (FileNotFoundError, ValueError):  # it can be made again
        return False
    if not isinstance(made, dict) or not isinstance(made.get("files"), dict):
        return False
    if {**made, **_made_from(output)} != made:
        return False
    return all(
        (output / name).is_file() and digest((output / name).read_bytes()) == expected
        for name, expected in made["files"].items()
    )


def _made_from(output: Path) -> dict[str, str]:
    """Return the digests of what the files follow from: which samples are rows, and how they are written."""
    return {name.partition(".")[0]: digest((output / name).read_bytes()) for name in (ACCOUNT_FILE, SETTINGS_FILE)}


def _remove(output: Path) -> None:
    """Remove what was saved before."""
    for name in (FILES, CARD):
        (output / name).unlink(missing_ok=True)
    for old in output.glob("*/*.parquet"):
        old.unlink()
        (old.parent / "README.md").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            old.parent.rmdir()
