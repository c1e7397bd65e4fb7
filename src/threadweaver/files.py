"""Files: atomic writes, text without newline translation, JSON lines."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from threadweaver.errors import UserError


def read_text(path: Path) -> str:
    """A text file without newline translation; raises UserError when it is not UTF-8."""
    try:
        # what write_atomic lets pass has to be readable again
        with open(path, encoding="utf-8", errors="surrogatepass", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): convert it") from None


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
