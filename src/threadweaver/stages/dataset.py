"""The files of a dataset: rows for training, repeated, held out, as units; their cards; and whether they are whole."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from threadweaver.corpus import training_rows
from threadweaver.corpus.duplicates import normalized_problem
from threadweaver.corpus.tokenizer import TEMPLATE_DATE, Tokenizer, short_name
from threadweaver.errors import UserError
from threadweaver.files import digest_file, to_pretty_json, write_atomic
from threadweaver.runs.account import WRONG, Account, kept_wrong
from threadweaver.runs.folder import ACCOUNT_FILE, SETTINGS_FILE
from threadweaver.runs.pool import Died, in_order
from threadweaver.runs.runner import Result, StageReport, Task
from threadweaver.stages import mixing
from threadweaver.stages.saving import ORIGINS, SavedRow, SaveOptions
from threadweaver.text import parse_json
from threadweaver.trajectory import markup

MOST_ORIGINS = 20
FILES = "files.json"
"""What the dataset's folder holds, with digests; written last."""
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the cards need to know of a row."""

    id: str
    uuid: str
    problem: str
    origins: tuple[str | None, ...]


class Dataset:
    """Takes the rows one by one, then writes the files; only their ids and problems are in memory (context manager).

    `collected` is the folder of the chains.
    """

    def __init__(self, output: Path, options: SaveOptions, tokenizer: Tokenizer | None, collected: Path, jobs: int = 1):
        self.output, self.options, self.tokenizer, self.collected, self.jobs = (
            output,
            options,
            tokenizer,
            collected,
            jobs,
        )
        self.kept: list[_Kept] = []
        self.mixed: Counter[str] = Counter()
        """Rows of earlier datasets, by their names."""
        self._texts: set[int] = set()
        self.spool = training_rows.Spool(output / ".rows.part")

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exception) -> None:
        self.spool.discard()

    def take(self, task: Task, result: Result) -> None:
        """Take what became of a sample."""
        row: SavedRow | None = result.value
        if result.outcome == "ok":
            self.kept.append(_Kept(task.id, task.uuid, row.problem, row.origins))
            self.spool.add(row.columns)
            if self.options.mix:
                self._texts.add(_text_of(row.columns))

    def _mix(self) -> None:
        """Add the rows of the earlier datasets, in their order; a row that is there already is not added again."""
        columns = list(self.spool.columns)
        for dataset in self.options.mix:
            for row in mixing.rows_of(dataset, columns, short_name(self.options.tokenizer)):
                if (text := _text_of(row)) not in self._texts:
                    self._texts.add(text)
                    problem = normalized_problem(str(row["question"])) if self.options.val_size else ""
                    self.kept.append(_Kept("", str(row["uuid"]), problem, (None,) * len(ORIGINS)))
                    self.spool.add(row)
                    self.mixed[dataset.name] += 1

    def write(self, report: StageReport, run: Account) -> None:
        """Write all parquet files and cards.

        `files.json`, written last, lists them: a write that was cut short is done again, with what it left removed
        first, so that files of two settings never lie side by side.
        """
        if not self.kept:
            raise UserError(f"no row is left to save ({dict(Counter(entry.reason for entry in report.entries))})")
        self._mix()
        self.spool.close()
        _remove(self.output)
        held_out = training_rows.split_validation(
            [row.problem for row in self.kept], self.options.val_size, self.options.seed
        )
        train = _Part(self, run, "train", [not held for held in held_out])
        validation = _Part(self, run, "val", held_out)
        parts = {"sample": train.write(self.output / f"sample_{train.count}")}
        if self.options.repeat > 1:
            repeated = self.output / f"sample_{train.count}_{self.options.repeat}x"
            parts["repeated"] = train.write(repeated, self.options.repeat)
        parts["val"] = validation.write(self.output / f"val_{validation.count}")
        if self.options.units:
            parts["units"], parts["val_units"] = train.write_units("units"), validation.write_units("val_units")
        self._finish({name: str(path.relative_to(self.output)) for name, path in parts.items() if path}, run)

    def _finish(self, found: dict[str, str], run: Account) -> None:
        """Write the card of the whole, and the list of the files."""
        card = training_rows.top_card(self.output.name, found, self.options.license, self.origin(run))
        write_atomic(self.output / CARD, card)
        files = sorted(path for path in (*self.output.glob("*/*"), self.output / CARD) if path.is_file())
        digests = {str(path.relative_to(self.output)): digest_file(path) for path in files}
        write_atomic(self.output / FILES, to_pretty_json({**_made_from(self.output), "files": digests}))

    def origin(self, run: Account) -> str:
        """Return what the chains come from: what the user names, else the name of their dataset."""
        first = run.stage("collect")
        return self.options.source or (str(first.settings["dataset"]) if first else self.collected.name)


class _Part:
    """The rows of one side of the dataset; `keep` says which."""

    def __init__(self, dataset: Dataset, run: Account, split: str, keep: Sequence[bool]):
        self.dataset, self.run, self.split, self.keep = dataset, run, split, keep
        self.rows = [row for row, kept in zip(dataset.kept, keep, strict=True) if kept]
        self.count = len(self.rows)

    def write(self, folder: Path, repeat: int = 1) -> Path | None:
        """Write the rows, `repeat` times over, and their card; return the parquet file, None if there are no rows."""
        if not self.rows:
            return None
        facts = {"rows": self.count * repeat, "repeated": repeat}
        facts |= {"read": len(self.run.stages[0].entries)} if self.run.stages else {}
        facts |= {stage.label: len(stage.passed) for stage in self.run.stages}
        facts |= self._notes()
        card = training_rows.card(
            f"{folder.parent.name}, {self.split}",
            facts,
            [stage.settings for stage in self.run.stages],
            self.dataset.options.license,
            self.dataset.origin(self.run),
        )
        tables = self.dataset.spool.tables(self.keep, repeat)
        return training_rows.write(folder, tables, card, split=self.split)

    def write_units(self, prefix: str) -> Path | None:
        """Write the units of the rows and their card; return the parquet file, None if there are no rows."""
        if not self.rows:
            return None
        name, facts = f"{self.dataset.output.name}, {self.split}, units", {"rows": self.count} | self._notes()
        return training_rows.write_units(
            self.dataset.output,
            prefix,
            self._units(),
            name,
            facts,
            self.dataset.options.license,
            self.dataset.origin(self.run),
            split=self.split,
        )

    def _units(self) -> Iterator[dict[str, object]]:
        rows = (training_rows.Row(columns, 0) for columns in self.dataset.spool.rows(self.keep))
        tagged = self.dataset.tokenizer.with_tags(markup.TAGS)  # as trainers set it up, with the tags as single tokens
        with contextlib.closing(
            in_order(rows, partial(training_rows.unit_rows, tokenizer=tagged), self.dataset.jobs)
        ) as found:
            for row, units in found:
                if isinstance(units, Died):
                    raise UserError(f"no units can be made of {row.columns['uuid']}: {units.detail}")
                yield from units

    def _notes(self) -> dict[str, object]:
        """Return what a reader of the card has to know: rows that something calls wrong, a date that is made up."""
        notes: dict[str, object] = {f"rows from {name}": count for name, count in self.dataset.mixed.items()}
        for place, name in enumerate(ORIGINS):
            counted = Counter(row.origins[place] for row in self.rows if row.origins[place])
            shown = [f"{value} {number}" for value, number in counted.most_common(MOST_ORIGINS)]
            more = [f"{len(counted) - MOST_ORIGINS} others"] if len(counted) > MOST_ORIGINS else []
            notes |= {name: ", ".join([*shown, *more])} if counted else {}
        ids, uuids = {row.id for row in self.rows}, {row.uuid for row in self.rows}
        notes |= {f"rows {WRONG[fact]}": len(ids & {*found}) for fact, found in kept_wrong(self.run).items()}
        worth: Counter[str] = Counter()
        filtered = self.run.stage("filter")
        for entry in filtered.entries if filtered else ():
            for block in entry.facts.get("worth", ()) if entry.uuid in uuids else ():
                worth.update(("blocks",) + ("new",) * block["new"] + ("after",) * block["after_answer"])
        if worth:
            notes["blocks"] = worth["blocks"]
            notes["blocks of new work"] = worth["new"]
            notes["blocks after the final answer"] = worth["after"]
        if self.dataset.tokenizer and self.dataset.tokenizer.has_date:
            notes["date in the chat template, always"] = f"{TEMPLATE_DATE:%Y-%m-%d}"
        return notes


def _text_of(columns: Mapping[str, object]) -> int:
    return hash((columns["question"], columns["response_reasoning"]))


def is_whole(output: Path) -> bool:
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
        (output / name).is_file() and digest_file(output / name) == expected for name, expected in made["files"].items()
    )


def _made_from(output: Path) -> dict[str, str]:
    """Return the digests of what the files follow from: which samples are rows, and how they are written."""
    return {name.partition(".")[0]: digest_file(output / name) for name in (ACCOUNT_FILE, SETTINGS_FILE)}


def _remove(output: Path) -> None:
    """Remove what was saved before."""
    for name in (FILES, CARD):
        (output / name).unlink(missing_ok=True)
    for old in output.glob("*/*.parquet"):
        old.unlink()
        (old.parent / "README.md").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            old.parent.rmdir()
