"""The files of a stage's folder besides its account: written by any process, placed by one, and never lost to a change."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from threadweaver.files import PARTS, Part, digest, digest_file
from threadweaver.runs.entries import AccountEntry

CHANGED = ".changed"
"""Added to the name of a file that was changed by hand, when the stage writes it again."""


class PlacedFiles:
    """The files in a folder; `notices` gets what the user should know."""

    def __init__(self, path: Path, notices: list[str]):
        self.path, self.notices = path, notices
        self._folders_inside: dict[str, bool] = {}

    def parts(self, files: Mapping[str, str | bytes | Part]) -> dict[str, Part]:
        """Write a sample's files under temporary names, in any process: only `place` makes them seen."""
        data = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
        parts: dict[str, Part] = {}
        try:
            for name, content in data.items():
                parts[name] = content if isinstance(content, Part) else Part.written(self.path / name, content)
        except BaseException:
            for part in parts.values():
                part.discard()
            raise
        return parts

    def sweep(self) -> None:
        """Remove the files of samples that were begun and never finished or placed; nobody may be writing any."""
        for folder in (self.path, *filter(Path.is_dir, self.path.iterdir())):  # a folder may be a link to elsewhere
            for leftover in folder.glob(PARTS):
                leftover.unlink(missing_ok=True)

    def place_all(self, parts: Mapping[str, Part], known: Mapping[str, str]) -> None:
        """Rename a sample's files into place (`place`), all or none of those that were not there before."""
        placed: list[str] = []
        try:
            for name, part in parts.items():
                self.place(name, part, known.get(name))
                placed.append(name)
        except OSError:
            for name in {*placed} - {*known}:
                (self.path / name).unlink(missing_ok=True)
            for part in parts.values():
                part.discard()
            raise

    def place(self, name: str, part: Part, known: str | None) -> None:
        """Rename a file into place. If one is there already and was changed since (`known`: its hash), that is moved aside
        before."""
        path = self.path / name
        if known is not None and path.is_file():
            there = path.read_bytes()
            if digest(there) == part.digest:
                part.discard()
                return
            if there and digest(there) != known:
                self._set_aside(path)
        part.place(path)

    def _set_aside(self, path: Path) -> None:
        aside = _free(path.with_name(path.name + CHANGED))
        os.replace(path, aside)
        self.notices.append(
            f"{path} was changed since this stage wrote it: the changed one is now {aside.name} "
            "(--accept-edits takes such changes)"
        )

    def place_extra(self, name: str, content: str | Path, known: str | None) -> str:
        """Write a file that belongs to no one sample, or move it to its place; return its hash. `known` is the one that it
        had when the stage ended before."""
        if isinstance(content, str):
            self.place(name, Part.written(self.path / name, content.encode()), known)
            return digest(content)
        made, path = digest_file(content), self.path / name
        if content == path:
            return made
        there = digest_file(path) if path.is_file() else None
        if there == made:
            content.unlink()
            return made
        if None not in (there, known) and there != known:
            self._set_aside(path)
        os.replace(content, path)
        return made

    def is_inside(self, name: str) -> bool:
        """Whether a name is of a place inside the folder, the links of its folders followed."""
        parent = os.path.dirname(name)
        if parent not in self._folders_inside:
            self._folders_inside[parent] = (self.path / parent).resolve().is_relative_to(self.path.resolve())
        return self._folders_inside[parent]

    def remove_stale(self, before: AccountEntry | None, now: AccountEntry | None) -> None:
        """Remove files of the earlier result that the new one does not have: the next stage must not find them."""
        for name in set(before.files if before else ()) - set(now.files if now else ()):
            if self.is_inside(name):
                (self.path / name).unlink(missing_ok=True)

    def digest_of(self, name: str) -> str | None:
        try:
            return digest((self.path / name).read_bytes())
        except OSError:
            return None


def _free(path: Path) -> Path:
    """Return a name that is not taken."""
    names = (path.with_name(path.name + (f"_{number}" if number > 1 else "")) for number in count(1))
    return next(name for name in names if not name.exists())
