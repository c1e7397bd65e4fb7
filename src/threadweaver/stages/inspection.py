"""Check that a trajectory is well-formed, complete and fit to train on."""

from __future__ import annotations

from dataclasses import dataclass

from threadweaver import grading
from threadweaver.corpus import thinking
from threadweaver.independence import CONFIDENT
from threadweaver.outlines.checks import describe_unfit
from threadweaver.stages.block_leaks import BlockLeaks
from threadweaver.text import fault_in, unstorable
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import Lineage


@dataclass(frozen=True, slots=True)
class Rules:
    """What stage 5 requires of a trajectory beyond the grammar."""

    conclusion_required: bool = False
    keep_sequential: bool = False
    think_end_required: bool = True
    outlines_required: bool = True
    max_leak: float | None = CONFIDENT
    """Reject a trajectory if a thread uses a sibling's mathematics with this score or more; above 1, reject none; None:
    do not even look for leaks, which takes longer than all else."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result: `reason` is None for an accepted trajectory, `conserved` is None if no lineage describes its
    chain."""

    reason: str | None
    detail: str = ""
    trajectory: markup.Trajectory | None = None
    conserved: bool | None = None
    leaks: BlockLeaks | None = None
    """None where there was an earlier fault, or leaks were not looked for."""


def inspect(text: str, lineage: Lineage | None, rules: Rules) -> Inspection:
    """Check one trajectory against the grammar, its own lineage and the rules; the first fault is the reason."""
    if not text.strip():
        return Inspection("empty", "no text")
    if code := unstorable(text):
        return Inspection(code, fault_in(text))
    body, fault = _reasoning(text, rules)
    if fault:
        return Inspection(*fault)
    try:
        trajectory = markup.parse(body)
        canonical = trajectory.replace_blocks([markup.canonical(block) for block in trajectory.blocks])
        if canonical != body:
            trajectory = markup.parse(canonical)
    except markup.MarkupError as error:
        return Inspection(error.code, str(error))
    conserved = None
    if lineage and lineage.sha256:
        try:
            edits.restore(trajectory, lineage)
            conserved = True
        except edits.ConservationError as error:
            return Inspection("text_lost", str(error), trajectory, False)
    reason, detail = _block_fault(trajectory, rules)
    if reason or rules.max_leak is None:
        return Inspection(reason, detail, trajectory, conserved)
    leaks = BlockLeaks.read(trajectory, lineage.problem if lineage else "")
    return Inspection(*_leak(leaks, rules.max_leak), trajectory, conserved, leaks)


def final_answer(lineage: Lineage, reasoning: str) -> str | None:
    """Return the boxed answer of the output or, if it has none, of the reasoning."""
    return grading.final_answer(lineage.output) or grading.final_answer(reasoning)


def edits_of_answer(lineage: Lineage, answer: str | None) -> list[str]:
    """Return the edits that removed the final answer or a box, as `src → dest`."""
    answer = (answer or "").strip()
    found = []
    for edit in (edit for block in lineage.blocks for thread in block.threads for edit in thread.edits):
        lost_box = "\\boxed" in edit.src and "\\boxed" not in edit.dest
        if lost_box or (len(answer) > 1 and answer in edit.src and answer not in edit.dest):
            found.append(f"{edit.src} → {edit.dest}")
    return found


def _reasoning(text: str, rules: Rules) -> tuple[str, tuple[str, str] | None]:
    """Return the thinking of a text that has think tags (our own trajectories have none), and what is wrong."""
    found = thinking.cut(text)
    if isinstance(found, tuple):
        return found[0].strip("\n"), None
    if found.reason == "no_think_tags":
        return text, None
    if found.reason == "not_closed":
        fault = ("unclosed_think", "the thinking is never closed") if rules.think_end_required else None
        return thinking.after_opening(text), fault
    return "", (found.reason, found.detail)


def _block_fault(trajectory: markup.Trajectory, rules: Rules) -> tuple[str | None, str]:
    if not trajectory.blocks:
        return (None, "") if rules.keep_sequential else ("no_block", "nothing runs in parallel")
    for number, block in enumerate(trajectory.blocks, 1):
        if trajectory.text[block.end : block.end + 1] not in ("", "\n"):
            return "no_newline", f"text follows block {number} on its last line"
        if not block.outlines and rules.outlines_required:
            return "missing_outlines", f"block {number} has no outlines"
        if block.outlines and (fault := describe_unfit([item.body for item in block.outlines], len(block.threads))):
            return "poor_outlines", f"block {number}: {fault}"
        if rules.conclusion_required and block.conclusion is None:
            return "missing_conclusion", f"block {number} has no conclusion"
    return None, ""


def _leak(leaks: BlockLeaks, limit: float) -> tuple[str | None, str]:
    for number, leak in leaks.strongest(limit).items():
        where = f"block {number}: thread {leak.target + 1} leans on thread {leak.source + 1}"
        return "leak", f"{where} ({leak.kind} {leak.what})"
    return None, ""
