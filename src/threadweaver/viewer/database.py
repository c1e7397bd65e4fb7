"""The index on disk: one SQLite file with the samples' columns and the words of every text.

`samples` has what is filtered, sorted and counted, `shown` what the list shows of a row; both have the document's number
`at`. Kept apart, a query of the columns reads a fifth of the pages.

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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from threadweaver.files import digest
from threadweaver.viewer.table import FACETS, NAMES, Row

VERSION = " ".join(("5", *NAMES, *FACETS))
"""Of the schema and its columns: an index of another version is rebuilt."""

_COLUMNS = [f"m_{name}" for name in NAMES] + [f"f_{name}" for name in FACETS if name != "review"]
"""A measure's is a number or NULL, a facet's holds its values; see `joined`. Reviews are kept in their own file."""
_SCHEMA = f"""
PRAGMA page_size = 8192;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS samples (
  at INTEGER PRIMARY KEY, id TEXT UNIQUE, uuid TEXT, place TEXT, estimated INTEGER, {", ".join(_COLUMNS)}, signature TEXT
);
CREATE TABLE IF NOT EXISTS shown (at INTEGER PRIMARY KEY, row TEXT);
CREATE TABLE IF NOT EXISTS blocks (
  at INTEGER, block INTEGER, threads INTEGER, length REAL, longest REAL, saved REAL, PRIMARY KEY (at, block)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS threads (
  at INTEGER, block INTEGER, thread INTEGER, length REAL, share REAL, PRIMARY KEY (at, block, thread)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collected (id TEXT PRIMARY KEY, uuid TEXT, problem TEXT, fields TEXT, at INTEGER, bytes INTEGER);
CREATE TABLE IF NOT EXISTS texts (at INTEGER PRIMARY KEY, packed BLOB, extra TEXT);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(problem, text, content='');
"""
_SETTINGS = {"hashsize": 64 << 20, "automerge": 0, "pgsz": 8100}
"""Of the words: gather the words of one commit before writing, merge segments only when there are many, fill whole
pages. Together this saves a sixth of the CPU time of the first index."""
_BETWEEN = "\x1f"
_PUT = f"INSERT OR REPLACE INTO samples VALUES ({', '.join('?' * (6 + len(_COLUMNS)))})"
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

    at: int
    row: Row
    signature: str
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

    def signatures(self) -> dict[str, tuple[int, str]]:
        """Return the document number and the signature of every sample by id."""
        with self.connect() as connection:
            return {id: (at, known) for id, at, known in connection.execute("SELECT id, at, signature FROM samples")}

    def row(self, id: str) -> Row | None:
        with self.connect() as connection:
            found = connection.execute("SELECT at FROM samples WHERE id = ?", (clean(id),)).fetchone()
            return row_at(connection, found[0]) if found else None

    def estimated(self) -> list[str]:
        """Return the ids of the samples whose lengths are estimates."""
        with self.connect() as connection:
            return [id for (id,) in connection.execute("SELECT id FROM samples WHERE estimated ORDER BY at")]

    def collected(self, id: str) -> tuple[str, str, str, int, int] | None:
        """Return uuid, problem, other fields as JSON, and offset and bytes of the line in collected.jsonl."""
        with self.connect() as connection:
            query = "SELECT uuid, problem, fields, at, bytes FROM collected WHERE id = ?"
            return connection.execute(query, (id,)).fetchone()

    def text(self, at: int) -> tuple[str, dict] | None:
        """Return the text and other fields of a dataset's row; those of a folder's samples are in their files."""
        with self.connect() as connection:
            found = connection.execute("SELECT packed, extra FROM texts WHERE at = ?", (at,)).fetchone()
        return (zlib.decompress(found[0]).decode("utf-8", "replace"), json.loads(found[1])) if found else None


def row_at(connection: sqlite3.Connection, at: int, schema: str = "main") -> Row | None:
    found = connection.execute(f"SELECT row FROM {schema}.shown WHERE at = ?", (at,)).fetchone()
    return Row.from_json(found[0]) if found else None


def find(connection: sqlite3.Connection, text: str, schema: str = "main", table: str = "found") -> None:
    """Fill a temporary table with the numbers of the samples that hold the words, or have the text as id or in their
    uuid. A query that FTS5 cannot read finds no words.
    """
    connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    connection.execute(f"CREATE TEMP TABLE {table} (at INTEGER PRIMARY KEY)")
    if match := match_expression(text):
        with suppress(sqlite3.OperationalError):
            query = f"INSERT INTO temp.{table} SELECT rowid FROM {schema}.words WHERE words MATCH ?"
            connection.execute(query, (match,))
    needle = clean(text.strip().lower())
    named = "lower(id) = :it OR (:long AND instr(lower(uuid), :it))"
    named = f"INSERT OR IGNORE INTO temp.{table} SELECT at FROM {schema}.samples WHERE {named}"
    connection.execute(named, {"it": needle, "long": len(needle) > 2})


def joined(values: Sequence[str]) -> str:
    """Return a sample's values of one facet as one text."""
    return _BETWEEN.join(clean(value) for value in values)


def values_of(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").split(_BETWEEN))


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
    words = [value for item in items for value in (item.at, clean(item.problem), clean(item.text))]
    places = ", ".join(["(?, ?, ?)"] * len(items))
    connection.execute(f"INSERT INTO words(rowid, problem, text) VALUES {places}", words)
    for item in items:
        put(connection, item.at, item.row, item.signature)
        if item.extra is not None:
            packed = zlib.compress(item.text.encode("utf-8", "surrogatepass"), 1)
            extra = json.dumps(item.extra)
            connection.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (item.at, packed, extra))


def put(connection: sqlite3.Connection, at: int, row: Row, signature: str) -> None:
    """Write a sample's columns and what the list shows of it."""
    place = re.sub(r"\d+", lambda found: f"\x01{found[0]:0>20}", clean(row.id))
    facets = [joined(row.facet(name)) for name in FACETS if name != "review"]
    values = (at, clean(row.id), clean(row.uuid), place, row.estimated, *_measures(row), *facets, signature)
    connection.execute(_PUT, values)
    connection.execute("INSERT OR REPLACE INTO shown VALUES (?, ?)", (at, clean(row.to_json())))
    blocks = [[chars * _tokens_per_char(row) for chars in block] for block in row.blocks]
    for number, lengths in enumerate(blocks, 1):
        longest = max(lengths)
        values = (at, number, len(lengths), sum(lengths), longest, sum(lengths) - longest)
        connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?)", values)
        threads = [(at, number, k, length, length / longest if longest else 1.0) for k, length in enumerate(lengths, 1)]
        connection.executemany("INSERT OR REPLACE INTO threads VALUES (?, ?, ?, ?, ?)", threads)


def _tokens_per_char(row: Row) -> float:
    """Return the factor from characters of threads to tokens with which their mean is the measured one."""
    chars = [length for block in row.blocks for length in block]
    mean = row.measure("avg_thread_length")
    return mean * len(chars) / sum(chars) if mean is not None and sum(chars) else 0.0


def _measures(row: Row) -> Sequence[float | None]:
    return row.values or (None,) * len(NAMES)


def remove(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    numbers = [(at,) for at in numbers]
    for name in ("samples", "shown", "texts", "blocks", "threads"):
        connection.executemany(f"DELETE FROM {name} WHERE at = ?", numbers)


def clean(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and SQLite cannot, and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
