"""The generated parts of src/README.md: `python tests/readme_parts.py` writes them into the file.

map      every file under src/ with the first sentence of its docstring or first comment
arrows   which wing imports which, from the table of tests/test_house.py
shapes   what the columns of a source are recognized as, from the table of corpus/shapes.py
reach    how many of the library's files each command imports, directly or through others
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from project import ROOT
from test_house import COMMANDS, LIBRARY, WINGS, imports, wings_imported

SRC = ROOT / "src"
sys.path.insert(0, str(SRC))
README = SRC / "README.md"
WIDTH = 118
COMMENT = re.compile(r"\A(?:#!.*\n)?\s*(?:#|//|/\*)\s*(.+?)\s*(?:\*/)?$", re.M)
WITHOUT_COMMENT = {
    ".css": "styles of this view",
    ".html": "its page",
    ".md": "part of RECIPE.md",
    ".svg": "an icon",
    ".json": "data",
    ".txt": "a licence",
    ".woff2": "a font",
}


# ---- the map


def map_of_files() -> str:
    commands = [*COMMANDS, *sorted(SRC.glob("*.sh"))]
    return "\n".join(["```", "src/", *_lines(commands, 1), *_folder(LIBRARY, 1), "```"])


def _folder(path: Path, depth: int) -> Iterator[str]:
    """Yield a folder's line, its files and its folders: wings in the order of the table, everything else by name."""
    inside = [item for item in sorted(path.iterdir()) if item.name not in ("__pycache__", "__init__.py", "README.md")]
    if path == LIBRARY:
        order = list(WINGS)
        inside.sort(key=lambda item: order.index(item.stem) if item.stem in order else len(order))
    yield _line(path, depth, 0)
    yield from _lines([item for item in inside if item.is_file()], depth + 1)
    for item in inside:
        if item.is_dir():
            yield from _folder(item, depth + 1)


def _lines(files: list[Path], depth: int) -> Iterator[str]:
    width = max((len(file.name) for file in files), default=0)
    yield from (_line(file, depth, width) for file in files)


def _line(path: Path, depth: int, width: int) -> str:
    name = f"{'  ' * depth}{path.name + ('/' if path.is_dir() else ''):<{width}}"
    return f"{name}  {_cut(sentence(path), WIDTH - len(name))}".rstrip()


def sentence(path: Path) -> str:
    """Return the first sentence of a file's docstring or comment."""
    source = path / "__init__.py" if path.is_dir() else path
    if not source.is_file():  # a folder of files that are not Python
        return ""
    if source.parent.name == "vendor":  # made by others, and not all of it text
        return WITHOUT_COMMENT.get(source.suffix, "a library, as published")
    text = source.read_text()
    if source.suffix == ".py":
        said = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    else:
        found = COMMENT.match(text)
        said = found.group(1) if found else WITHOUT_COMMENT.get(source.suffix, "")
    said = " ".join(said.split())
    return re.split(r"(?<=[.?!]) ", said)[0].removesuffix(".")


def _cut(text: str, width: int) -> str:
    """Return the text, or as many whole clauses of it as fit, or as many words."""
    if len(text) <= width:
        return text
    clauses = [match.start() for match in re.finditer(r"[;:,] ", text) if width / 2 < match.start() <= width]
    return text[: clauses[-1]] if clauses else text[: text.rindex(" ", 0, width - 1)] + " …"


# ---- the arrows


def arrows() -> str:
    """Draw the arrows: the picture omits an arrow if another path leads to the same wing; the table omits none."""
    direct = {wing: set(imported.split()) for wing, imported in WINGS.items()}
    direct["commands"] = set().union(*map(wings_imported, COMMANDS))
    below: dict[str, set[str]] = {}
    for wing, imported in direct.items():  # wings import those above them in the table only
        below[wing] = imported.union(*(below[other] for other in imported))
    drawn = [
        f"  {wing} --> {other}"
        for wing in reversed(direct)
        for other in WINGS
        if other in direct[wing] and not any(other in below[between] for between in direct[wing])
    ]
    table = [f"| {wing} | {', '.join(other for other in WINGS if other in direct[wing]) or '–'} |" for wing in WINGS]
    return "\n".join(["```mermaid", "flowchart TD", *drawn, "```", "", "| package | imports |", "|---|---|", *table])


# ---- the reach of a command


def reach() -> str:
    rows = [f"| `{path.name}` | {len(reached(path))} |" for path in COMMANDS]
    return "\n".join(["| command | files |", "|---|---|", *rows])


def reached(path: Path) -> set[Path]:
    """Return the files of the library that a file imports anywhere, directly or indirectly."""
    found: set[Path] = set()
    pending = [path]
    while pending:
        new = _imported(pending.pop()) - found
        found |= new
        pending.extend(new)
    return found


@cache
def _imported(path: Path) -> frozenset[Path]:
    """Return the files that the imports of a file execute: each module and every package around it."""
    parts = (name.split(".") for name in imports(path))
    names = {"/".join(part[:end]) for part in parts for end in range(1, len(part) + 1)}
    candidates = (file for name in names for file in (SRC / f"{name}.py", SRC / name / "__init__.py"))
    return frozenset(file for file in candidates if file.is_file())


# ---- what is recognized


def shapes() -> str:
    from threadweaver.corpus.shapes import SHAPES

    rows = [
        f"| {shape.role} | {shape.values} | {', '.join(f'`{word}`' for word in sorted(shape.heads)) or 'any'} | {shape.sets} |"
        for shape in SHAPES
    ]
    return "\n".join(["| role | what the values are | a word of the name | as in |", "|---|---|---|---|", *rows])


# ---- in the README


PARTS = {"map": map_of_files, "arrows": arrows, "shapes": shapes, "reach": reach}


def with_parts(text: str) -> str:
    """Return the text with each part between its two comment lines generated again."""
    for name, make in PARTS.items():
        begin, end = f"<!-- {name}: made by tests/readme_parts.py -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{README} has no place for the {name}")
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(with_parts(README.read_text()))
