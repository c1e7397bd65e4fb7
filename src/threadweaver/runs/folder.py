"""The folder of a stage: settings, resume, and the account of what became of every sample.

Besides the samples' files it contains:
    settings.json   what the folder was made with; written first
    account.jsonl   one line per sample: outcome, reason, hashes of inputs and outputs; appended as samples
                    are finished, sorted when the stage ends
    manifest.json   settings, counts and the account's hash; written last, so it means "done"
None of them contains a time or an absolute path: the same run gives the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from threadweaver.errors import UserError, setting
from threadweaver.files import FileLock, digest, read_json, read_jsonl, to_json, write_atomic
from threadweaver.runs.parsers import parser_of
from threadweaver.runs.stages import STAGES
from threadweaver.samples import sample_key

SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE, LOCK_FILE = "settings.json", "account.jsonl", "manifest.json", ".lock"
OUTCOMES = ("ok", "unchanged", "rejected", "failed")
LOSSES = ("rejected", "failed")
_NAMED, _NAMED_FIRST = 3, ("annotator", "model")
"""How many settings that differ are named, and which of them first."""
_SHOWN = 40
"""Characters of a value that are shown."""


def _ways_out() -> str:
    """Return what whoever started the program can do: run.sh and the step scripts name the folders themselves."""
    return f"--overwrite makes it again; {setting('another --output', 'INPUT_SUFFIX=_2')} keeps both"


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


class StageFolder:
    """The output of one stage, locked by one process at a time (context manager).

    Raises UserError if another process holds the lock, if the folder was made with other settings or from other
    inputs, or if it contains files that no stage wrote.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, object],
        *,
        overwrite: bool = False,
        refusing: Collection[str] | None = None,
    ):
        """`refusing`: only these settings, if they differ, are refused; with other ones all samples are done again
        (None: all are refused)."""
        self.path, self.overwrite, self.refusing = path, overwrite, refusing
        self.settings = json.loads(json.dumps(settings, sort_keys=True))
        self.done: dict[str, AccountEntry] = {}
        self.was_complete = False
        self._account = None
        self._lock = FileLock(self.path / LOCK_FILE)

    def __enter__(self) -> StageFolder:
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(
            f"{self.path} is being written by another run (process {{holder}}): wait until it has ended, then start "
            "again; what it did is kept"
        )
        try:
            if self.overwrite:
                self._clear()
            self._check_settings()
            self._load()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception) -> None:
        if self._account:
            self._account.close()
        self._lock.release()

    def finished(self, id: str, source: str) -> AccountEntry | None:
        """Return the entry of a finished sample, or None if it has to be done; failed samples are done again."""
        entry = self.done.get(id)
        if entry is None or entry.outcome == "failed":
            return None
        if entry.source != source:
            raise UserError(f"{self.path} was made from other inputs ({id} differs); {_ways_out()}")
        return entry if self._intact(entry) else None

    def put(self, entry: AccountEntry, files: Mapping[str, str | bytes]) -> AccountEntry:
        """Write a sample's files, each renamed into place, then its line in the account."""
        for name, content in files.items():
            write_atomic(self.path / name, content)
        entry = replace(entry, files={name: digest(content) for name, content in files.items()})
        self._remove_stale(self.done.get(entry.id), entry)
        self._account.write((to_json(asdict(entry)) + "\n").encode())
        self._account.flush()
        self.done[entry.id] = entry
        return entry

    def close_account(self, entries: Iterable[AccountEntry], *, partial: bool = False) -> None:
        """Sort the account, remove files that it no longer names (unless `partial`), and write the manifest, which
        marks the stage as done."""
        named = {entry.id: entry for entry in entries}
        entries = sorted(
            ({**self.done, **named} if partial else named).values(), key=lambda entry: sample_key(entry.id)
        )
        current = {entry.id for entry in entries}
        for id in self.done.keys() - current:
            self._remove_stale(self.done.pop(id), None)
        text = "".join(to_json(asdict(entry)) + "\n" for entry in entries)
        if (self.path / ACCOUNT_FILE).read_bytes() != text.encode():
            write_atomic(self.path / ACCOUNT_FILE, text)
        counts = Counter(entry.outcome for entry in entries)
        manifest = {"settings": self.settings, "samples": len(entries), "account": digest(text)}
        manifest["outcomes"] = {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}
        write_atomic(self.path / MANIFEST_FILE, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")

    def _clear(self) -> None:
        """Empty the folder, but only if a stage wrote it."""
        others = [item for item in self.path.iterdir() if not item.name.startswith(LOCK_FILE)]
        if others and not self._is_ours():
            raise UserError(
                f"{self.path} holds files that this command did not write: move them, or name another --output"
            )
        for item in others:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()

    def _is_ours(self) -> bool:
        """Whether a stage created this folder: other programs also write a settings.json, but without a stage in
        it."""
        path = self.path / SETTINGS_FILE
        return path.is_file() and isinstance(found := read_json(path), dict) and "stage" in found

    def _check_settings(self) -> None:
        path = self.path / SETTINGS_FILE
        if not self._is_ours():
            strangers = [
                item.name
                for item in self.path.iterdir()
                if not item.name.startswith(LOCK_FILE) and item.suffix != ".part"
            ]
            if strangers:
                raise UserError(
                    f"{self.path} holds files that this command did not write ({strangers[0]}): move them, or name another --output"
                )
            write_atomic(path, json.dumps(self.settings, indent=1, ensure_ascii=False) + "\n")
            return
        before = read_json(path)
        differing = _differing(before, self.settings)
        if differing and "stage" not in differing and self._gives_way_to(differing):
            self._forget()
        elif differing:
            raise UserError(f"{self.path} was made with other settings: {_named(differing)}; {_ways_out()}")
        if before != self.settings:
            write_atomic(path, json.dumps(self.settings, indent=1, ensure_ascii=False) + "\n")

    def _gives_way_to(self, differing: Collection[str]) -> bool:
        """Whether other settings may replace those of the folder: a first try that failed does not block the second."""
        return not self._has_finished() or (self.refusing is not None and not {*differing} & {*self.refusing})

    def _forget(self) -> None:
        """Do all samples again, in the same folder."""
        if not self._has_finished():
            self._clear()
            return
        files = [name for entry in read_account(self.path) for name in entry.files]
        for name in (*files, ACCOUNT_FILE, MANIFEST_FILE):
            (self.path / name).unlink(missing_ok=True)

    def _has_finished(self) -> bool:
        """Whether the account has a sample that did not fail."""
        path = self.path / ACCOUNT_FILE
        rows = [row for _, row, _ in read_jsonl(path)] if path.is_file() else []
        return any(isinstance(row, dict) and row.get("outcome") != "failed" for row in rows)

    def _load(self) -> None:
        path = self.path / ACCOUNT_FILE
        for leftover in self.path.rglob(".*.part"):
            leftover.unlink(missing_ok=True)
        kept = []
        if path.is_file():
            # a killed run may leave half a line at the end: its sample is done again
            for _, row, _ in read_jsonl(path):
                with contextlib.suppress(TypeError):
                    entry = AccountEntry(**row)
                    self.done[entry.id] = entry
            kept = list(self.done.values())
        text = "".join(to_json(asdict(entry)) + "\n" for entry in kept)
        if not path.is_file() or path.read_bytes() != text.encode():
            write_atomic(path, text)
        self.was_complete = (self.path / MANIFEST_FILE).is_file()
        self._account = open(path, "ab")  # noqa: SIM115  held until __exit__

    def _remove_stale(self, before: AccountEntry | None, now: AccountEntry | None) -> None:
        """Remove files of the earlier result that the new one does not have: the next stage must not find them."""
        for name in set(before.files if before else ()) - set(now.files if now else ()):
            (self.path / name).unlink(missing_ok=True)

    def _intact(self, entry: AccountEntry) -> bool:
        for name, expected in entry.files.items():
            try:
                content = (self.path / name).read_bytes()
            except FileNotFoundError:
                return False
            if digest(content) != expected:
                return False
        return True


def read_account(folder: Path) -> list[AccountEntry]:
    """Return the account of a folder; empty if it has none."""
    path = folder / ACCOUNT_FILE
    return [AccountEntry(**row) for _, row, _ in read_jsonl(path) if row] if path.is_file() else []


def is_complete(path: Path, settings: Mapping[str, object]) -> bool:
    """Whether a stage with these settings has ended in this folder."""
    manifest = path / MANIFEST_FILE
    found = read_json(manifest) if manifest.is_file() else None
    return isinstance(found, dict) and found.get("settings") == json.loads(json.dumps(settings))


# ---------------------------------------------------------------------------------------------------------------
# settings that differ


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Return the settings that differ, with both values; a setting that the folder does not know, because an earlier
    version of the project made it, differs only if it is not what it is by default."""
    keys = sorted({*before, *now}, key=lambda key: (key not in _NAMED_FIRST, key))
    pairs = {key: (before.get(key), now.get(key)) for key in keys if before.get(key) != now.get(key)}
    stage = str(now.get("stage"))
    return {key: pair for key, pair in pairs.items() if key in before or not _is_default(stage, key, pair[1], now)}


def _is_default(stage: str, key: str, value: object, settings: Mapping[str, object]) -> bool:
    """Whether a setting is what it is without a flag; the hash of a prompt goes with its name."""
    if key.endswith("_sha256"):
        named = key.removesuffix("_sha256")
        return _is_default(stage, named, settings.get(named), {})
    if not value or stage not in STAGES:
        return not value
    default = parser_of(STAGES[stage].command).get_default(key)
    return value == (default.name if isinstance(default, Path) else default)


def _named(differing: Mapping[str, tuple[object, object]]) -> str:
    """Return the settings that differ in short: those that only one side has, and hashes, go with the others."""
    both = {key for key, pair in differing.items() if None not in pair}
    own = {key for key in differing if not key.endswith("_sha256")}
    keys = [key for key in differing if key in (both & own or both or own)]
    more = f" (and {len(keys) - _NAMED} more)" if len(keys) > _NAMED else ""
    parts = [f"{key}: {there} there, {here} now" for key in keys[:_NAMED] for there, here in [_short(*differing[key])]]
    return "; ".join(parts) + more


def _short(*values: object) -> list[str]:
    """Return values in short, without what long ones have in common at the beginning."""
    texts = ["none" if value is None else to_json(value) for value in values]
    if max(map(len, texts)) > _SHOWN:
        same = len(list(takewhile(lambda chars: len({*chars}) == 1, zip(*texts, strict=False))))
        texts = ["…" + text[same - 10 :] if same > 20 else text for text in texts]
    return [text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…" for text in texts]
