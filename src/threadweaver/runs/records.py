"""What a stage leaves beside its samples' files, read and checked: settings, account, manifest.

settings.json   what the folder was made with; written first
account.jsonl   one line per sample: outcome, reason, hashes of inputs and outputs
manifest.json   settings, counts and the account's hash; written last, so it means "done"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest
from threadweaver.runs.stages import STAGES
from threadweaver.text import parse_json, what_is_wrong

SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE, LOCK_FILE = "settings.json", "account.jsonl", "manifest.json", ".lock"
COLLECTED, SOURCE = "collected.jsonl", "source.json"
"""What stage 0 writes beside its samples' files: their rows and, for a shard alone, the hash of all rows of the source."""
OUTCOMES = ("ok", "unchanged", "rejected", "failed")
LOSSES = ("rejected", "failed")
_OUTSIDE = re.compile(r"^/|^$|\0|(^|/)\.\.(/|$)")


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One line of the account."""

    id: str
    outcome: str
    reason: str | None = None
    """A code for every loss, and for `unchanged`."""
    uuid: str = ""
    source: str = ""
    """Hash of the input."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path inside the folder → hash of the file."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the stage measured: counts, tokens, usage."""

    @classmethod
    def from_row(cls, row: object) -> AccountEntry:
        """Read a line of an account; raises ValueError for any other JSON, and for a file outside the folder."""
        if not isinstance(row, dict) or not {"id", "outcome"} <= row.keys() <= _FIELDS:
            raise ValueError("not a line of an account")
        entry = cls(**row)
        texts = (entry.id, entry.outcome, entry.uuid, entry.source, entry.reason or "")
        if not all(isinstance(text, str) for text in texts) or entry.outcome not in OUTCOMES:
            raise ValueError("not a line of an account")
        if not isinstance(entry.files, dict) or not isinstance(entry.facts, dict):
            raise ValueError("not a line of an account")
        for name in (f"{entry.id}.txt", *entry.files):
            if _OUTSIDE.search(name) or not isinstance(entry.files.get(name, ""), str):
                raise ValueError(f"it names a file that is not in its folder ({name!r:.60})")
        return entry


_FIELDS = {item.name for item in fields(AccountEntry)}


@dataclass(frozen=True, slots=True)
class Finished:
    """A stage that ended."""

    folder: Path
    settings: Mapping[str, object]
    entries: tuple[AccountEntry, ...]

    @property
    def stage(self) -> str:
        return str(self.settings["stage"])

    @property
    def passed(self) -> dict[str, AccountEntry]:
        """The samples that the next stage takes."""
        return {entry.id: entry for entry in self.entries if entry.outcome not in LOSSES}


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
    if digest((folder / ACCOUNT_FILE).read_bytes()) != manifest.get("account"):
        raise UserError(f"{folder / ACCOUNT_FILE} was changed after the stage had ended: {_again(kept)}")
    return Finished(folder, kept, tuple(read_account(folder)))


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
    entries = []
    for number, entry, fault in account_lines(folder):
        if entry is None:
            raise UserError(f"{folder / ACCOUNT_FILE}, line {number}: {fault}: run the stage that wrote it again")
        entries.append(entry)
    return entries


def own_account(folder: Path) -> list[AccountEntry]:
    """Return what a stage that continues may take from its earlier account: lines that cannot be read are left out,
    and all of them if the account was changed after the stage had ended."""
    manifest = read_value(folder / MANIFEST_FILE)
    known = manifest.get("account") if isinstance(manifest, dict) else None
    path = folder / ACCOUNT_FILE
    if not path.is_file() or (known is not None and known != digest(path.read_bytes())):
        return []
    return [entry for _, entry, _ in account_lines(folder) if entry]


def account_lines(folder: Path) -> Iterator[tuple[int, AccountEntry | None, str]]:
    """Yield the number (from 1) and the entry of every line of an account that is not blank, None with the fault
    where it cannot be read."""
    path = folder / ACCOUNT_FILE
    if not path.is_file():
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield number, AccountEntry.from_row(parse_json(line)), ""
            except ValueError as error:
                yield number, None, what_is_wrong(error)
