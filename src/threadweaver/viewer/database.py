"""The index on disk: one SQLite file with one row per sample and the words of every text.

The words are kept without the text (FTS5 with `content=''`). Rows of such a table cannot be deleted in older SQLite
(from 3.20 on), so a sample that changed gets a new document number and no sample refers to the old one any more.
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
from threadweaver.viewer.table import FACETS, NAMES

VERSION = " ".join(("3", *NAMES, *FACETS))
"""Of the schema and its columns: an index of another version is rebuilt."""

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
"""Of the words: gather the words of one commit before writing, merge segments only when there are many, fill whole
pages. Together this saves a sixth of the CPU time of the first index."""
_CACHE = 64_000
"""KB of pages that the writer keeps: the pages of one commit, so that none is written twice."""


def location(root: Path) -> Path:
    """Return the index file of this folder: next to it, or in a cache folder if that place is read-only."""
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
    """A sample to be written. With `extra`, its text and these other fields are kept in the index too."""

    id: str
    signature: str
    doc: int
    row: str
    problem: str
    text: str
    extra: dict | None = None


class Database:
    """Readers open the file for each query; only the index thread writes."""

    def __init__(self, path: Path):
        self.path = path

    def prepare(self) -> None:
        """Create the file, or rebuild it if it is damaged or of another version."""
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
        """Open a connection for writing many samples."""
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
        """Return for every sample: id, signature, document number, row as JSON."""
        with self.connect() as connection:
            return connection.execute("SELECT id, signature, doc, row FROM samples").fetchall()

    def collected(self, id: str) -> tuple[str, str, str, int, int] | None:
        """Return uuid, problem, other fields as JSON, and offset and bytes of the line in collected.jsonl."""
        with self.connect() as connection:
            query = "SELECT uuid, problem, fields, at, bytes FROM collected WHERE id = ?"
            return connection.execute(query, (id,)).fetchone()

    def text(self, doc: int) -> tuple[str, dict] | None:
        """Return the text and other fields of a dataset's row; those of a folder's samples are in their files."""
        with self.connect() as connection:
            found = connection.execute("SELECT packed, extra FROM texts WHERE doc = ?", (doc,)).fetchone()
        return (zlib.decompress(found[0]).decode("utf-8", "replace"), json.loads(found[1])) if found else None

    def search(self, match: str) -> list[int]:
        """Return the numbers of the documents that match; a query that FTS5 cannot read finds nothing."""
        with self.connect() as connection:
            try:
                return [doc for (doc,) in connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,))]
            except sqlite3.OperationalError:
                return []


def match_expression(query: str) -> str:
    """Return what the reader typed as an FTS5 expression.

    Every word must occur, the last one also as the beginning of a word; words in double quotes must be adjacent.
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
    """Write a few hundred samples and their words, in one statement: other threads run meanwhile."""
    if not items:
        return
    words = [value for item in items for value in (item.doc, clean(item.problem), clean(item.text))]
    places = ", ".join(["(?, ?, ?)"] * len(items))
    connection.execute(f"INSERT INTO words(rowid, problem, text) VALUES {places}", words)
    rows = [(clean(item.id), item.signature, item.doc, clean(item.row)) for item in items]
    connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", rows)
    for item in items:
        if item.extra is not None:
            packed = zlib.compress(item.text.encode("utf-8", "surrogatepass"), 1)
            extra = json.dumps(item.extra)
            connection.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (item.doc, packed, extra))


def clean(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and SQLite cannot, and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
