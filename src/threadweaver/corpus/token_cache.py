"""A cache of tokenizers as transformers loaded them, for commands that only count tokens.

Importing transformers and letting it build a tokenizer takes a second of one core; reading the result takes a quarter
of one at most. It is kept in `~/.cache/threadweaver/tokenizers` (or in XDG_CACHE_HOME), one file per tokenizer, named
after the content of its files and the versions of the two libraries: a change of any of them is another name. Its first
line is the hash of the rest.
"""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from threadweaver.files import digest, write_atomic

if TYPE_CHECKING:
    import tokenizers

_WEIGHTS = 100 << 20
"""Bytes. A file of this size or more is taken for a model's weights: its size stands for its content."""

MOST = 16
"""Tokenizers that are kept; beyond them, the oldest one goes."""


def place_of(folder: Path) -> Path | None:
    """Return the file for the tokenizer in a folder; None if there is none in it, or nothing can be kept."""
    from importlib import metadata

    home = os.environ.get("XDG_CACHE_HOME")
    try:
        if not any((folder / name).is_file() for name in ("tokenizer_config.json", "tokenizer.json")):
            return None
        cache = Path(home) if home and os.path.isabs(home) else Path.home() / ".cache"
        found = sha256(f"{metadata.version('transformers')} {metadata.version('tokenizers')}".encode())
        for file in sorted(file for file in folder.iterdir() if file.is_file()):
            size = file.stat().st_size
            found.update(f"\0{file.name} {size}\0".encode() + (file.read_bytes() if size < _WEIGHTS else b""))
    except (OSError, RuntimeError):  # no such folder, a file that may not be read, no home
        return None
    return cache / "threadweaver" / "tokenizers" / f"{found.hexdigest()[:32]}.txt"


def read(place: Path) -> tokenizers.Tokenizer | None:
    """Return the tokenizer that is kept there, None if there is none that can be read."""
    import tokenizers

    with contextlib.suppress(Exception):  # of any kind: the library has none of its own for what it cannot read
        known, _, text = place.read_bytes().partition(b"\n") if place.is_file() else (b"", b"", b"")
        if known.decode() == digest(text):
            return tokenizers.Tokenizer.from_str(text.decode())
    return None


def write(place: Path, tokenizer: tokenizers.Tokenizer) -> None:
    """Keep a tokenizer, where that is possible and what is read again cuts texts the same: not all that transformers may
    set is in the text, and a part in Python has none."""
    from tokenizers import Tokenizer

    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    probe = " ".join(["Let x² = 4 — 両方 🙂.\n\n", *added, *added]) + "".join(added)
    with contextlib.suppress(Exception):
        text = tokenizer.to_str()
        if Tokenizer.from_str(text).encode(probe).tokens == tokenizer.encode(probe).tokens:
            write_atomic(place, f"{digest(text)}\n{text}")
            for old in sorted(place.parent.glob("*.txt"), key=os.path.getmtime)[:-MOST]:
                old.unlink()
