"""The folder of a stage: settings, resume, and the account of what became of every sample.

Besides the samples' files it contains what `records` describes. The account grows as samples are finished, and is
sorted when the stage ends. None of these files contains a time or an absolute path: the same run gives the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from itertools import count, takewhile
from pathlib import Path

from threadweaver.errors import UserError, setting
from threadweaver.files import FileLock, digest, digest_file, to_json, to_pretty_json, write_atomic
from threadweaver.runs.parsers import parser_of
from threadweaver.runs.records import (
    ACCOUNT_FILE,
    COLLECTED,
    LOCK_FILE,
    MANIFEST_FILE,
    OUTCOMES,
    SETTINGS_FILE,
    SOURCE,
    AccountEntry,
    account_lines,
    read_settings,
    read_value,
)
from threadweaver.runs.records import LOSSES as LOSSES
from threadweaver.runs.records import read_account as read_account
from threadweaver.runs.stages import STAGES
from threadweaver.samples import sample_key
from threadweaver.text import shown

_FILES = (SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE, "files.json", COLLECTED, SOURCE, "README.md")
"""Files of a stage besides its samples': those of a saved dataset and of the collected samples among them."""
_FOLDERS = re.compile(r"trace|chat|rejected|stats|(sample|val|units|val_units)_\d+(_\d+x)?")
CHANGED = ".changed"
"""Added to the name of a file that was changed by hand, when the stage writes it again."""
_NAMED, _NAMED_FIRST = 3, ("annotator", "model")
"""How many settings that differ are named, and which of them first."""
_SHOWN = 40
"""Characters of a value that are shown."""


