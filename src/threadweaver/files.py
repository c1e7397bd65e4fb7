"""Files: text without newline translation, atomic writes, JSON, JSON lines, parquet, locks, digests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from threadweaver.errors import UserError
from threadweaver.text import decode, parse_json, what_is_wrong
from threadweaver.text import to_json as to_json
from threadweaver.text import to_pretty_json as to_pretty_json

if TYPE_CHECKING:
    import pyarrow


def read_text(path: Path) -> str:
    """Return the text of a file without newline translation; raises UserError when it is not UTF-8."""
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is {error}: convert it") from None


@contextlib.contextmanager
def atomic_file(path: Path, *, durable: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file in the same folder and rename it to `path` if the block ends without an error.

    Readers see the whole file or none of it; `durable`: also after a power cut. An OSError names `path`.
    """
    with _temporary(path) as name:
        with _created(name) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)


PARTS = f".*.{'[0-9a-f]' * 32}.part"
"""The names that `_temporary` makes, as a pattern."""


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a name in the same folder; if the block fails, that file is removed, and an OSError names `path`."""
    name = path.parent / f".{path.name[:40]}.{uuid.uuid4().hex}.part"
    try:
        yield name
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failed write knows only its descriptor, a failed rename its temporary name
        raise


def _created(path: Path) -> IO[bytes]:
    """Open a new file, in a folder that is made if it is missing. Its mode is what the umask leaves of 0666, not the 0600
    of tempfile."""
    try:
        return open(path, "xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "xb")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file with `atomic_file`. A text with half characters raises UnicodeEncodeError."""
    data = content if isinstance(content, bytes) else content.encode()
    with atomic_file(path) as file:
        file.write(data)


@dataclass(frozen=True, slots=True)
class Part:
    """A whole file under a temporary name beside its place, written by any process; `place` renames it."""

    name: str
    digest: str

    @classmethod
    def written(cls, path: Path, data: bytes) -> Part:
        """Write the file that will be `path`; an OSError names that."""
        with _temporary(path) as name:
            with _created(name) as file:
                file.write(data)
            return cls(str(name), digest(data))

    def place(self, path: Path) -> None:
        try:
            os.replace(self.name, path)
        except OSError as error:
            self.discard()
            error.filename = str(path)
            raise

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.name)


ROWS_PER_GROUP = 64
"""Of a parquet file. A row of 15,000 tokens takes up to 1 MB as Python objects."""


def write_parquet(out: IO[bytes], schema: pyarrow.Schema, tables: Iterable[pyarrow.Table], **options: object) -> int:
    """Write tables of one schema as a parquet file, zstd-compressed, and return the number of rows.

    The same tables give the same bytes; only one is in memory at a time.
    """
    from pyarrow import parquet

    rows = 0
    with parquet.ParquetWriter(out, schema, compression="zstd", **options) as writer:
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows


def row_groups(
    rows: Iterable[Mapping[str, object]], schema: pyarrow.Schema, size: int = ROWS_PER_GROUP
) -> Iterator[pyarrow.Table]:
    """Yield rows as tables, each of which becomes a row group of a parquet file."""
    import pyarrow as pa

    rows = iter(rows)
    while group := list(islice(rows, size)):
        yield pa.Table.from_pylist(group, schema=schema)


class FileLock:
    """A lock file that one process holds at a time. It contains the holder's process id and stays after release.

    Where the file system has no locks, a second file, `<name>.held`, is the lock: it exists as long as the lock is
    held, and a holder of this machine that has died is noticed.
    """

    def __init__(self, path: Path):
        self.path = path
        self._held: Path | None = None

    def acquire(self, busy: str) -> None:
        """Take the lock, or raise UserError(`busy`) with `{holder}` replaced by the id of the process that holds it."""
        self._file = open(self.path, "a+", encoding="ascii", errors="replace")  # noqa: SIM115  held until release
        try:
            self._lock()
        except _Busy:
            self._file.seek(0)
            holder = self._file.read(20).strip()
            self._file.close()
            raise UserError(busy.replace("{holder}", _described(holder))) from None
        except BaseException:
            self._file.close()
            raise
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.truncate(0)
        self._file.close()
        if self._held:
            self._held.unlink(missing_ok=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _Busy from None
        except OSError:  # ENOSYS, ENOLCK, ENOTSUP: no locks here
            held = self.path.with_name(f"{self.path.name}.held")
            _take(held)
            self._held = held


class _Busy(Exception):
    """Another process holds the lock."""


def _take(held: Path) -> None:
    """Make a file that only one process can make; raises _Busy, or UserError if its maker cannot be asked for."""
    us = f"{os.getpid()} {socket.gethostname()}"
    try:
        with open(held, "x") as file:
            file.write(us)
        return
    except FileExistsError:
        before = held.read_text()
        pid, _, host = before.partition(" ")
    if host != socket.gethostname() or not pid.isdecimal():
        raise UserError(
            f"{held} says that a run on {host or 'another machine'} writes here, and files cannot be locked here: if that run "
            "has ended, remove this file and run the same command again"
        )
    with contextlib.suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            _remove_if(held, before)
            return _take(held)
    raise _Busy


def _remove_if(held: Path, content: str) -> None:
    """Remove a file if this is still its content: another process may have replaced it in the meantime."""
    aside = held.with_name(f"{held.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(held, aside)
        if aside.read_text() != content:
            os.link(aside, held)
        aside.unlink()


def _described(pid: str) -> str:
    """Return a process id, with how to continue it if the process is stopped."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        stat = Path(f"/proc/{int(pid)}/stat").read_text(encoding="utf-8", errors="replace")
        if stat.rpartition(")")[2].split()[0] == "T":
            return f"{pid}, which is stopped: `kill -CONT {pid}` continues it, `kill {pid}` then ends it"
    return pid or "unknown"


def read_jsonl(path: Path) -> Iterator[tuple[int, object | None, str]]:
    """Yield the number (from 1), the value and the fault of every line that is not blank.

    The value is None, and the fault says why, when the line is not JSON; otherwise the fault is "".
    """
    with open(path, "rb") as file:
        yield from parse_lines(file)


def parse_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, object | None, str]]:
    """Yield what `read_jsonl` yields, of lines from anywhere."""
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            yield number, parse_json(raw), ""
        except ValueError as error:  # not UTF-8, not JSON, a number too long, nested too deep
            yield number, None, what_is_wrong(error)


def sha256(content: str | bytes) -> str:
    """Return the SHA-256 as hex digits, of a text's UTF-8 (lone surrogates are allowed)."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()


def digest(content: str | bytes) -> str:
    """Return 16 hex digits of the SHA-256: enough to notice a change, short enough to read."""
    return sha256(content)[:16]


def digest_file(path: Path) -> str:
    """Return `digest` of a file's content, which may be larger than memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_json(path: Path):
    """Return the value of a JSON file; raises UserError when the file is damaged."""
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({what_is_wrong(error)}): remove it and run again") from None
