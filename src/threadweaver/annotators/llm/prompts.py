"""Prompt files: the turns of a conversation between lines `---`, with placeholders such as {{problem}}.

Every fault of a prompt is reported before any call is made.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError, setting

FOLDER = Path(__file__).parents[4] / "prompt"

_SEPARATOR = re.compile(r"^---[ \t]*$", re.M)
_PLACEHOLDER = re.compile(r"\{\{[ \t]*([A-Za-z_]\w*)[ \t]*\}\}")
_VERSIONS = re.compile(r"^(.*?_)((?:v\d+_)+)(v\d+)$")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file: the user's turns in order, with their placeholders, and the SHA-256 of the file."""

    name: str
    turns: tuple[str, ...]
    sha256: str

    def fill(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the turns with all placeholders replaced; placeholders inside a value are left alone."""
        return tuple(_PLACEHOLDER.sub(lambda match: values[match.group(1)], turn) for turn in self.turns)


def resolve(path: Path) -> Path:
    """Return the prompt of this lineage, or that of the v1 lineage: `step3-prompt_v2_v1.txt` falls back to
    `…_v1_v1.txt`.

    Only the versions of earlier stages fall back; the last version is the prompt's own.
    """
    path = Path(path)
    match = _VERSIONS.match(path.stem)
    if path.exists() or not match:
        return path
    lineage = re.sub(r"v\d+", "v1", match.group(2))
    fallback = path.with_name(f"{match.group(1)}{lineage}{match.group(3)}{path.suffix}")
    if not fallback.is_file():
        return path
    print(f"{path.name} was not found: {fallback.name} is used", file=sys.stderr)
    return fallback


def load(path: Path, placeholders: Collection[str]) -> Prompt:
    """Read a prompt that must hold all of these placeholders and no other. Raises UserError."""
    try:
        raw = Path(path).read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise UserError(
            f"the prompt {path} cannot be read ({error.strerror}): name another with {setting('--prompt', 'VERSION')}"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"the prompt {path} is not UTF-8 (byte {error.start}): convert it") from None
    turns = tuple(turn.strip() for turn in _SEPARATOR.split(text))
    _check(path, turns, set(placeholders))
    return Prompt(Path(path).name, turns, hashlib.sha256(raw).hexdigest())


def _check(path: Path, turns: tuple[str, ...], wanted: set[str]) -> None:
    if empty := [number for number, turn in enumerate(turns, 1) if not turn]:
        raise UserError(f"the prompt {path}: turn {empty[0]} is empty; write it, or remove the line --- next to it")
    found = {name for turn in turns for name in _PLACEHOLDER.findall(turn)}
    if unknown := sorted(found - wanted):
        known = ", ".join(f"{{{{{name}}}}}" for name in sorted(wanted))
        raise UserError(f"the prompt {path} has an unknown placeholder {{{{{unknown[0]}}}}}: known are {known}")
    if missing := sorted(wanted - found):
        raise UserError(f"the prompt {path} lacks {{{{{missing[0]}}}}}: put it where the model should read it")
