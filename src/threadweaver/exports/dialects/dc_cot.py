"""DC-CoT (arXiv 2601.23027): `<think>` … `<spawn_workers>` three `<worker_k>` … `</spawn_workers>` … `</think>` `<answer>`."""

from __future__ import annotations

from threadweaver.exports.dialects.blocks import Document, Fork, Part, Path
from threadweaver.exports.dialects.scanning import Scanner, tag_pattern, unwrap
from threadweaver.trajectory.markup import MarkupError

WORKERS = 3
_TAGS = tag_pattern(("think", "answer", "spawn_workers", r"worker_\d+"))


def read(text: str) -> Document:
    """Return the tree of a text; raises MarkupError at the first place that breaks the grammar."""
    body, after = unwrap(text, "think")
    if after is None:
        raise MarkupError("unclosed_think", 0, "no <think> around the reasoning")
    scanner = Scanner(body, _TAGS)
    parts: list[Part] = [scanner.passage()]
    while scanner.tag == "<spawn_workers>":
        parts += [_fork(scanner), scanner.passage()]
    scanner.end()
    return Document(tuple(part for part in parts if part != ""), f"\n{_answer(after)}")


def _fork(scanner: Scanner) -> Fork:
    start = scanner.at
    scanner.take("<spawn_workers>")
    workers: list[str] = []
    while scanner.tag and scanner.tag.startswith("<worker_"):
        workers.append(scanner.body(f"worker_{len(workers) + 1}"))
    if len(workers) != WORKERS:
        raise MarkupError("count_mismatch", start, f"{len(workers)} workers instead of {WORKERS}")
    scanner.take("</spawn_workers>")
    return Fork(tuple(Path((text,)) for text in workers))


def _answer(text: str) -> str:
    scanner = Scanner(text, _TAGS)
    answer = scanner.body("answer")
    if scanner.passage().strip():
        raise MarkupError("stray_text", len(text), "text after </answer>")
    scanner.end()
    return answer
