"""The index on disk: one SQLite file with a row a sample and the words of every text.

The words are kept without the text (FTS5 with `content=''`). A sample that changed gets a new document number, and
the old one is simply no longer named by any sample: that works on every SQLite since 3.20, where rows of such a
table cannot be deleted.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from threadweaver.files import digest

VERSION = "2"
"""Of the schema: an index of another version is made anew."""

_SCHEMA = """
PRAGMA page_size = 8192;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS samples (id TEXT PRIMARY KEY, signature TEXT, doc INTEGER, row TEXT);
CREATE TABLE IF NOT EXISTS collected (id TEXT PRIMARY KEY, uuid TEXT, problem TEXT, fields TEXT, at INTEGER, bytes INTEGER);
CREATE TABLE IF NOT EXISTS texts (doc INTEGER PRIMARY KEY, packed BLOB, extra TEXT);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(problem, text, content='');
"""
_SETTINGS = {"hashsize": 64 << 20, "automerge": 0, "pgsz": 8100}
"""Of the words: a commit's worth is gathered before it is written, pieces are merged only when there are many, and they
fill a page. Together a sixth less CPU for the first index."""
_CACHE = 64_000
"""KB of pages that the writer keeps: a commit's worth, so that none is written twice."""


def location(root: Path) -> Path:
    """Where the index of this folder lies: beside it, or in a cache folder where that may not be written."""
    for folder in (
        root.parent / ".viewer",
        _cache(),
        Path(tempfile.gettempdir()) / f"threadweaver-viewer-{os.getuid()}",
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        name = root.name if folder.parent == root.parent else f"{root.name}-{digest(str(root))}"
        return folder / f"{name}.sqlite"
    raise OSError(f"no folder can be written for the index of {root}")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "threadweaver"


@dataclass(frozen=True, slots=True)
class Item:
    """A sample to be written; with `extra` its text and these other fields are kept in the index too."""

    id: str
    signature: str
    doc: int
    row: str
    problem: str
    text: str
    extra: dict | None = None


class Database:
    """Readers open the file for each question; the index thread alone writes."""

    def __init__(self, path: Path):
        self.path = path

    def prepare(self) -> None:
        """Make the file, or make it anew when it is of another version or damaged."""
        try:
            self._create()
            if self.meta("version") == VERSION:
                return
        except sqlite3.DatabaseError:
            pass
        self.remove()
        self._create()
        self.set_meta({"version": VERSION})

    def _create(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.connect() as connection:
            connection.executescript(_SCHEMA)
            if connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0:
                connection.execute("INSERT INTO meta VALUES ('version', ?)", (VERSION,))
                connection.executemany("INSERT INTO words(words, rank) VALUES (?, ?)", _SETTINGS.items())
            connection.commit()

    def remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30, check_same_thread=False)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection for many samples."""
        with self.connect() as connection:
            connection.execute(f"PRAGMA cache_size = -{_CACHE}")
            yield connection

    def meta(self, name: str) -> str | None:
        with self.connect() as connection:
            found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def set_meta(self, values: dict[str, str]) -> None:
        with self.connect() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
            connection.commit()

    def samples(self) -> list[tuple[str, str, int, str]]:
        """Every sample: id, signature, document number, row as JSON."""
        with self.connect() as connection:
            return connection.execute("SELECT id, signature, doc, row FROM samples").fetchall()

    def collected(self, id: str) -> tuple[str, str, str, int, int] | None:
        """uuid, problem, other fields as JSON, and where its line stands in collected.jsonl (offset, bytes)."""
        with self.connect() as connection:
            query = "SELECT uuid, problem, fields, at, bytes FROM collected WHERE id = ?"
            return connection.execute(query, (id,)).fetchone()

    def text(self, doc: int) -> tuple[str, dict] | None:
        """The text of a dataset's row and its other fields (those of folders are read from their files)."""
        with self.connect() as connection:
            found = connection.execute("SELECT packed, extra FROM texts WHERE doc = ?", (doc,)).fetchone()
        return (zlib.decompress(found[0]).decode("utf-8", "replace"), json.loads(found[1])) if found else None

    def search(self, match: str) -> list[int]:
        """The documents that match, as numbers; a query that FTS5 cannot read finds nothing."""
        with self.connect() as connection:
            try:
                return [doc for (doc,) in connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,))]
            except sqlite3.OperationalError:
                return []


def match_expression(query: str) -> str:
    """What the reader typed as an FTS5 expression: every word must occur, the last may be a beginning.

    Words in double quotes must follow one another.
    """
    terms = []
    for quoted, word in re.findall(r'"([^"]*)"|(\S+)', query):
        tokens = re.findall(r"\w+", quoted or word)
        if tokens and quoted:
            terms.append('"' + " ".join(tokens) + '"')
        else:
            terms += [f'"{token}"' for token in tokens]
    if terms and not query.rstrip().endswith('"') and re.search(r"\w$", query):
        terms[-1] += " *"
    return " ".join(terms)


def add(connection: sqlite3.Connection, items: Sequence[Item]) -> None:
    """Write samples (at most some hundreds) and their words, in one statement: while it runs, other threads run too."""
    if not items:
        return
    words = [value for item in items for value in (item.doc, clean(item.problem), clean(item.text))]
    places = ", ".join(["(?, ?, ?)"] * len(items))
    connection.execute(f"INSERT INTO words(rowid, problem, text) VALUES {places}", words)
    rows = [(item.id, item.signature, item.doc, item.row) for item in items]
    connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", rows)
    for item in items:
        if item.extra is not None:
            packed = zlib.compress(item.text.encode("utf-8", "surrogatepass"), 1)
            extra = json.dumps(item.extra)
            connection.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (item.doc, packed, extra))


def clean(text: str) -> str:
    """Without lone surrogates (which JSON can carry and SQLite cannot) and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
