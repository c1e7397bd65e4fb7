"""The lineage of a sample: the lines its blocks were made from, and every later change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from threadweaver.text import parse_json, to_pretty_json, whole
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits.apply import ConservationError, Edit, Skipped, undo


@dataclass(frozen=True, slots=True)
class ThreadLineage:
    """A thread's lines of the chain (from 1), the white space trimmed at its edges, and the edits of stage 3."""

    first: int
    last: int
    before: str = ""
    after: str = ""
    edits: tuple[Edit, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    plan: str = ""
    """What its steps set out to do, in the annotation's words; empty where it has none, as in older traces."""


@dataclass(frozen=True, slots=True)
class BlockLineage:
    first: int
    last: int
    threads: tuple[ThreadLineage, ...]
    reason: str = ""
    kind: str = ""
    """What its threads have in common, and whether its work is new, as the annotation names it; else empty."""
    novelty: str = ""


@dataclass(frozen=True, slots=True)
class Unused:
    """A block of the annotation that the trajectory does not have: its number there, its lines, and why not."""

    number: int
    first: int | None
    last: int | None
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The lineage of one sample, written as `trace/<i>.json` by every stage from the extraction on."""

    index: int
    uuid: str
    problem: str
    solution: object
    correctness: bool | None
    sha256: str
    """Of the chain, UTF-8."""
    chars: int
    lines: int
    blocks: tuple[BlockLineage, ...] = ()
    unused: tuple[Unused, ...] = ()
    notes: tuple[Mapping[str, object], ...] = field(default=())
    """What a stage reports about the sample: defects of the annotation, merged threads, rejected replies."""
    output: str = ""
    """What the model wrote after its thinking, with the final answer."""

    def to_json(self) -> str:
        return to_pretty_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Lineage:
        """Read what `to_json` wrote; raises ValueError, KeyError, TypeError or AttributeError for any other text."""
        data = parse_json(text)
        blocks = tuple(
            BlockLineage(**{**block, "threads": tuple(map(_thread_lineage, block["threads"]))})
            for block in data.pop("blocks")
        )
        unused = tuple(Unused(**item) for item in data.pop("unused"))
        return cls(**{**data, "notes": tuple(data["notes"])}, blocks=blocks, unused=unused)

    def describe(self) -> str:
        """Return the lineage for people: the blocks, the unused blocks and why, and every edit."""
        lines = [f"{self.uuid}: {self.lines} lines, {self.chars} characters, sha256 {self.sha256}"]
        for number, block in enumerate(self.blocks, 1):
            nature = "; ".join(filter(None, (block.kind, block.novelty, block.reason)))
            reason = f" ({nature})" if nature else ""
            lines += [f"\nblock {number}: L{block.first}-L{block.last}{reason}"]
            for k, thread in enumerate(block.threads, 1):
                plan = f": {thread.plan}" if thread.plan else ""
                lines += [f"  thread {k}: L{thread.first}-L{thread.last}{plan}"]
                lines += [f"    edit at {edit.offset}: {edit.src!r} → {edit.dest!r}" for edit in thread.edits]
                lines += [f"    left out ({item.code}): {item.src!r} → {item.dest!r}" for item in thread.skipped]
        for item in self.unused:
            where = f" L{item.first}-L{item.last}" if item.first else ""
            lines += [f"\nnot used: block {item.number} of the annotation{where}: {item.code} {item.detail}".rstrip()]
        lines += [f"note: {json.dumps(note, ensure_ascii=False)}" for note in self.notes]
        return whole("\n".join(lines)) + "\n"


def _thread_lineage(data: dict) -> ThreadLineage:
    edits = tuple(Edit(**item) for item in data.pop("edits"))
    skipped = tuple(Skipped(**item) for item in data.pop("skipped"))
    return ThreadLineage(**data, edits=edits, skipped=skipped)


def fingerprint(text: str) -> str:
    """Return the SHA-256 of the text as UTF-8; a lone surrogate, which JSON can carry, is allowed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def restore_block(block: markup.Block, lineage: BlockLineage) -> str:
    """Return the chain's passage that a block was made from; raises ConservationError when the two do not match."""
    if len(block.threads) != len(lineage.threads):
        raise ConservationError(f"{len(block.threads)} threads where the lineage has {len(lineage.threads)}")
    return "".join(
        origin.before + undo(thread.body, origin.edits) + origin.after
        for thread, origin in zip(block.threads, lineage.threads, strict=True)
    )


def restore(trajectory: markup.Trajectory, lineage: Lineage) -> str:
    """Return the chain: the trajectory without markup, every edit undone.

    Raises ConservationError when the result is not the chain that was collected.
    """
    if len(trajectory.blocks) != len(lineage.blocks):
        raise ConservationError(f"{len(trajectory.blocks)} blocks where the lineage has {len(lineage.blocks)}")
    pairs = zip(trajectory.blocks, lineage.blocks, strict=True)
    chain = trajectory.replace_blocks([restore_block(block, origin) for block, origin in pairs])
    if fingerprint(chain) != lineage.sha256:
        raise ConservationError("the restored text is not the chain that was collected")
    return chain
