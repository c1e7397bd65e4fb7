"""Adopt the trajectories that a model generated itself: those of strict format whose answer is right.

This is the dual filter of self-training (arXiv 2512.07843). What stages 3 and 4 see to in an annotated chain is checked
here: a block in which a thread uses a sibling's mathematics, or an outline gives a result, becomes sequential again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from threadweaver.corpus.thinking import TAGS, cut, trim
from threadweaver.files import digest, to_json
from threadweaver.generation.evaluation import Scored
from threadweaver.generation.outputs import Unread
from threadweaver.generation.problems import Problem
from threadweaver.independence import CONFIDENT
from threadweaver.outlines.checks import check_outlines
from threadweaver.runs.runner import Result, Task
from threadweaver.samples import Sample
from threadweaver.stages.block_leaks import BlockLeaks
from threadweaver.stages.collected import ROW
from threadweaver.stages.outlining import must_be_sequential
from threadweaver.stages.traced import new_lineage, sequentialize, traced_files
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import BlockLineage, ThreadLineage
from threadweaver.trajectory.questions import OutlineQuestion

BETWEEN = "\n\n"
"""What stands between the threads of a block, and before its conclusion, where they follow one another as one text."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generated sample; `number` counts the samples of its problem, `reason` says why it is left out."""

    scored: Scored
    reason: str | None
    sample: Sample | None = None
    trajectory: str = ""

    @property
    def id(self) -> str:
        return self.sample.name if self.sample else f"{self.scored.row}.{self.scored.sample}"


def candidates(
    outputs: Iterable[Unread], scored: Iterable[Scored], problems: Sequence[Problem], dataset: str
) -> Iterator[Candidate]:
    """Yield every sample; the first of a problem that is taken is named after its row alone, as collected chains are."""
    named: set[int] = set()
    for unread, score in zip(outputs, scored, strict=True):
        output = unread.read()
        problem = problems[output.row]
        if reason := _unfit(score, problem):
            yield Candidate(score, reason)
            continue
        thinking, answer = map(trim, cut(output.text, TAGS))
        if markup.reserved_tag(answer):
            yield Candidate(score, "contains_markup")
            continue
        name = str(output.row) if output.row not in named else f"{output.row}.{output.sample}"
        named.add(output.row)
        chain, _ = as_chain(markup.parse(thinking))
        sample = Sample(
            index=output.row,
            uuid=f"{dataset}-{name}",
            problem=problem.text,
            thinking=chain,
            solution=problem.reference,
            correctness=True,
            output=answer,
            extra={"graded": "correct", "trace": output.sample},
        )
        yield Candidate(score, None, sample, thinking)


def _unfit(score: Scored, problem: Problem) -> str | None:
    """Return why a sample cannot be adopted: its format first, as nothing else can be said of a broken one."""
    if score.fault:
        return score.fault
    if score.verdict != "correct":
        return "no_reference" if problem.reference is None else score.verdict
    if markup.reserved_tag(problem.text):
        return "contains_markup"
    return None if score.threads else "no_block"


def as_chain(trajectory: markup.Trajectory) -> tuple[str, tuple[BlockLineage, ...]]:
    """Return the trajectory as one sequence, threads one after the other, and where in it the blocks are."""
    chain, at, blocks = "", 0, []
    for block in trajectory.blocks:
        chain += trajectory.text[at : block.start]
        end = BETWEEN + block.conclusion.body if block.conclusion else ""
        afters = [BETWEEN] * (len(block.threads) - 1) + [end]
        threads = []
        for thread, after in zip(block.threads, afters, strict=True):
            first = chain.count("\n") + 1
            chain += thread.body
            threads.append(ThreadLineage(first, chain.count("\n") + 1, after=after))
            chain += after
        blocks.append(BlockLineage(threads[0].first, threads[-1].last, tuple(threads)))
        at = block.end
    return chain + trajectory.text[at:], tuple(blocks)


def to_task(candidate: Candidate) -> Task:
    """Return the task of a candidate: its payload is the candidate and, if it may be adopted, its row as JSON."""
    sample = candidate.sample
    text = candidate.trajectory + (sample.output if sample else "")
    line = to_json(sample.to_row()) if sample else ""
    return Task(candidate.id, digest(f"{candidate.reason} {text}"), (candidate, line), sample.uuid if sample else "")


def adopt(task: Task) -> Result:
    """Write the trajectory with its lineage; blocks that are not independent or are given away become sequential."""
    candidate, line = task.payload
    score = candidate.scored
    facts: dict[str, object] = {"format": score.fault or "strict", "verdict": score.verdict}
    facts |= {"blocks": len(score.threads), "unit_fault": score.unit_fault or None}
    if candidate.reason:
        return Result("rejected", candidate.reason, facts=facts)
    trajectory = markup.parse(candidate.trajectory)
    _, blocks = as_chain(trajectory)
    lineage = replace(new_lineage(candidate.sample), blocks=blocks)
    back = unsound_blocks(trajectory, candidate.sample.problem)
    text, lineage = sequentialize(trajectory, lineage, back)
    facts |= {ROW: digest(line), "blocks": len(lineage.blocks), "unused": [code for code, _ in back.values()]}
    return Result("ok", None, traced_files(task.id, text, lineage), facts)


def unsound_blocks(trajectory: markup.Trajectory, problem: str) -> Mapping[int, tuple[str, str]]:
    """Return the blocks (from 1) that must become sequential, each with a code and why."""
    leaks = BlockLeaks.read(trajectory, problem).strongest(CONFIDENT)
    back = {
        number: ("leak", f"thread {leak.target + 1} uses {leak.what} of thread {leak.source + 1}")
        for number, leak in leaks.items()
    }
    for number, block in enumerate(trajectory.blocks, 1):
        threads = tuple(thread.body for thread in block.threads)
        everyone = tuple(range(1, len(threads) + 1))
        question = OutlineQuestion(number - 1, problem, trajectory.text[: block.start], threads, everyone)
        faults = check_outlines([item.body for item in block.outlines], question)
        faults.sort(key=lambda fault: fault.code != "gives_result")
        if must_be_sequential(faults, keep_telling=False):
            back.setdefault(number, (faults[0].code, str(faults[0])))
    return back
