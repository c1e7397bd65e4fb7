"""The folder of an export: made once, whole or not at all, and nobody else's files are touched."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from threadweaver.errors import UserError
from threadweaver.files import atomic_file, read_json, row_groups, to_json, write_atomic, write_parquet

if TYPE_CHECKING:
    import pyarrow

SETTINGS, CARD = "export.json", "README.md"
"""Written first and last: a folder with both is whole."""


def is_whole(path: Path, settings: Mapping[str, object], *, overwrite: bool) -> bool:
    """Return whether the folder was made with these settings; otherwise prepare an empty one for them.

    Raises UserError if it was made with other settings, or holds files that no export wrote.
    """
    asked = json.loads(json.dumps(settings))
    if path.exists() and any(path.iterdir()):
        if not (path / SETTINGS).is_file():
            raise UserError(f"{path} holds files that this command did not write: name another --output")
        made = read_json(path / SETTINGS)
        if made == asked and (path / CARD).is_file() and not overwrite:
            return True
        if made != asked and (path / CARD).is_file() and not overwrite:
            differing = sorted(key for key in {*made, *asked} if made.get(key) != asked.get(key))
            raise UserError(
                f"{path} was made with other settings ({', '.join(differing)}): --overwrite makes it again, another "
                "--output keeps both"
            )
        _clear(path)
    write_atomic(path / SETTINGS, json.dumps(asked, indent=1, ensure_ascii=False) + "\n")
    return False


def _clear(path: Path) -> None:
    (path / CARD).unlink(missing_ok=True)
    for item in path.iterdir():
        if item.name != SETTINGS:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def write_rows(path: Path, schema: pyarrow.Schema, rows: Iterable[Mapping[str, object]]) -> int:
    """Write rows as a parquet file, a group of them in memory at a time, and return how many there were."""
    with atomic_file(path) as out:
        return write_parquet(out, schema, row_groups(rows, schema))


def write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    """Write rows as JSON lines, one in memory at a time, and return how many there were."""
    count = 0
    with atomic_file(path) as out:
        for row in rows:
            out.write((to_json(row) + "\n").encode("utf-8", "surrogatepass"))
            count += 1
    return count


def file_digest(path: Path) -> str:
    """Return 16 hex digits of the SHA-256 of a file of any size."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
