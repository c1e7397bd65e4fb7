"""Sample folders: atomic files, settings, resume, and the account of what became of every sample.

A stage's folder holds, beside the samples' files:
    settings.json   what the folder was made with; written first
    account.jsonl   one line a sample: outcome, reason, hashes of what went in and came out; appended as samples
                    end, sorted when the stage ends
    manifest.json   settings, counts and the account's hash; written last, so it means "done"
None holds a time or a path of the machine: the same run gives the same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from threadweaver.errors import UserError

SETTINGS, ACCOUNT, MANIFEST, LOCK = "settings.json", "account.jsonl", "manifest.json", ".lock"
_BOOKS = (SETTINGS, ACCOUNT, MANIFEST)
OUTCOMES = ("ok", "unchanged", "rejected", "failed")
LOSSES = ("rejected", "failed")


# ---------------------------------------------------------------------------------------------------------------
# files


def read_text(path: Path) -> str:
    """A text file without newline translation; raises UserError when it is not UTF-8."""
    try:
        # what write_atomic lets pass has to be readable again
        with open(path, encoding="utf-8", errors="surrogatepass", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): convert it") from None


def read_sample(path: Path) -> str:
    """A sample's text: the file less the one final newline that writing added."""
    return read_text(path).removesuffix("\n")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write under a temporary name in the same folder, then rename: a reader sees all of it or none."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failed write knows only its descriptor, a failed rename the temporary name
        raise


def read_jsonl(path: Path) -> Iterator[tuple[int, object | None, str]]:
    """Line number (from 1), value (None when the line is no JSON) and what is wrong, for every line that is not blank."""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                yield number, json.loads(raw), ""
            except UnicodeDecodeError:
                yield number, None, "not UTF-8"
            except (ValueError, RecursionError) as error:  # JSON that is none, a number too long, brackets too deep
                yield number, None, getattr(error, "msg", str(error).split(":")[0])


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sample_key(name: str) -> tuple:
    """Sorts sample names by number where they hold one: 2 before 10, `set-2` before `set-10`."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def list_samples(path: Path, pattern: str = "*.txt") -> list[Path]:
    """The samples of a folder (or the one file that `path` is), in the order of their numbers."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} is not there: run the stage before it, or name another --input")
    try:
        found = [file for file in path.glob(pattern) if file.is_file() and not file.name.startswith(".")]
    except (ValueError, NotImplementedError):
        raise UserError(f"{pattern!r} is no pattern of files inside {path}: use one such as '*.txt'") from None
    if not found:
        raise UserError(f"{path} holds no samples ({pattern}): run the stage before it, or name another folder")
    return sorted(found, key=lambda file: sample_key(file.name))


