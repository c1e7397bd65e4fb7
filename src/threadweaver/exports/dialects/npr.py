"""NPR (arXiv 2512.07461): `<guideline>` plans, one `<step>` a plan, `<takeaway>`; no text between blocks."""

from __future__ import annotations

from threadweaver.exports.dialects.blocks import Document, Fork, Part, Path
from threadweaver.exports.dialects.scanning import Scanner, tag_pattern, without_number
from threadweaver.trajectory.markup import MarkupError

_TAGS = tag_pattern(("guideline", "plan", "step", "takeaway"))


def read(text: str) -> Document:
    """Return the tree of a text; raises MarkupError at the first place that breaks the grammar.

    A number `k:` at the beginning of the k-th plan or step is not part of its text. What follows the last block is the
    answer.
    """
    scanner = Scanner(text, _TAGS)
    parts: list[Part] = []
    while scanner.tag == "<guideline>":
        parts += ["\n"] if parts else []
        parts.append(_fork(scanner))
    answer = scanner.passage()
    scanner.end()
    if not parts and not answer.strip():
        raise MarkupError("empty", 0, "no text")
    return Document((*parts, answer) if answer else tuple(parts))


def _fork(scanner: Scanner) -> Fork:
    start = scanner.at
    scanner.take("<guideline>")
    plans = _numbered(scanner, "plan")
    scanner.take("</guideline>")
    steps = _numbered(scanner, "step")
    if len(plans) != len(steps) or not plans:
        raise MarkupError("count_mismatch", start, f"{len(plans)} plans for {len(steps)} steps")
    if scanner.tag != "<takeaway>":
        raise MarkupError("missing_conclusion", start, "a block without a takeaway")
    takeaway = scanner.body("takeaway")
    return Fork(tuple(Path((step,), plan) for plan, step in zip(plans, steps, strict=True)), takeaway)


def _numbered(scanner: Scanner, name: str) -> list[str]:
    found: list[str] = []
    while scanner.tag == f"<{name}>":
        start, body = scanner.at, scanner.body(name)
        found.append(body if (rest := without_number(body, str(len(found) + 1))) is None else rest)
        if not found[-1]:
            raise MarkupError(f"empty_{name}", start, f"<{name}> holds a number alone")
    return found
