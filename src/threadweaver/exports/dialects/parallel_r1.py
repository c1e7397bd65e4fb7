"""Parallel-R1 (arXiv 2509.07980): `<Parallel>` with one `<Path>` a branch, then `<Summary>`; text may be anywhere else."""

from __future__ import annotations

from threadweaver.exports.dialects.blocks import Document, Fork, Part, Path
from threadweaver.exports.dialects.scanning import Scanner, tag_pattern, unwrap
from threadweaver.trajectory.markup import MarkupError

_TAGS = tag_pattern(("think", "Parallel", "Path", "Summary"))


def read(text: str) -> Document:
    """Return the tree of a text, alone or in think tags; raises MarkupError at the first place that breaks the grammar."""
    body, answer = unwrap(text, "think")
    scanner = Scanner(body, _TAGS)
    parts: list[Part] = [scanner.passage()]
    while scanner.tag == "<Parallel>":
        parts += [_fork(scanner), scanner.passage()]
    scanner.end()
    return Document(tuple(part for part in parts if part != ""), answer)


def _fork(scanner: Scanner) -> Fork:
    start = scanner.at
    scanner.take("<Parallel>")
    paths: list[str] = []
    while scanner.tag == "<Path>":
        paths.append(scanner.body("Path"))
    if not paths:
        raise MarkupError("empty_block", start, "a block without a path")
    scanner.take("</Parallel>")
    if scanner.tag != "<Summary>":
        raise MarkupError("missing_conclusion", start, "a block without a summary")
    return Fork(tuple(Path((text,)) for text in paths), scanner.body("Summary"))
