"""Merge the shards of a run: each folder gets what the run in one piece would have written, byte for byte."""

from __future__ import annotations

import heapq
import json
import re
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import atomic_file, digest, digest_file
from threadweaver.runs.entries import AccountEntry, Entries
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.progress import progress_bar
from threadweaver.runs.records import COLLECTED, MANIFEST_FILE, SOURCE, Finished, read_finished, read_value
from threadweaver.runs.runner import StageReport
from threadweaver.runs.shards import SETTING, Shard
from threadweaver.samples import Sample, sample_key

_NAMED = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """The folders of all shards of one stage, and the folder that they are merged into."""

    folder: Path
    shards: tuple[Finished, ...]
    settings: Mapping[str, object]
    """Those of the run in one piece."""

    @property
    def stage(self) -> str:
        return str(self.settings["stage"])

    @property
    def ids(self) -> list[str]:
        """The samples of all shards, in the order of an account."""
        return sorted((id for shard in self.shards for id in shard.index), key=sample_key)

    def entries(self) -> Iterator[tuple[Finished, AccountEntry]]:
        """Yield the entry of every sample with the shard that it is of, one shard after the other."""
        return ((shard, entry) for shard in self.shards for entry in shard.entries)


def find_parts(folder: Path, count: int) -> Parts:
    """Find the `count` shards of a folder. Raises UserError when they are not all there, finished, and parts of one
    run."""
    shards = [Shard(number, count) for number in range(count)]
    found = {shard: _finished(path_of(folder, shard)) for shard in shards if path_of(folder, shard).is_dir()}
    if missing := [shard for shard in shards if shard not in found]:
        raise UserError(f"{folder}: {_missing(folder, missing, count)}")
    for shard, finished in found.items():
        _check_rows(shard, finished)
    settings = {shard: in_one_piece(found[shard].settings, shard) for shard in shards}
    first = settings[shards[0]]
    for shard, other in settings.items():
        if differing := sorted(key for key in first.keys() | other.keys() if first.get(key) != other.get(key)):
            named = "; ".join(f"{key}: {_shown(first.get(key))} and {_shown(other.get(key))}" for key in differing[:3])
            raise UserError(
                f"{folder}: shards {shards[0]} and {shard} are of different runs ({named}): make one of them again "
                "with the other's settings and --overwrite"
            )
    _check_sources(found)
    return Parts(folder, tuple(found.values()), settings[shards[0]])


def path_of(folder: Path, shard: Shard) -> Path:
    return folder.with_name(folder.name + shard.suffix)


def in_one_piece(settings: Mapping[str, object], shard: Shard) -> dict[str, object]:
    """Return the settings without what a shard adds to them: its number, and its folders' names."""
    text = json.dumps({key: value for key, value in settings.items() if key != SETTING})
    return json.loads(text.replace(shard.suffix, ""))


def _finished(path: Path) -> Finished:
    finished = read_finished(path)
    if finished is None:
        raise UserError(f"{path} was not written by a stage of this project: move it away, and make this shard")
    return finished


def _missing(folder: Path, missing: Sequence[Shard], count: int) -> str:
    named = ", ".join(map(str, missing[:_NAMED])) + (", …" if len(missing) > _NAMED else "")
    form = re.compile(re.escape(folder.name) + r"_shard\d+of(\d+)")
    there = {match[1] for path in folder.parent.glob("*") if (match := form.fullmatch(path.name))}
    others = sorted(there - {str(count)}, key=int)
    hint = f"; there are shards of {', '.join(others)}" if others else ""
    return (
        f"{len(missing)} of {count} shards are missing ({named}{hint}): run them, such as SHARD={missing[0]} ./run.sh"
    )


def _check_rows(shard: Shard, finished: Finished) -> None:
    """Raise UserError for a folder whose name says another shard than its settings or its samples do."""
    rows = [id.partition(".")[0] for id in finished.index]
    strangers = [row for row in rows if row.isdecimal() and not shard.takes(int(row))]
    if Shard.of(finished.settings) != shard or strangers:
        what = f"it holds row {strangers[0]}" if strangers else f"its settings say {finished.settings.get(SETTING)}"
        raise UserError(f"{finished.folder} is not shard {shard} ({what}): make this shard again")


def _check_sources(found: Mapping[Shard, Finished]) -> None:
    """Raise UserError when the shards read different rows: their source was changed in between."""
    digests: dict[object, Shard] = {}
    for shard, finished in found.items():
        digests.setdefault(_written(finished.folder).get(SOURCE), shard)
    if len(digests) > 1:
        first, second = list(digests.values())[:2]
        raise UserError(
            f"shards {first} and {second} were made of different sources: the dataset was changed in between; make "
            "the shards again with one of them"
        )


def _written(folder: Path) -> Mapping[str, str]:
    """Return the digests of the files of a folder that belong to no one sample."""
    manifest = read_value(folder / MANIFEST_FILE)
    files = manifest.get("files", {}) if isinstance(manifest, dict) else {}
    return files if isinstance(files, dict) else {}


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


# ---- merging


def merge(parts: Parts, title: str, *, overwrite: bool = False) -> StageReport:
    """Merge the shards of one stage; what an interrupted merge has done is kept. Raises UserError for a file that was
    changed after its shard had ended."""
    begun, fresh, ids = time.monotonic(), 0, parts.ids
    with StageFolder(parts.folder, parts.settings, overwrite=overwrite) as folder:
        with progress_bar(len(ids), f"merge {title}") as bar:
            for shard, entry in parts.entries():
                if folder.done.get(entry.id) != entry or not folder.holds(entry):
                    folder.put(entry, {name: _content(shard, name, known) for name, known in entry.files.items()})
                    fresh += 1
                bar.update()
        collected = any(COLLECTED in _written(shard.folder) for shard in parts.shards)
        extra = {COLLECTED: _merged_rows(parts)} if collected else None
        folder.close_account(Entries(folder.done, ids), extra=extra)
    return StageReport(Entries(folder.done, ids), fresh, time.monotonic() - begun)


def _content(shard: Finished, name: str, known: str) -> bytes:
    """Return a file of a shard; raises UserError if it is not the one that its account names."""
    path = shard.folder / name
    data = path.read_bytes() if path.is_file() else b""
    if digest(data) != known:
        raise UserError(_altered(path))
    return data


def _altered(path: Path) -> str:
    what = "was changed after its shard had ended" if path.is_file() else "is missing"
    return f"{path} {what}: run that shard again, which makes it again or, with --accept-edits, keeps it"


def _merged_rows(parts: Parts) -> Path:
    """Write the rows of all shards, in the order of the source, into a file beside their place; return the file."""
    part = parts.folder / f".{COLLECTED}.part"
    for shard in parts.shards:
        path = shard.folder / COLLECTED
        if not path.is_file() or digest_file(path) != _written(shard.folder)[COLLECTED]:
            raise UserError(_altered(path))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one open file per shard
    with atomic_file(part) as out:
        out.writelines(line for _, line in heapq.merge(*map(_rows, parts.shards), key=lambda row: row[0]))
    return part


def _rows(shard: Finished) -> Iterator[tuple[int, bytes]]:
    with open(shard.folder / COLLECTED, "rb") as file:
        for line in file:
            yield Sample.from_row(json.loads(line), 0).index, line
