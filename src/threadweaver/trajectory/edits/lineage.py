"""The lineage of a sample: from which lines its blocks were made, and everything that was changed on the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from threadweaver.trajectory import markup
from threadweaver.trajectory.edits.apply import ConservationError, Edit, Skipped, undo


@dataclass(frozen=True, slots=True)
class ThreadLineage:
    """Lines of the chain, the white space trimmed at its edges, and the edits of the rewriting."""

    first: int
    last: int
    before: str = ""
    after: str = ""
    edits: tuple[Edit, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockLineage:
    first: int
    last: int
    threads: tuple[ThreadLineage, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unused:
    """A block that the annotation holds and the trajectory does not: its number there, its lines, and why not."""

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
    """What a stage wants told beside the text: annotation problems, merged threads, replies not accepted."""
    output: str = ""
    """What the model said after its thinking: the final answer stands in it."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Lineage:
        """Raises ValueError (KeyError, TypeError, AttributeError) when the text is no record."""
        data = json.loads(text)
        blocks = tuple(
            BlockLineage(block["first"], block["last"], tuple(map(_thread_lineage, block["threads"])), block["reason"])
            for block in data.pop("blocks")
        )
        unused = tuple(Unused(**item) for item in data.pop("unused"))
        return cls(**{**data, "notes": tuple(data["notes"])}, blocks=blocks, unused=unused)

    def describe(self) -> str:
        """The record for people: what became a block, what did not and why, and every edit."""
        lines = [f"{self.uuid}: {self.lines} lines, {self.chars} characters, sha256 {self.sha256}"]
        for number, block in enumerate(self.blocks, 1):
            lines += [
                f"\nblock {number}: L{block.first}-L{block.last}" + (f" ({block.reason})" if block.reason else "")
            ]
            for k, thread in enumerate(block.threads, 1):
                lines += [f"  thread {k}: L{thread.first}-L{thread.last}"]
                lines += [f"    edit at {edit.offset}: {edit.src!r} → {edit.dest!r}" for edit in thread.edits]
                lines += [f"    left out ({item.code}): {item.src!r} → {item.dest!r}" for item in thread.skipped]
        for item in self.unused:
            where = f" L{item.first}-L{item.last}" if item.first else ""
            lines += [f"\nnot used: block {item.number} of the annotation{where}: {item.code} {item.detail}".rstrip()]
        lines += [f"note: {json.dumps(note, ensure_ascii=False)}" for note in self.notes]
        return "\n".join(lines) + "\n"


def _thread_lineage(data: dict) -> ThreadLineage:
    edits = tuple(Edit(**item) for item in data.pop("edits"))
    skipped = tuple(Skipped(**item) for item in data.pop("skipped"))
    return ThreadLineage(**data, edits=edits, skipped=skipped)


def fingerprint(text: str) -> str:
    """SHA-256 of the text as UTF-8 (a lone surrogate, which JSON can carry, does not stop it)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def restore_block(block: markup.Block, record: BlockLineage) -> str:
    """The chain's passage that a block was made of."""
    if len(block.threads) != len(record.threads):
        raise ConservationError(f"{len(block.threads)} threads where the record has {len(record.threads)}")
    return "".join(
        note.before + undo(thread.body, note.edits) + note.after
        for thread, note in zip(block.threads, record.threads, strict=True)
    )


def restore(trajectory: markup.Trajectory, record: Lineage) -> str:
    """The chain: markup taken away and every recorded edit undone. Raises ConservationError when it is not that chain."""
    if len(trajectory.blocks) != len(record.blocks):
        raise ConservationError(f"{len(trajectory.blocks)} blocks where the record has {len(record.blocks)}")
    pairs = zip(trajectory.blocks, record.blocks, strict=True)
    chain = trajectory.replace_blocks([restore_block(block, note) for block, note in pairs])
    if fingerprint(chain) != record.sha256:
        raise ConservationError("the restored text is not the chain that was collected")
    return chain
