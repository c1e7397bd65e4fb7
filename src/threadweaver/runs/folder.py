"""The folder of a stage: settings, resume, and the account of what became of every sample.

Besides the samples' files it contains what `records` describes. The account grows as samples are finished, and is
sorted when the stage ends. None of these files contains a time or an absolute path: the same run gives the same bytes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from threadweaver.errors import UserError, setting
from threadweaver.files import FileLock, Part, atomic_file, digest_file, to_json, to_pretty_json, write_atomic
from threadweaver.runs.differing import differing, named
from threadweaver.runs.entries import Entries, EntryIndex, read_lines
from threadweaver.runs.placing import PlacedFiles
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
from threadweaver.samples import sample_key
from threadweaver.text import shown

_FILES = (SETTINGS_FILE, ACCOUNT_FILE, MANIFEST_FILE, "files.json", COLLECTED, SOURCE, "README.md")
"""Files of a stage besides its samples': those of a saved dataset and of the collected samples among them."""
_FOLDERS = re.compile(r"trace|chat|rejected|stats|(sample|val|units|val_units)_\d+(_\d+x)?")


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
        self.done = EntryIndex(path / ACCOUNT_FILE)
        self.was_complete = False
        self.notices: list[str] = []
        """What the user should know: files that were moved aside or kept, an account that was changed."""
        self.files = PlacedFiles(path, self.notices)
        self._trusted = True
        self._has_old_lines = False
        """Whether the account has lines that no longer count."""
        self._may_be_done = True  # there may be a manifest
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

    def __exit__(self, kind: type[BaseException] | None, *exception) -> None:
        try:
            if self._account:
                self._account.close()
        except OSError as error:  # the disk is full: what is held back cannot be written either
            error.filename = error.filename or str(self.done.path)
            kind = kind or OSError
            raise
        finally:
            if kind:
                with suppress(OSError):
                    self.files.sweep()
            self._lock.release()
        for notice in self.notices:
            print(shown(notice))

    def do_again(self) -> None:
        """Take no sample for done."""
        self._trusted = False

    def known_source(self, id: str) -> str | None:
        """Return the hash of the input from which a finished sample was made, None if it has to be done."""
        entry = self.done.get(id) if self._trusted else None
        return None if entry is None or entry.outcome == "failed" else entry.source

    def finished(self, id: str, source: str) -> AccountEntry | None:
        """Return the entry of a finished sample, or None if it has to be done; failed samples are done again."""
        if self.known_source(id) is None:
            return None
        entry = self.done[id]
        if entry.source != source:
            if self.accept_edits:
                return None
            raise UserError(f"{self.path} was made from other inputs ({id} differs); {_ways_out()}")
        if self.holds(entry):
            return entry
        found = {name: self.files.digest_of(name) for name in entry.files}
        if self.accept_edits and None not in found.values():
            return self._accept(entry, found)
        return None

    def holds(self, entry: AccountEntry) -> bool:
        """Whether the files of an entry are there as it says."""
        return all(self.files.digest_of(name) == known for name, known in entry.files.items())

    def put(self, entry: AccountEntry, files: Mapping[str, str | bytes | Part]) -> AccountEntry:
        """Write a sample's files, if they are not written yet, rename them into place, and add its line to the account.

        A file outside the folder is written and not named. Raises UnicodeEncodeError when a text is not storable.
        """
        before = self.done.get(entry.id)
        parts = self.files.parts(files)
        self.files.place_all(parts, before.files if before else {})
        entry = replace(entry, files={name: part.digest for name, part in parts.items() if self.files.is_inside(name)})
        self.files.remove_stale(before, entry)
        self._note(entry)
        return entry

    def close_account(
        self, entries: Iterable[AccountEntry], *, partial: bool = False, extra: Mapping[str, str | Path] | None = None
    ) -> None:
        """Sort the account, remove files that it no longer names (unless `partial`), write the files in `extra`, which
        belong to no one sample (text, or a finished file to move there), and then the manifest, which marks the stage
        as done."""
        ids = {*(entries.ids if isinstance(entries, Entries) else map(self._known, entries))}
        for id in [] if partial else self.done.keys() - ids:
            self.files.remove_stale(self.done[id], None)
            self.done.forget(id)
            self._has_old_lines = True
        digests = {
            name: self.files.place_extra(name, content, self._extra.get(name))
            for name, content in (extra or {}).items()
        }
        counts = self._sort_account()
        manifest = {"settings": self.settings, "samples": counts.total(), "account": digest_file(self.done.path)}
        manifest["outcomes"] = {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}
        manifest |= {"files": digests} if digests else {}
        manifest |= {"input": "foreign"} if self.foreign else {}
        write_atomic(self.path / MANIFEST_FILE, to_pretty_json(manifest))
        self._may_be_done = True

    def _known(self, entry: AccountEntry) -> str:
        """Note an entry if the account does not have it; return its id."""
        if self.done.get(entry.id) != entry:
            self._note(entry)
        return entry.id

    def _sort_account(self) -> Counter[str]:
        """Bring the lines of the account into the order of the samples; return how many have each outcome."""
        before = self.done
        if list(before) != (ids := sorted(before, key=sample_key)) or self._has_old_lines:
            self.done = EntryIndex(before.path)
            with atomic_file(before.path) as file:
                for entry in before.read(ids):
                    self.done.add(file.tell(), entry)
                    file.write(_line(entry))
            self._account.close()
            self._account = open(before.path, "ab")  # noqa: SIM115  held until __exit__
            self._has_old_lines = False
        return self.done.values().counts()

    def _note(self, entry: AccountEntry) -> None:
        """Append a line to the account; until the stage ends again, it is not done."""
        if self._may_be_done:
            (self.path / MANIFEST_FILE).unlink(missing_ok=True)
            self._may_be_done = False
        self._has_old_lines |= entry.id in self.done
        self.done.add(self._account.tell(), entry)
        try:
            self._account.write(_line(entry))
            self._account.flush()
        except OSError as error:
            error.filename = error.filename or str(self.done.path)
            raise

    def _accept(self, entry: AccountEntry, found: Mapping[str, str]) -> AccountEntry:
        """Take what was changed by hand, and name it in the account."""
        edited = {name for name, value in found.items() if value != entry.files[name]}
        before = entry.facts.get("edited")
        names = sorted(edited | {*(before if isinstance(before, list) else ())})
        entry = replace(entry, files=dict(found), facts={**entry.facts, "edited": names})
        self._note(entry)
        return entry

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
        other = differing(before, self.settings)
        if other and "stage" not in other and self._gives_way_to(other):
            self._forget()
        elif other:
            raise UserError(f"{self.path} was made with other settings: {named(other)}; {_ways_out()}")
        if before != self.settings or not path.is_file() or path.read_bytes() != to_pretty_json(self.settings).encode():
            write_atomic(path, to_pretty_json(self.settings))

    def _gives_way_to(self, other: Collection[str]) -> bool:
        """Whether other settings may replace those of the folder: a first try that failed does not block the second."""
        return not self._has_finished() or (self.refusing is not None and not {*other} & {*self.refusing})

    def _forget(self) -> None:
        """Do all samples again, in the same folder."""
        if not self._has_finished():
            self._clear()
            return
        named = [name for _, entry, _ in account_lines(self.path) if entry for name in entry.files]
        for name in (*named, ACCOUNT_FILE, MANIFEST_FILE):
            if self.files.is_inside(name):
                (self.path / name).unlink(missing_ok=True)

    def _has_finished(self) -> bool:
        """Whether a sample did not fail, as the account says or, if that is damaged, the manifest."""
        outcomes = (self._manifest() or {}).get("outcomes")
        if isinstance(outcomes, dict) and set(outcomes) - {"failed"}:
            return True
        return any(entry and entry.outcome != "failed" for _, entry, _ in account_lines(self.path))

    def _load(self) -> None:
        path, manifest = self.path / ACCOUNT_FILE, self._manifest()
        self.files.sweep()
        for leftover in self.path.glob(".*.part"):  # of a run that was killed: what it had named itself
            leftover.unlink(missing_ok=True)
        if manifest and (not path.is_file() or manifest.get("account") != digest_file(path)):
            self._trusted = False
            self.notices.append(
                f"{path} was changed after the stage had ended: every sample is done again (replies in the ledger cost nothing)"
            )
        self._load_account()
        self.was_complete = bool(manifest)
        self._extra = manifest.get("files", {}) if manifest else {}
        self._account = open(path, "ab")  # noqa: SIM115  held until __exit__

    def _load_account(self) -> None:
        """Find the entries of the account. Of one in which a line cannot be read, as a killed run leaves it, those that
        can be read are kept: the sample of the other is done again."""
        path, whole = self.done.path, self.done.path.is_file()
        for _, offset, line, entry, _ in read_lines(path):
            if entry is None:
                whole = False
                continue
            whole &= line == _line(entry)
            self._has_old_lines |= entry.id in self.done
            self.done.add(offset, entry)
        if whole:
            return
        before, self.done = self.done, EntryIndex(path)
        with atomic_file(path) as file:
            for entry in before.values():
                self.done.add(file.tell(), entry)
                file.write(_line(entry))

    def _manifest(self) -> Mapping | None:
        """Return the manifest of this stage's earlier end, or None."""
        found = read_value(self.path / MANIFEST_FILE)
        known = isinstance(found, dict) and isinstance(found.get("files", {}), dict)
        return found if known and isinstance(found.get("account"), str) else None


def _line(entry: AccountEntry) -> bytes:
    return (to_json(entry.to_row()) + "\n").encode()


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