# ---------------------------------------------------------------------------------------------------------------
# samples as they were collected


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of `collected.jsonl`. `index` is its row in the source, and the number in its file names."""

    index: int
    uuid: str
    problem: str
    thinking: str
    solution: object = ""
    """The reference answer: a string, a number or a list of accepted answers."""
    correctness: bool | None = None
    output: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Mapping, position: int) -> Sample:
        """Raises KeyError or TypeError when the row is none of ours, ValueError when its uuid cannot name a file."""
        known = {"uuid", "problem", "thinking", "solution", "correctness", "output"}
        match = re.search(r"-(\d+)$", row["uuid"])
        if "/" in row["uuid"] or "\0" in row["uuid"]:
            raise ValueError(f"the uuid {row['uuid']!r:.60} cannot name a file")
        return cls(
            index=int(match.group(1)) if match else position,
            uuid=row["uuid"],
            problem=row["problem"] + "",
            thinking=row["thinking"] + "",
            solution=row.get("solution", ""),
            correctness=row.get("correctness"),
            output=row.get("output") or "",
            extra={key: value for key, value in row.items() if key not in known},
        )

    def to_row(self) -> dict:
        row = {"uuid": self.uuid, "problem": self.problem, "solution": self.solution}
        row |= {"correctness": self.correctness, "thinking": self.thinking, "output": self.output}
        return row | dict(self.extra)


def read_collected(path: Path) -> list[Sample]:
    """The samples of a `collected.jsonl`; raises UserError at the first line that is none."""
    if path.is_dir():
        path = path / "collected.jsonl"
    if not path.is_file():
        raise UserError(f"{path} is not there: run src/collect_trajectories.py first, or name another --input")
    samples = []
    for number, row, fault in read_jsonl(path):
        try:
            samples.append(Sample.from_row(row, len(samples)))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        except (KeyError, TypeError):
            raise UserError(
                f"{path}, line {number}: {fault or 'no collected sample (uuid, problem and thinking are needed)'}"
            ) from None
    for name in ("uuid", "index"):
        (value, count), *_ = Counter(getattr(sample, name) for sample in samples).most_common(1) or [("", 0)]
        if count > 1:
            raise UserError(f"{path}: the {name} {value} stands twice; collect anew")
    return samples


# ---------------------------------------------------------------------------------------------------------------
# the folder of a stage


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the account."""

    id: str
    outcome: str
    reason: str | None = None
    """A code for every loss, and for `unchanged`."""
    uuid: str = ""
    source: str = ""
    """Hash of what went in."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path inside the folder -> hash of what came out."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the stage measured: counts, tokens, usage."""


