"""Files: text without newline translation, atomic writes, JSON lines, parquet, locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from threadweaver.errors import UserError

if TYPE_CHECKING:
    import pyarrow


def read_text(path: Path) -> str:
    """A text file without newline translation; raises UserError when it is not UTF-8."""
    try:
        # what write_atomic lets pass has to be readable again
        with open(path, encoding="utf-8", errors="surrogatepass", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): convert it") from None


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file in the same folder and rename it to `path` when the block ends well: a reader sees all of
    it or none. An OSError names `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            error.filename = str(path)  # a failed write knows only its descriptor, a failed rename the temporary name
        raise


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file at once, as `atomic_file` does."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    with atomic_file(path) as file:
        file.write(data)


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


class FileLock:
    """A lock file that one process holds at a time; it names its holder, and is kept when it is given back."""

    def __init__(self, path: Path):
        self.path = path

    def acquire(self, busy: str) -> None:
        """Take the lock, or raise UserError(`busy`), in which `{holder}` is the process that has it."""
        self._file = open(self.path, "a+")  # noqa: SIM115  held until release
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise UserError(busy.replace("{holder}", holder or "unknown")) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.truncate(0)
        self._file.close()


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


def digest(content: str | bytes) -> str:
    """16 hex digits of SHA-256: enough to notice a change, short enough to read."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def read_json(path: Path):
    """A JSON file; raises UserError when it cannot be read as one."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is damaged ({error.msg}, line {error.lineno}): remove it and run again") from None
