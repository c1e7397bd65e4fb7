"""What a stage leaves beside its samples' files, read and checked: settings, account, manifest.

settings.json   what the folder was made with; written first
account.jsonl   one line per sample: outcome, reason, hashes of inputs and outputs
manifest.json   settings, counts and the account's hash; written last, so it means "done"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest_file
from threadweaver.runs.entries import LOSSES as LOSSES
from threadweaver.runs.entries import OUTCOMES as OUTCOMES
from threadweaver.runs.entries import AccountEntry as AccountEntry
from threadweaver.runs.entries import Entries, EntryIndex, read_lines
from threadweaver.runs.stages import STAGES
from threadweaver.text import parse_json

SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE, LOCK_FILE = "settings.json", "account.jsonl", "manifest.json", ".lock"
COLLECTED, SOURCE = "collected.jsonl", "source.json"
"""What stage 0 writes beside its samples' files: their rows and, for a shard alone, the hash of all rows of the source."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A stage that ended."""

    folder: Path
    settings: Mapping[str, object]
    index: EntryIndex

    @property
    def stage(self) -> str:
        return str(self.settings["stage"])

    @property
    def entries(self) -> Entries:
        return self.index.values()


def read_finished(folder: Path) -> Finished | None:
    """Return what a stage left in a folder, or None if no stage of ours wrote it.

    Raises UserError when the stage did not end, or when its account is not the one that it ended with.
    """
    settings, manifest = read_value(folder / SETTINGS_FILE), read_value(folder / MANIFEST_FILE)
    kept = manifest.get("settings") if isinstance(manifest, dict) else None
    if not is_of_stage(kept):
        if is_of_stage(settings) or (folder / ACCOUNT_FILE).is_file():
            why = f"{MANIFEST_FILE} is damaged" if (folder / MANIFEST_FILE).is_file() else f"it has no {MANIFEST_FILE}"
            raise UserError(f"{folder} is not finished ({why}): {_again(settings)}")
        return None
    if is_of_stage(settings) and settings != kept:
        raise UserError(f"{folder}: {SETTINGS_FILE} and {MANIFEST_FILE} differ: {_again(kept)}")
    if not (folder / ACCOUNT_FILE).is_file():
        raise UserError(f"{folder} has no {ACCOUNT_FILE}: {_again(kept)}")
    if digest_file(folder / ACCOUNT_FILE) != manifest.get("account"):
        raise UserError(f"{folder / ACCOUNT_FILE} was changed after the stage had ended: {_again(kept)}")
    return Finished(folder, kept, read_index(folder))


def _again(settings: object) -> str:
    stage = settings.get("stage") if isinstance(settings, dict) else None
    name = STAGES[stage].title if stage in STAGES else "the stage that wrote it"
    return f"run {name} again with this folder as its output, which keeps what is done"


def read_value(path: Path) -> object | None:
    """Return the value of a JSON file, or None if it is missing or damaged."""
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def is_of_stage(settings: object) -> bool:
    """Whether these are settings of a stage: other programs also write a settings.json."""
    return isinstance(settings, dict) and isinstance(settings.get("stage"), str)


def read_settings(folder: Path) -> dict[str, object] | None:
    """Return the settings of a stage's folder, which its manifest repeats; None if no stage wrote it.

    Raises UserError when they are damaged in both.
    """
    settings, manifest = read_value(folder / SETTINGS_FILE), read_value(folder / MANIFEST_FILE)
    repeated = manifest.get("settings") if isinstance(manifest, dict) else None
    if is_of_stage(settings) or is_of_stage(repeated):
        return settings if is_of_stage(settings) else repeated
    if settings is None and (folder / SETTINGS_FILE).is_file() and (folder / ACCOUNT_FILE).is_file():
        raise UserError(f"{folder / SETTINGS_FILE} is damaged: remove the folder, or name another --output")
    return None


def read_account(folder: Path) -> list[AccountEntry]:
    """Return the account of a folder; empty if it has none. Raises UserError at a line of another form."""
    return list(read_index(folder).values())


def read_index(folder: Path) -> EntryIndex:
    """Return the account of a folder, to be read entry by entry. Raises UserError at a line of another form."""
    index = EntryIndex(folder / ACCOUNT_FILE)
    for number, offset, _, entry, fault in read_lines(index.path):
        if entry is None:
            raise UserError(f"{index.path}, line {number}: {fault}: run the stage that wrote it again")
        index.add(offset, entry)
    return index


def own_account(folder: Path) -> Iterator[AccountEntry]:
    """Yield what a stage that continues may take from its earlier account: lines that cannot be read are left out,
    and all of them if the account was changed after the stage had ended."""
    manifest = read_value(folder / MANIFEST_FILE)
    known = manifest.get("account") if isinstance(manifest, dict) else None
    path = folder / ACCOUNT_FILE
    if path.is_file() and known in (None, digest_file(path)):
        yield from (entry for _, entry, _ in account_lines(folder) if entry)


def account_lines(folder: Path) -> Iterator[tuple[int, AccountEntry | None, str]]:
    """Yield the number (from 1) and the entry of every line of an account that is not blank, None with the fault
    where it cannot be read."""
    for number, _, _, entry, fault in read_lines(folder / ACCOUNT_FILE):
        yield number, entry, fault
