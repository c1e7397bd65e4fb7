"""What a stage is given: the samples of the folder before it, each file held against the account there.

A folder without settings, account and manifest is somebody else's, and is taken as it is. In one of ours, a file that
is not what its account says, is missing or is not in it, is that sample's fault `altered`; `--accept-edits` takes it.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from threadweaver.errors import SampleFault, UserError, setting
from threadweaver.files import digest
from threadweaver.runs.records import LOSSES, AccountEntry, Finished, read_finished
from threadweaver.runs.shards import SETTING, Shard
from threadweaver.samples import NoSamples, list_samples, sample_key
from threadweaver.text import decode, shown

ALTERED = "altered"
"""Reason of a sample whose input is not what the stage before left."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a folder, read and held against what its account says of them. Small: sent to other processes."""

    folder: Path
    foreign: bool = False
    accept_edits: bool = False

    def text(self, name: str, known: str | None, edited: list[str] | None = None) -> str:
        """Return the text of a file; `known` is its hash in the account. One that was changed by hand, if such are
        taken, is added to `edited`.

        Raises SampleFault when it is missing, not what the account says, or not text.
        """
        try:
            data = (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise SampleFault(
                ALTERED, f"{self.folder.name}/{name} is missing: run the stage that wrote it again"
            ) from None
        except (OSError, ValueError) as error:
            raise SampleFault("unreadable", f"{self.folder.name}/{name} cannot be read ({error})") from None
        self.check(name, digest(data), known, edited)
        try:
            return decode(data)
        except ValueError as error:
            raise SampleFault("not_text", f"{name} is {error}") from None

    def check(self, name: str, found: str, known: str | None, edited: list[str] | None = None) -> None:
        """Raise SampleFault if a hash is not the one that the account has, unless changes are taken."""
        if self.foreign or found == known:
            return
        if not self.accept_edits:
            what = "was changed after that stage had ended" if known else "was not written by that stage"
            raise SampleFault(
                ALTERED, f"{self.folder.name}/{name} {what}: run that stage again, or take it with --accept-edits"
            )
        if edited is not None:
            edited.append(name)


@dataclass(frozen=True, slots=True)
class Given:
    """A folder of samples that a stage reads; `before` is None if it is somebody else's."""

    folder: Path
    before: Finished | None
    accept_edits: bool = False
    only: str | None = None
    """The one file that was named, if it was not the folder."""

    @classmethod
    def open(cls, path: Path, *, accept_edits: bool = False) -> Given:
        """Take a folder or one file of it; raises UserError if it is missing or of a stage that did not end."""
        if not path.exists():
            other = setting("name another folder", "correct SRC_NAME, INPUT_SUFFIX or NUM_SAMPLES")
            raise UserError(f"{shown(str(path))} not found: run the stage before it, or {other}")
        folder, only = (path, None) if path.is_dir() else (path.parent, path.name)
        return cls(folder, read_finished(folder), accept_edits, only)

    @property
    def files(self) -> Files:
        return Files(self.folder, self.foreign, self.accept_edits)

    @property
    def path(self) -> Path:
        """What was named."""
        return self.folder / self.only if self.only else self.folder

    @property
    def foreign(self) -> bool:
        return self.before is None

    def passed(self) -> list[str]:
        """Return the ids of the samples that the stage before passed on; none for a foreign folder."""
        return self.before.index.passed() if self.before else []

    def entry(self, id: str) -> AccountEntry | None:
        """Return what the stage before says of a sample, None if it does not know it."""
        return self.before.index.get(id) if self.before else None

    def entries(self, ids: Sequence[str]) -> Iterator[AccountEntry | None]:
        """Return what the stage before says of these samples, in their order."""
        return self.before.index.each(ids) if self.before else repeat(None, len(ids))

    def known(self, id: str) -> Mapping[str, str]:
        """Return the hashes of the files of a sample, by name."""
        entry = self.entry(id)
        return entry.files if entry else {}

    def unknown(self, names: Iterable[str]) -> set[str]:
        """Return those of the files that the stage before did not write."""
        left = set(names)
        for entry in self.before.entries if left and self.before else ():
            left.difference_update(entry.files)
        return left

    @property
    def shard(self) -> Shard | None:
        """The shard that this folder is of, which may be empty."""
        return Shard.of(self.before.settings) if self.before else None

    def part(self) -> dict[str, object]:
        """Return the setting that a folder made from a shard's has, too."""
        return {SETTING: str(self.shard)} if self.shard else {}

    def report(self) -> None:
        """Report that a folder is somebody else's."""
        if self.foreign:
            print(shown(f"{self.folder} is not a stage's folder: it is taken as it is, unchecked"))

    def names(self, pattern: str = "*.txt") -> list[str]:
        """Return the samples' files in the order of their numbers: those that are there and those that should be.

        Raises UserError when there are none, unless it is a shard's folder.
        """
        if self.only:
            return [self.only]
        expected = {f"{id}.txt" for id in self.passed() if fnmatch.fnmatch(f"{id}.txt", pattern)}
        try:
            found = {path.name for path in list_samples(self.folder, pattern)}
        except NoSamples:
            if not expected and not self.shard:
                raise self.nothing() from None
            found = set()
        return sorted(found | expected, key=sample_key)

    def nothing(self) -> NoSamples:
        """Return the error of a folder without samples, with the reason if the stage that wrote it lost them all."""
        lost = (
            Counter(str(entry.reason) for entry in self.before.entries if entry.outcome in LOSSES)
            if self.before
            else {}
        )
        if not lost:
            return NoSamples(f"{self.folder} holds no samples: run the stage before it, or name another folder")
        reasons = ", ".join(f"{reason} {count}" for reason, count in lost.most_common())
        return NoSamples(
            f"{self.folder} holds no samples: all {lost.total()} were lost in the stage that wrote it ({reasons}); "
            "change that, and run it again"
        )


def listed(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that match a pattern."""
    return [name for name in names if fnmatch.fnmatch(name, pattern)]
