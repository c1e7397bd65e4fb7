"""ThreadWeaver, our own dialect: its grammar, reader and writer are those of trajectory/markup.py."""

from __future__ import annotations

from collections import Counter

from threadweaver.exports.dialects.blocks import Document, Fork, Part, Path, flatten
from threadweaver.exports.dialects.scanning import unwrap, wrap
from threadweaver.trajectory import markup


def read(text: str) -> Document:
    """Return the tree of a trajectory, alone or in think tags with the answer after them; raises MarkupError."""
    body, answer = unwrap(text, "think")
    trajectory = markup.parse(body)
    parts = [body[part.start : part.end] if isinstance(part, markup.Text) else _fork(part) for part in trajectory.parts]
    return Document(tuple(parts), answer)


def _fork(block: markup.Block) -> Fork:
    plans = [outline.body for outline in block.outlines] or [None] * len(block.threads)
    paths = (Path((thread.body,), plan) for thread, plan in zip(block.threads, plans, strict=True))
    return Fork(tuple(paths), block.conclusion.body if block.conclusion else None)


def write(document: Document, lost: Counter[str]) -> str:
    """Return the canonical form; forks within forks are flattened, which `lost` counts. Raises MarkupError."""
    parts = flatten(document.parts, lost)
    body = ""
    for number, part in enumerate(parts):
        body += part if isinstance(part, str) else _write_fork(part)
        following = parts[number + 1] if number + 1 < len(parts) else "\n"
        if isinstance(part, Fork) and not (isinstance(following, str) and following.startswith("\n")):
            lost["newlines added after a block"] += 1
            body += "\n"
    markup.parse(body)
    return wrap(body, "think", document.answer)


def _write_fork(fork: Fork) -> str:
    plans = [path.plan for path in fork.paths if path.plan is not None]
    if 0 < len(plans) < len(fork.paths):
        raise markup.MarkupError("count_mismatch", 0, "some paths of a block have an outline, others have none")
    return markup.write_block([_text(path.parts) for path in fork.paths], plans, fork.conclusion)


def _text(parts: tuple[Part, ...]) -> str:
    return "".join(part for part in parts if isinstance(part, str))
