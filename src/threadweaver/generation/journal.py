"""The journal that generation keeps while it runs, its settings, and facts about each sample.

The result is `<stem>.json`, for each problem a list of its samples' texts. Next to it are
    <stem>.jsonl            the journal, one line per finished sample: message_idx, sample_idx, result
    <stem>.settings.json    the settings of the journal
    <stem>.facts.jsonl      per sample: why it ended, tokens, critical path, seconds, verdict
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import FileLock, read_json, read_jsonl, to_json, to_pretty_json, write_atomic


class Journal:
    """The finished samples of one run; one process at a time may open it, with the settings it was made with.

    `results` maps (message_idx, sample_idx) to the text, `facts` to the facts about the sample.
    """

    def __init__(self, stem: Path, settings: Mapping, *, overwrite: bool = False):
        self.final = stem.with_name(f"{stem.name}.json")
        self.path = stem.with_name(f"{stem.name}.jsonl")
        self.settings_path = stem.with_name(f"{stem.name}.settings.json")
        self.facts_path = stem.with_name(f"{stem.name}.facts.jsonl")
        self.settings, self.overwrite = dict(settings), overwrite
        self.results: dict[tuple[int, int], str] = {}
        self.facts: dict[tuple[int, int], dict] = {}
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        self.dropped = 0
        """Lines of the journal that could not be read; their samples are generated again."""

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(
            f"{self.path} is being written by another run (process {{holder}}): wait until it has ended, then start "
            "again; its samples are kept"
        )
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *exception) -> None:
        os.close(self._journal)
        os.close(self._facts)
        self._lock.release()

    def _open(self) -> None:
        if self.overwrite:
            for path in (self.final, self.path, self.settings_path, self.facts_path):
                path.unlink(missing_ok=True)
        self._check_settings()
        for key, row in self._load(self.path, "result"):
            self.results.setdefault(key, row["result"])
        for key, row in self._load(self.facts_path, "reason"):
            self.facts[key] = row
        self._journal = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._facts = os.open(self.facts_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _check_settings(self) -> None:
        ways_out = "--overwrite starts over, another --suffix keeps both"
        if not self.settings_path.is_file():
            if self.path.is_file() and self.path.stat().st_size:
                raise UserError(f"{self.path} has no {self.settings_path.name} that says what made it: {ways_out}")
            write_atomic(self.settings_path, to_pretty_json(self.settings))
            return
        before = read_json(self.settings_path)
        differing = [
            f"{key}: {before.get(key)} there, {self.settings.get(key)} now"
            for key in sorted({*before, *self.settings})
            if before.get(key) != self.settings.get(key)
        ]
        if differing:
            raise UserError(f"{self.path} was made with other settings ({'; '.join(differing)}): {ways_out}")

    def _load(self, path: Path, field: str) -> Iterator[tuple[tuple[int, int], dict]]:
        """Yield the rows of the journal or the facts, and remove what a killed run left half written."""
        if not path.is_file():
            return
        good, bad = [], 0
        for _, row, _ in read_jsonl(path):
            if isinstance(row, dict) and isinstance(row.get(field), str) and _index(row):
                good.append(row)
            else:
                bad += 1
        if bad or not _ends_whole(path):
            write_atomic(path, "".join(to_json(row) + "\n" for row in good))
        self.dropped += bad if field == "result" else 0
        for row in good:
            yield (row["message_idx"], row["sample_idx"]), row

    def add(self, message_idx: int, sample_idx: int, result: str, facts: Mapping) -> None:
        """Keep a finished sample: its facts first, so that a line of the journal means that both are kept."""
        where = {"message_idx": message_idx, "sample_idx": sample_idx}
        self.note(message_idx, sample_idx, facts)
        _append(self._journal, {**where, "result": result})
        self.results[message_idx, sample_idx] = result

    def note(self, message_idx: int, sample_idx: int, facts: Mapping) -> None:
        """Keep the facts of a sample; its last line counts."""
        row = {"message_idx": message_idx, "sample_idx": sample_idx, **facts}
        _append(self._facts, row)
        self.facts[message_idx, sample_idx] = row

    def missing(self, problems: int, samples: int) -> list[tuple[int, int]]:
        """Return (message_idx, sample_idx) of all samples that are not finished."""
        return [(m, s) for m in range(problems) for s in range(samples) if (m, s) not in self.results]

    def write_final(self, problems: int, samples: int) -> int:
        """Write the final JSON when nothing is missing, and return the number of its problems.

        Further problems that the journal has (from an earlier run without --limit) are written too.
        """
        while all((problems, s) in self.results for s in range(samples)):
            problems += 1
        rows = [[self.results[m, s] for s in range(samples)] for m in range(problems)]
        text = to_json(rows)
        if not self.final.is_file() or self.final.read_bytes() != text.encode():
            write_atomic(self.final, text)
        return problems


def _index(row: Mapping) -> bool:
    return all(type(row.get(name)) is int and row[name] >= 0 for name in ("message_idx", "sample_idx"))


def _ends_whole(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in (b"", b"\n")


def _append(handle: int, row: Mapping) -> None:
    """Append one line in one write, so that only the last line of a killed run can be incomplete."""
    data = (to_json(row) + "\n").encode()
    while data:
        data = data[os.write(handle, data) :]
