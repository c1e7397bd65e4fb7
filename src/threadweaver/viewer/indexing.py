"""Keep the index up to date in the background: a first pass over everything, then only over what changed."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from threadweaver.files import digest
from threadweaver.samples import sample_key
from threadweaver.text import shown
from threadweaver.viewer import database, describe, scan
from threadweaver.viewer.database import Database, Item
from threadweaver.viewer.describe import Described, Known
from threadweaver.viewer.gauge import Gauge
from threadweaver.viewer.runs import DATASET, Run
from threadweaver.viewer.scan import Fate, Found

BATCH = 400
"""Samples per commit, which a killed server may have to index again."""
CHUNK, CHUNK_CHARS = 20, 1 << 20
"""Most samples, and about the most characters, that are described and written at a time."""
WAIT = 2.0
"""Seconds between two checks of the folders; longer where a check itself is slow."""
FULL_CHECK = 60.0
"""Seconds after which every file is checked even if no folder changed: a file may be written in place."""
_END = object()


@dataclass(slots=True)
class Status:
    """The progress of the background work, for the page."""

    phase: str = "starting"
    done: int = 0
    total: int = 0
    complete: bool = False
    seconds: float = 0.0
    """From the start to the first complete index."""
    fault: str = ""


class Indexer:
    """Fills the index from a thread of its own. `generation` counts the commits that changed the list."""

    def __init__(self, run: Run, gauge: Gauge, db: Database):
        self.run, self.gauge, self.db = run, gauge, db
        self.status = Status()
        self.generation = 0
        self.found: dict[str, Found] = {}
        self._known: dict[str, tuple[int, str]] = {}
        """The document number and the signature of every sample in the index."""
        self._stop = threading.Event()
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="index", daemon=True)

    def start(self) -> None:
        self._load()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        before, checked = "", 0.0
        while not self._stop.is_set():
            begun = time.monotonic()
            now = scan.state(self.run)
            if now != before or begun - checked > FULL_CHECK or not self.db.path.exists():
                before, checked = now, begun
                self._guarded(self.refresh)
            self._stop.wait(max(WAIT, 5 * (time.monotonic() - begun)))

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step; an error while folders change is shown on the page and does not end the background work."""
        try:
            step()
            self.status.fault = ""
        except Exception as error:
            self.status.fault = f"{type(error).__name__}: {error}"[:300]
            print(f"the index could not be brought up to date: {self.status.fault}", file=sys.stderr)

    def _load(self) -> None:
        self.db.prepare()
        self._known = self.db.signatures()
        self.generation += 1

    def refresh(self) -> None:
        """Bring the index up to date with the folders."""
        if not self.db.path.exists():
            self._load()
        self.status.phase, self.status.complete = "checking the files", False
        if self.run.kind == DATASET:
            self._refresh_dataset()
        else:
            self._refresh_folders()
        if self.gauge.exact:
            self._count_tokens()
        self.status.seconds = self.status.seconds or round(time.monotonic() - self._begun, 2)
        self.status.phase, self.status.complete = "ready", True

    def _refresh_folders(self) -> None:
        self.found = found = scan.files(self.run)
        accounts = scan.accounts_state(self.run) + self.gauge.name
        if accounts == self.db.meta("accounts") and self._same_files(found):
            return
        self.status.phase = "reading the accounts"
        fates = scan.fates(self.run)
        known = self._collected()
        wanted = {id: _signature(found.get(id), fates.get(id), self.gauge) for id in {*found, *fates}}
        self._remove(self._known.keys() - wanted.keys())
        pending = sorted(
            (id for id in wanted if id not in self._known or self._known[id][1] != wanted[id]), key=sample_key
        )

        def described() -> Iterator[tuple[str, str, Described]]:
            for id in pending:
                yield id, wanted[id], self._described(id, found.get(id), fates.get(id), known)

        self._write(described(), len(pending))
        if not self._stop.is_set():
            self.db.set_meta({"accounts": accounts})

    def _same_files(self, found: dict[str, Found]) -> bool:
        kept = {id: file for id, (_, signature) in self._known.items() if (file := signature.split("|")[0])}
        return kept == {id: item.signature for id, item in found.items()}

    def _described(self, id: str, found: Found | None, fate: Fate | None, known: dict[str, tuple]) -> Described:
        """Return the row of a sample; one that cannot be described costs no other its place."""
        try:
            return self._describe(id, found, fate, known)
        except Exception as error:
            print(f"{shown(id)} cannot be shown ({type(error).__name__}: {shown(str(error))[:100]})", file=sys.stderr)
            return describe.describe(id, None, Fate("", "failed", "unreadable"), Known())

    def _describe(self, id: str, found: Found | None, fate: Fate | None, known: dict[str, tuple]) -> Described:
        if id in known:
            uuid, problem, fields = known[id]
            collected = json.loads(fields)
            facts = Known(uuid, problem, collected.get("correctness"), collected.get("solution"))
        else:
            facts = describe.from_trace(found.path) if found else Known()
        return describe.describe(id, found, fate, facts)

    def _collected(self) -> dict[str, tuple]:
        """Return uuid, problem and other fields of the collected samples; their file is read again only if it changed."""
        path = self.run.collected
        mark = f"{path.stat().st_mtime_ns}:{path.stat().st_size}" if path else ""
        with self.db.connect() as connection:
            if self.db.meta("collected") != mark:
                self.status.phase = "reading the collected samples"
                connection.execute("DELETE FROM collected")
                rows = scan.collected_rows(path) if path else ()
                cleaned = ((id, uuid, database.clean(problem), *rest) for id, uuid, problem, *rest in rows)
                connection.executemany("INSERT OR REPLACE INTO collected VALUES (?, ?, ?, ?, ?, ?)", cleaned)
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('collected', ?)", (mark,))
                connection.commit()
            rows = connection.execute("SELECT id, uuid, problem, fields FROM collected").fetchall()
        return {id: (uuid, problem, fields) for id, uuid, problem, fields in rows}

    def _refresh_dataset(self) -> None:
        from threadweaver.corpus.readers import dataset_name, read_rows
        from threadweaver.corpus.sources import from_column, to_sample

        column = self.run.text_column
        mark = scan.state(self.run) + self.gauge.name + (column or "")
        files = [self.run.root] if self.run.root.is_file() else sorted(self.run.root.rglob("*.*"))
        mark += "".join(f"{file.name}:{file.stat().st_mtime_ns}:{file.stat().st_size}" for file in files[:1000])
        if mark == self.db.meta("dataset"):
            return
        self._remove(list(self._known))

        def described() -> Iterator[tuple[str, str, Described]]:
            name = dataset_name(self.run.root)
            for row in read_rows(self.run.root):
                try:
                    yield (
                        str(row.index),
                        "dataset",
                        describe.from_dataset(from_column(row, name, column) if column else to_sample(row, name)),
                    )
                except ValueError:
                    fate = Fate("", "failed", "malformed")
                    yield str(row.index), "dataset", describe.describe(str(row.index), None, fate, Known())

        self._write(described(), 0)
        if not self._stop.is_set():
            self.db.set_meta({"dataset": mark})

    def _write(self, described: Iterable[tuple[str, str, Described]], total: int) -> None:
        """Write samples while the next ones are described: SQLite works without the interpreter's lock."""
        self.status.phase, self.status.done, self.status.total = "indexing", 0, total
        with self.db.writing() as connection:
            last = connection.execute("SELECT max(id) FROM words_docsize").fetchone()[0] or 0
            last = max(last, *(at for at, _ in self._known.values()), 0)
            committed = 0
            for chunk in ahead(chunks(described), 3):
                if self._stop.is_set():
                    break
                database.remove(connection, [self._known[id][0] for id, _, _ in chunk if id in self._known])
                items = []
                for id, signature, item in chunk:
                    last += 1
                    items.append(Item(last, item.row, signature, item.problem, item.text, item.extra))
                    self._known[id] = last, signature
                database.add(connection, items)
                self.status.done += len(items)
                if self.status.done - committed >= BATCH:
                    self._commit(connection)
                    committed = self.status.done
            self._commit(connection)

    def _commit(self, connection: sqlite3.Connection) -> None:
        connection.commit()
        self.generation += 1

    def _remove(self, ids: Iterable[str]) -> None:
        ids = list(ids)
        if not ids:
            return
        with self.db.connect() as connection:
            database.remove(connection, [self._known.pop(id)[0] for id in ids])
            self._commit(connection)

    def _count_tokens(self) -> None:
        """Replace estimates by counts, sample by sample; finished ones are kept when the server stops."""
        pending = self.db.estimated()
        self.status.phase, self.status.done, self.status.total = "counting tokens", 0, len(pending)
        with self.db.connect() as connection:
            for id in pending:
                if self._stop.is_set():
                    break
                at, signature = self._known[id]
                row = database.row_at(connection, at)
                database.put(connection, at, describe.remeasured(row, self.text(id), self.gauge), signature)
                self.status.done += 1
                if self.status.done % 50 == 0:
                    self._commit(connection)
            if pending:
                self._commit(connection)

    def text(self, id: str) -> str:
        """Return the text of a sample in the list; empty if it no longer exists."""
        if self.run.kind == DATASET:
            return self.kept(id)[0]
        found = self.found.get(id)
        try:
            return describe.read(found.path) if found else ""
        except OSError:
            return ""

    def kept(self, id: str) -> tuple[str, dict]:
        """Return the text of a dataset's row and its other fields."""
        return self.db.text(self._known.get(id, (-1, ""))[0]) or ("", {})


def _signature(found: Found | None, fate: Fate | None, gauge: Gauge) -> str:
    """Return a string that changes when the text, its account entries or the way of measuring change."""
    parts = [found.signature if found else ""]
    if fate:
        facts = (fate.stage, fate.outcome, fate.reason, fate.later, fate.facts, fate.measures)
        parts.append(digest(repr(facts)))
    if found and not (fate and fate.measures):
        parts.append(gauge.name)
    return "|".join(parts)


def chunks(described: Iterable[tuple[str, str, Described]]) -> Iterator[list[tuple[str, str, Described]]]:
    """Yield the same items in lists of CHUNK, or fewer where texts are long."""
    chunk: list[tuple[str, str, Described]] = []
    size = 0
    for item in described:
        chunk.append(item)
        size += len(item[2].text)
        if len(chunk) >= CHUNK or size >= CHUNK_CHARS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def ahead(items: Iterable, size: int) -> Iterator:
    """Yield the same items, computed up to `size` in advance by a thread of their own."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, "read") as reader:
        waiting = deque(reader.submit(next, iterator, _END) for _ in range(size))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(reader.submit(next, iterator, _END))
                yield item
        finally:
            for future in waiting:
                future.cancel()