def digest(content: str | bytes) -> str:
    """16 hex digits of SHA-256: enough to notice a change, short enough to read."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


class StageFolder:
    """One stage's output, held by one process at a time (context manager).

    Raises UserError when another process holds it, when it was made with other settings or from other inputs, or when
    it holds files that no stage of ours wrote.
    """

    def __init__(self, path: Path, settings: Mapping[str, object], *, overwrite: bool = False):
        self.path, self.overwrite = path, overwrite
        self.settings = json.loads(json.dumps(settings, sort_keys=True))
        self.done: dict[str, Entry] = {}
        self.was_complete = False
        self._account = None

    def __enter__(self) -> StageFolder:
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock()
        try:
            if self.overwrite:
                self._clear()
            self._check_settings()
            self._load()
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(self, *exception) -> None:
        if self._account:
            self._account.close()
        self._unlock()

    def finished(self, id: str, source: str) -> Entry | None:
        """The account of a sample that is done; None when it has to be done (failed ones are done again)."""
        entry = self.done.get(id)
        if entry is None or entry.outcome == "failed":
            return None
        if entry.source != source:
            raise UserError(
                f"{self.path} was made from other inputs ({id} differs): --overwrite makes it anew, "
                "another --output keeps both"
            )
        return entry if self._intact(entry) else None

    def put(self, entry: Entry, files: Mapping[str, str | bytes]) -> Entry:
        """Write a sample's files, each renamed into place, then its line in the account."""
        for name, content in files.items():
            write_atomic(self.path / name, content)
        entry = replace(entry, files={name: digest(content) for name, content in files.items()})
        self._remove_stale(self.done.get(entry.id), entry)
        self._account.write((to_json(asdict(entry)) + "\n").encode())
        self._account.flush()
        self.done[entry.id] = entry
        return entry

    def close_account(self, entries: Iterable[Entry], *, partial: bool = False) -> None:
        """Sort the account, remove what it does not name any more (unless `partial`), and write the manifest: the
        stage is done."""
        named = {entry.id: entry for entry in entries}
        entries = sorted(
            ({**self.done, **named} if partial else named).values(), key=lambda entry: sample_key(entry.id)
        )
        current = {entry.id for entry in entries}
        for id in self.done.keys() - current:
            self._remove_stale(self.done.pop(id), None)
        text = "".join(to_json(asdict(entry)) + "\n" for entry in entries)
        if (self.path / ACCOUNT).read_bytes() != text.encode():
            write_atomic(self.path / ACCOUNT, text)
        counts = Counter(entry.outcome for entry in entries)
        manifest = {"settings": self.settings, "samples": len(entries), "account": digest(text)}
        manifest["outcomes"] = {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}
        write_atomic(self.path / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")

    def _lock(self) -> None:
        self._lock_file = open(self.path / LOCK, "a+")  # noqa: SIM115  held until __exit__
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.seek(0)
            holder = self._lock_file.read().strip()
            self._lock_file.close()
            raise UserError(
                f"{self.path} is being written by another run (process {holder or 'unknown'}): "
                "wait until it has ended, then start again; what it did is kept"
            ) from None
        self._lock_file.truncate(0)
        self._lock_file.write(str(os.getpid()))
        self._lock_file.flush()

    def _unlock(self) -> None:
        self._lock_file.truncate(0)
        self._lock_file.close()

    def _clear(self) -> None:
        """Remove what a stage of ours wrote here; anything else is not ours to remove."""
        others = [item for item in self.path.iterdir() if item.name != LOCK]
        if others and not self._is_ours():
            raise UserError(
                f"{self.path} holds files that this command did not write: move them, or name another --output"
            )
        for item in others:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()

    def _is_ours(self) -> bool:
        """Whether a stage began this folder: other programs have a settings.json too, without a stage in it."""
        path = self.path / SETTINGS
        return path.is_file() and isinstance(found := read_json(path), dict) and "stage" in found

    def _check_settings(self) -> None:
        path = self.path / SETTINGS
        if not self._is_ours():
            strangers = [item.name for item in self.path.iterdir() if item.name != LOCK and item.suffix != ".part"]
            if strangers:
                raise UserError(
                    f"{self.path} holds files that this command did not write ({strangers[0]}): move them, or name another --output"
                )
            write_atomic(path, json.dumps(self.settings, indent=1, ensure_ascii=False) + "\n")
            return
        before = read_json(path)
        differing = [
            f"{key}: {_short(before.get(key))} there, {_short(self.settings.get(key))} now"
            for key in sorted({*before, *self.settings})
            if before.get(key) != self.settings.get(key)
        ]
        if differing:
            raise UserError(
                f"{self.path} was made with other settings ({'; '.join(differing)}): --overwrite makes it anew, "
                "another --output keeps both"
            )

    def _load(self) -> None:
        path = self.path / ACCOUNT
        for leftover in self.path.rglob(".*.part"):
            leftover.unlink(missing_ok=True)
        kept = []
        if path.is_file():
            # a half line at the end is what a killed run leaves: its sample is done again
            for _, row, _ in read_jsonl(path):
                with contextlib.suppress(TypeError):
                    entry = Entry(**row)
                    self.done[entry.id] = entry
            kept = list(self.done.values())
        text = "".join(to_json(asdict(entry)) + "\n" for entry in kept)
        if not path.is_file() or path.read_bytes() != text.encode():
            write_atomic(path, text)
        self.was_complete = (self.path / MANIFEST).is_file()
        self._account = open(path, "ab")  # noqa: SIM115  held until __exit__

    def _remove_stale(self, before: Entry | None, now: Entry | None) -> None:
        """Files that an earlier result left and the present one does not have: the next stage must not find them."""
        for name in set(before.files if before else ()) - set(now.files if now else ()):
            (self.path / name).unlink(missing_ok=True)

    def _intact(self, entry: Entry) -> bool:
        for name, expected in entry.files.items():
            try:
                content = (self.path / name).read_bytes()
            except FileNotFoundError:
                return False
            if digest(content) != expected:
                return False
        return True


def read_json(path: Path):
    """A JSON file; raises UserError when it cannot be read as one."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is damaged ({error.msg}, line {error.lineno}): remove it and run again") from None


def read_account(folder: Path) -> list[Entry]:
    """The account of a folder that is done; empty when it is not one of ours."""
    path = folder / ACCOUNT
    return [Entry(**row) for _, row, _ in read_jsonl(path) if row] if path.is_file() else []


def _short(value: object) -> str:
    text = to_json(value) if value is not None else "none"
    return text if len(text) <= 40 else text[:37] + "…"
