"""Multiverse (arXiv 2506.09991): blocks with a goal, numbered paths that may hold blocks, and a conclusion.

    block := "<Parallel>" "<Goal>" ("<Outline>" n ": " text "</Outline>")+ "</Goal>"
             ("<Path>" n ": " (text | block)* "</Path>")+ "<Conclusion>" text "</Conclusion>" "</Parallel>"

with a newline between the tags; n is 1, 2, 3, … and, within path n, n.1, n.2, … The whole is in `<Think>` … `</Think>`.
"""

from __future__ import annotations

from threadweaver.exports.dialects.blocks import MAX_DEPTH, Document, Fork, Part, Path, texts, trimmed
from threadweaver.exports.dialects.scanning import Scanner, tag_pattern, unwrap, without_number, wrap
from threadweaver.trajectory.markup import MarkupError

_TAGS = tag_pattern(("Think", "Parallel", "Goal", "Outline", "Path", "Conclusion"))


def read(text: str) -> Document:
    """Return the tree of a text; raises MarkupError at the first place that breaks the grammar."""
    body, answer = unwrap(text, "Think")
    scanner = Scanner(body, _TAGS)
    parts = _parts(scanner, "", 0)
    scanner.end()
    return Document(parts, answer)


def _parts(scanner: Scanner, prefix: str, depth: int) -> tuple[Part, ...]:
    parts: list[Part] = [scanner.passage()]
    while scanner.tag == "<Parallel>":
        parts += [_fork(scanner, prefix, depth), scanner.passage()]
    return tuple(part for part in parts if part != "")


def _fork(scanner: Scanner, prefix: str, depth: int) -> Fork:
    start = scanner.at
    if depth == MAX_DEPTH:
        raise MarkupError("too_deep", start, f"more than {MAX_DEPTH} blocks within one another")
    scanner.take("<Parallel>")
    plans = _plans(scanner, prefix)
    paths = []
    while scanner.tag == "<Path>":
        paths.append(_path(scanner, f"{prefix}{len(paths) + 1}", depth))
    if len(plans) != len(paths):
        raise MarkupError("count_mismatch", start, f"{len(plans)} outlines for {len(paths)} paths")
    if scanner.tag == "</Parallel>":
        raise MarkupError("missing_conclusion", start, "a block without a conclusion")
    conclusion = scanner.body("Conclusion")
    scanner.take("</Parallel>")
    return Fork(tuple(Path(parts, plan) for parts, plan in zip(paths, plans, strict=True)), conclusion)


def _plans(scanner: Scanner, prefix: str) -> list[str]:
    start = scanner.at
    scanner.take("<Goal>")
    plans: list[str] = []
    while scanner.tag == "<Outline>":
        plan = without_number(scanner.body("Outline"), f"{prefix}{len(plans) + 1}")
        if not plan:
            raise MarkupError("numbering", start, f"outline {prefix}{len(plans) + 1} has another number, or no text")
        plans.append(plan)
    scanner.take("</Goal>")
    if not plans:
        raise MarkupError("missing_outlines", start, "a goal without an outline")
    return plans


def _path(scanner: Scanner, number: str, depth: int) -> tuple[Part, ...]:
    start = scanner.at
    scanner.take("<Path>")
    parts = _parts(scanner, f"{number}.", depth + 1)
    scanner.take("</Path>")
    first = without_number(parts[0], number) if parts and isinstance(parts[0], str) else None
    if first is None:
        raise MarkupError("numbering", start, f"a path does not begin with “{number}:”")
    inside = trimmed((first, *parts[1:]))
    if not inside:
        raise MarkupError("empty_path", start, f"path {number} is empty")
    return inside


def write(document: Document) -> str:
    """Return the canonical form; raises MarkupError where a block lacks what the dialect demands."""
    for text in texts(document.parts):
        if tag := _TAGS.search(text):
            raise MarkupError("tag_in_passage", tag.start(), f"{tag.group()} in the text")
    return wrap("".join(_written(document.parts, "")), "Think", document.answer)


def _written(parts: tuple[Part, ...], prefix: str) -> list[str]:
    return [part if isinstance(part, str) else _write_fork(part, prefix) for part in parts]


def _write_fork(fork: Fork, prefix: str) -> str:
    if any(path.plan is None for path in fork.paths):
        raise MarkupError("missing_outlines", 0, "Multiverse demands outlines in every block")
    if fork.conclusion is None:
        raise MarkupError("missing_conclusion", 0, "Multiverse demands a conclusion in every block")
    numbered = [(f"{prefix}{k}", path) for k, path in enumerate(fork.paths, 1)]
    lines = ["<Parallel>", "<Goal>"]
    lines += [f"<Outline>{number}: {path.plan}</Outline>" for number, path in numbered]
    lines += ["</Goal>"]
    for number, path in numbered:
        lines += ["<Path>", f"{number}: {''.join(_written(path.parts, f'{number}.'))}", "</Path>"]
    return "\n".join([*lines, "<Conclusion>", fork.conclusion, "</Conclusion>", "</Parallel>"])