def _ways_out() -> str:
    """Return what whoever started the program can do: run.sh and the step scripts name the folders themselves."""
    return f"--overwrite makes it again; {setting('another --output', 'INPUT_SUFFIX=_2')} keeps both"


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
        accept_edits: bool = False,
        foreign: bool = False,
    ):
        """`refusing`: only these settings, if they differ, are refused; with other ones all samples are done again
        (None: all are refused). `accept_edits`: files that were changed by hand stay, and the account names them;
        otherwise they are moved aside and made again. `foreign`: the input is somebody else's, which the manifest notes.
        """
        self.path, self.overwrite, self.refusing = path, overwrite, refusing
        self.accept_edits, self.foreign = accept_edits, foreign
        self.settings = json.loads(json.dumps(settings, sort_keys=True))
        self.done: dict[str, AccountEntry] = {}
        self.was_complete = False
        self.notices: list[str] = []
        """What the user should know: files that were moved aside or kept, an account that was changed."""
        self._trusted = True
        self._extra: Mapping[str, str] = {}
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
        for notice in self.notices:
            print(shown(notice))

    def finished(self, id: str, source: str) -> AccountEntry | None:
        """Return the entry of a finished sample, or None if it has to be done; failed samples are done again."""
        entry = self.done.get(id)
        if entry is None or entry.outcome == "failed" or not self._trusted:
            return None
        if entry.source != source:
            if self.accept_edits:
                return None
            raise UserError(f"{self.path} was made from other inputs ({id} differs); {_ways_out()}")
        if self.holds(entry):
            return entry
        found = {name: self._digest_of(name) for name in entry.files}
        if self.accept_edits and None not in found.values():
            return self._accept(entry, found)
        return None

    def holds(self, entry: AccountEntry) -> bool:
        """Whether the files of an entry are there as it says."""
        return all(self._digest_of(name) == known for name, known in entry.files.items())

    def put(self, entry: AccountEntry, files: Mapping[str, str | bytes]) -> AccountEntry:
        """Write a sample's files, each renamed into place, then its line in the account.

        A file outside the folder is written and not named. Raises UnicodeEncodeError when a text is not storable.
        """
        before = self.done.get(entry.id)
        files = {name: content if isinstance(content, bytes) else content.encode() for name, content in files.items()}
        for name, content in files.items():
            self._write(name, content, before.files.get(name) if before else None)
        named = {name: digest(content) for name, content in files.items() if self._inside(name)}
        entry = replace(entry, files=named)
        self._remove_stale(before, entry)
        self._note(entry)
        return entry

    def close_account(
        self, entries: Iterable[AccountEntry], *, partial: bool = False, extra: Mapping[str, str | Path] | None = None
    ) -> None:
        """Sort the account, remove files that it no longer names (unless `partial`), write the files in `extra`, which
        belong to no one sample (text, or a finished file to move there), and then the manifest, which marks the stage
        as done."""
        named = {entry.id: entry for entry in entries}
        entries = sorted(
            ({**self.done, **named} if partial else named).values(), key=lambda entry: sample_key(entry.id)
        )
        current = {entry.id for entry in entries}
        for id in self.done.keys() - current:
            self._remove_stale(self.done.pop(id), None)
        digests = {name: self._write_extra(name, content) for name, content in (extra or {}).items()}
        text = "".join(to_json(asdict(entry)) + "\n" for entry in entries)
        if (self.path / ACCOUNT_FILE).read_bytes() != text.encode():
            write_atomic(self.path / ACCOUNT_FILE, text)
        counts = Counter(entry.outcome for entry in entries)
        manifest = {"settings": self.settings, "samples": len(entries), "account": digest(text)}
        manifest["outcomes"] = {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}
        manifest |= {"files": digests} if digests else {}
        manifest |= {"input": "foreign"} if self.foreign else {}
        write_atomic(self.path / MANIFEST_FILE, to_pretty_json(manifest))

    def _note(self, entry: AccountEntry) -> None:
        """Append a line to the account; until the stage ends again, it is not done."""
        (self.path / MANIFEST_FILE).unlink(missing_ok=True)
        self._account.write((to_json(asdict(entry)) + "\n").encode())
        self._account.flush()
        self.done[entry.id] = entry

    def _accept(self, entry: AccountEntry, found: Mapping[str, str]) -> AccountEntry:
        """Take what was changed by hand, and name it in the account."""
        edited = {name for name, value in found.items() if value != entry.files[name]}
        before = entry.facts.get("edited")
        names = sorted(edited | {*(before if isinstance(before, list) else ())})
        entry = replace(entry, files=dict(found), facts={**entry.facts, "edited": names})
        self._note(entry)
        return entry

    def _write(self, name: str, content: bytes, known: str | None) -> None:
        """Write a file. If it is there already and was changed since (`known`: its hash), it is moved aside before."""
        path = self.path / name
        if known is not None:
            there = path.read_bytes() if path.is_file() else b""
            if there == content:
                return
            if there and digest(there) != known:
                self._set_aside(path)
        write_atomic(path, content)

    def _set_aside(self, path: Path) -> None:
        aside = _free(path.with_name(path.name + CHANGED))
        os.replace(path, aside)
        self.notices.append(
            f"{path} was changed since this stage wrote it: the changed one is now {aside.name} "
            "(--accept-edits takes such changes)"
        )

    def _write_extra(self, name: str, content: str | Path) -> str:
        """Write a file that belongs to no one sample, or move it to its place; return its hash."""
        if isinstance(content, str):
            self._write(name, content.encode(), self._extra.get(name))
            return digest(content)
        made, path = digest_file(content), self.path / name
        if content == path:
            return made
        there = digest_file(path) if path.is_file() else None
        if there == made:
            content.unlink()
            return made
        if there is not None and there != self._extra.get(name, there):
            self._set_aside(path)
        os.replace(content, path)
        return made

    def _inside(self, name: str) -> bool:
        """Whether a name leads to a place inside the folder, links followed."""
        return (self.path / name).resolve().is_relative_to(self.path.resolve())

    def _clear(self) -> None:
        """Remove what a stage wrote, if one wrote this folder at all; what people put there stays."""
        others = [item for item in self.path.iterdir() if not item.name.startswith(LOCK_FILE)]
        if others and not self._is_ours():
            raise UserError(
                f"{self.path} holds files that this command did not write: move them, or name another --output"
            )
        named = {name for _, entry, _ in account_lines(self.path) if entry for name in entry.files}
        complete = (self.path / MANIFEST_FILE).is_file()
        kept = []
        for item in others:
            if not _is_made(item, named, complete):
                kept.append(item.name)
            else:
                shutil.rmtree(item) if item.is_dir() else item.unlink()
        if kept:
            self.notices.append(f"{self.path}: kept what no stage wrote: {', '.join(sorted(kept)[:5])}")

    def _is_ours(self) -> bool:
        """Whether a stage created this folder."""
        return read_settings(self.path) is not None

    def _check_settings(self) -> None:
        path = self.path / SETTINGS_FILE
        before = read_settings(self.path)
        if before is None:
            strangers = [
                item.name
                for item in self.path.iterdir()
                if not item.name.startswith(LOCK_FILE) and item.suffix != ".part"
            ]
            if strangers and not self.overwrite:  # after --overwrite: what people had put there
                raise UserError(
                    f"{self.path} holds files that this command did not write ({strangers[0]}): move them, or name another --output"
                )
            write_atomic(path, to_pretty_json(self.settings))
            return
        differing = _differing(before, self.settings)
        if differing and "stage" not in differing and self._gives_way_to(differing):
            self._forget()
        elif differing:
            raise UserError(f"{self.path} was made with other settings: {_named(differing)}; {_ways_out()}")
        if before != self.settings or not path.is_file() or path.read_bytes() != to_pretty_json(self.settings).encode():
            write_atomic(path, to_pretty_json(self.settings))

    def _gives_way_to(self, differing: Collection[str]) -> bool:
        """Whether other settings may replace those of the folder: a first try that failed does not block the second."""
        return not self._has_finished() or (self.refusing is not None and not {*differing} & {*self.refusing})

    def _forget(self) -> None:
        """Do all samples again, in the same folder."""
        if not self._has_finished():
            self._clear()
            return
        named = [name for _, entry, _ in account_lines(self.path) if entry for name in entry.files]
        for name in (*named, ACCOUNT_FILE, MANIFEST_FILE):
            if self._inside(name):
                (self.path / name).unlink(missing_ok=True)

    def _has_finished(self) -> bool:
        """Whether a sample did not fail, as the account says or, if that is damaged, the manifest."""
        outcomes = (self._manifest() or {}).get("outcomes")
        if isinstance(outcomes, dict) and set(outcomes) - {"failed"}:
            return True
        return any(entry and entry.outcome != "failed" for _, entry, _ in account_lines(self.path))

    def _load(self) -> None:
        path, manifest = self.path / ACCOUNT_FILE, self._manifest()
        for leftover in self.path.rglob(".*.part"):
            leftover.unlink(missing_ok=True)
        # a killed run may leave half a line at the end: its sample is done again
        self.done = {entry.id: entry for _, entry, _ in account_lines(self.path) if entry}
        data = path.read_bytes() if path.is_file() else b""
        if manifest and manifest.get("account") != digest(data):
            self._trusted = False
            self.notices.append(
                f"{path} was changed after the stage had ended: every sample is done again (replies in the ledger cost nothing)"
            )
        text = "".join(to_json(asdict(entry)) + "\n" for entry in self.done.values()).encode()
        if not path.is_file() or data != text:
            write_atomic(path, text)
        self.was_complete = bool(manifest)
        self._extra = manifest.get("files", {}) if manifest else {}
        self._account = open(path, "ab")  # noqa: SIM115  held until __exit__

    def _manifest(self) -> Mapping | None:
        """Return the manifest of this stage's earlier end, or None."""
        found = read_value(self.path / MANIFEST_FILE)
        known = isinstance(found, dict) and isinstance(found.get("files", {}), dict)
        return found if known and isinstance(found.get("account"), str) else None

    def _remove_stale(self, before: AccountEntry | None, now: AccountEntry | None) -> None:
        """Remove files of the earlier result that the new one does not have: the next stage must not find them."""
        for name in set(before.files if before else ()) - set(now.files if now else ()):
            if self._inside(name):
                (self.path / name).unlink(missing_ok=True)

    def _digest_of(self, name: str) -> str | None:
        try:
            return digest((self.path / name).read_bytes())
        except OSError:
            return None


def _free(path: Path) -> Path:
    """Return a name that is not taken."""
    names = (path.with_name(path.name + (f"_{number}" if number > 1 else "")) for number in count(1))
    return next(name for name in names if not name.exists())


def _is_made(item: Path, named: Collection[str], complete: bool) -> bool:
    """Whether a stage made this item of its folder; `named` are the files in its account, all of them if `complete`."""
    if item.is_symlink():
        return item.name in named
    if item.is_dir():
        return bool(_FOLDERS.fullmatch(item.name)) or (item / "trajectories.jsonl").is_file()
    texts = item.suffix == ".txt" and not complete
    return item.name in named or item.name in _FILES or item.suffix == ".part" or texts


def is_complete(path: Path, settings: Mapping[str, object]) -> bool:
    """Whether a stage with these settings has ended in this folder."""
    found = read_value(path / MANIFEST_FILE)
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
