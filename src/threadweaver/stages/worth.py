"""What each block of an accepted trajectory is worth, measured without a model."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from threadweaver.grading import final_answer, settled_at
from threadweaver.independence import Context, Lookup
from threadweaver.stages.traced import Traced, sequentialize
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import Lineage

_NUMBER = re.compile(r"(?<![\w.])\d{1,12}(?:\.\d{1,12})?(?![\w.]*\d)")
_LAST_LINE = 300  # characters at the end of a thread that hold the values it ends with


@dataclass(frozen=True, slots=True)
class Worth:
    """The worth of one block; `kind` and `novelty` are the annotation's, empty where it names none."""

    kind: str
    novelty: str
    saved_tokens: int
    """Tokens of its threads beside the longest."""
    after_answer: bool
    """It begins after the final answer was first stated for good."""
    settled: float | None
    """Share of the values that its threads end with and that the context already holds; None if they end with none."""

    @property
    def is_new(self) -> bool:
        return self.novelty in ("", "new work") and not self.after_answer


def worths(trajectory: markup.Trajectory, lineage: Lineage | None, starts: Sequence[int]) -> list[dict]:
    """Return the worth of each block; the tokens of the text begin at the characters `starts` (ascending)."""
    settled = settled_at(trajectory.text, final_answer(lineage.output) if lineage else None)
    problem = lineage.problem if lineage else ""
    known = Lookup(f"{problem}\n\n{trajectory.text}")
    found = []
    for number, block in enumerate(trajectory.blocks):
        note = lineage.blocks[number] if lineage and number < len(lineage.blocks) else None
        lengths = [
            bisect_left(starts, item.inner_end) - bisect_left(starts, item.inner_start) for item in block.threads
        ]
        context = Context(known, len(problem) + 2 + block.start)
        worth = Worth(
            note.kind if note else "",
            note.novelty if note else "",
            sum(lengths) - max(lengths),
            block.start >= settled,
            _settled([item.body for item in block.threads], context),
        )
        found.append({**asdict(worth), "new": worth.is_new})
    return found


def _settled(threads: Sequence[str], context: Context) -> float | None:
    ends = [thread.rstrip()[-_LAST_LINE:].rpartition("\n")[2] for thread in threads]
    values = [number for end in ends for number in set(_NUMBER.findall(end))]
    if not values:
        return None
    return round(sum(context.holds(("number", value), value) for value in values) / len(values), 3)


def drop(traced: Traced, novelties: Collection[str]) -> Traced:
    """Put the blocks of these novelties back in sequence, with the chain's own text; others stay as they are.

    Raises MarkupError for a text that cannot be read.
    """
    lineage = traced.lineage
    if not novelties or not lineage or not lineage.sha256:
        return traced
    trajectory = markup.parse(traced.text)
    if len(trajectory.blocks) != len(lineage.blocks):
        return traced  # the inspection says so
    back = {
        number: ("dropped", f"its work is a {block.novelty}")
        for number, block in enumerate(lineage.blocks, 1)
        if block.novelty in novelties
    }
    return Traced(traced.id, *sequentialize(trajectory, lineage, back)) if back else traced
