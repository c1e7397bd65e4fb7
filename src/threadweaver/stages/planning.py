"""Plan what a run would call and cost: its samples pass through the stages with a client that only counts.

The stages are those of the run. Replies in the ledger are read and lead to the requests of the next stage. Where a
reply has not been paid for yet, the later stages are extrapolated from the size of the chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from threadweaver.annotators.protocol import PLANNED, QUESTIONS, Annotator
from threadweaver.client import Drawn, Estimate
from threadweaver.runs.progress import progress_bar
from threadweaver.runs.stages import STAGES
from threadweaver.samples import Sample, Spooled
from threadweaver.stages.outlining import OutlineOptions, outline
from threadweaver.stages.parallel import Pair, ParallelOptions, mark
from threadweaver.stages.rewriting import RewriteOptions, rewrite
from threadweaver.stages.stage_plan import money_line, table
from threadweaver.stages.steps import annotate
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion, portions

CHARS_PER_BLOCK = 5_900
"""11,143 tokens hold 6.26 blocks in the published run, at 3.3 characters per token."""
THREAD_CHARS = 1_800
"""541 tokens."""
ASSUMED_PLAN = "works out one part of the problem, as fifteen words at most would say it in an annotation"
ASSUMED = "assumed: one block per 5,900 characters of a chain, with two or three threads in turn, as published"


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of the stages; together with the replies of earlier stages they determine the requests."""

    parallel: ParallelOptions
    rewrite: RewriteOptions
    outline: OutlineOptions


@dataclass
class RunPlan:
    """Counts the calls of a run; `annotators` has one per question, all with clients that only count."""

    annotators: Mapping[str, Annotator]
    options: PlanOptions
    drawn: dict[str, Drawn] = field(default_factory=lambda: {name: Drawn() for name in QUESTIONS})
    whole: dict[str, Estimate] = field(default_factory=lambda: {name: Estimate() for name in QUESTIONS})
    """What the stages of the measured samples cost or will cost."""
    known: int = 0
    """Samples whose steps are in the ledger."""
    measured: int = 0
    """Those of them whose steps were paid for, not imported: recorded replies are no measurement."""
    measured_bytes: int = 0
    """Size of their first requests."""
    open: Spooled = field(default_factory=Spooled)
    """Samples whose steps have not been paid for yet."""
    open_bytes: int = 0

    async def add(self, sample: Sample) -> None:
        """Take one sample through the stages, as far as the ledger has the replies."""
        annotated = await annotate(sample, self.annotators["steps"])
        first = await self._take("steps", measured=False)
        if annotated.reason == PLANNED:
            self.open.append(sample)
            self.open_bytes += first.first_bytes
            return
        self.known += 1
        measured = not first.recorded
        self.measured += measured
        self.measured_bytes += first.first_bytes if measured else 0
        if annotated.outcome == "failed":
            return
        marked = mark(Pair(sample.name, sample, annotated.value), self.options.parallel)
        rewritten = await rewrite(marked.value, self.annotators["edits"], self.options.rewrite)
        await self._take("edits", measured=measured)
        if rewritten.reason == PLANNED:  # count the outlines on the text before the edits
            rewritten = marked
        if rewritten.outcome != "failed":
            await outline(rewritten.value, self.annotators["outlines"], self.options.outline)
            await self._take("outlines", measured=measured)

    async def _take(self, name: str, *, measured: bool) -> Drawn:
        drawn = await self.annotators[name].drain()
        self.drawn[name] += drawn
        self.whole[name] += drawn.whole if measured else Estimate()
        return drawn

    async def following(self, name: str) -> Estimate:
        """Estimate a later stage for the samples whose steps are unknown: from the other samples of the run, else
        from the ledger's statistics, else from the published figures."""
        if not self.open:
            return Estimate()
        if self.measured:
            basis = f"extrapolated from {self.measured} samples by the size of the chains"
            return replace(self.whole[name].times(self.open_bytes / self.measured_bytes), basis=frozenset((basis,)))
        annotator = self.annotators[name]
        planner = await annotator.client.planner()
        if found := planner.following(annotator.label, self.annotators["steps"].label, self.open_bytes):
            return found
        for sample in self.open:
            edits, outlines = assumed_questions(sample)
            await asyncio.gather(
                *map(annotator.edits if name == "edits" else annotator.outlines, edits if name == "edits" else outlines)
            )
        whole = (await annotator.drain()).whole
        return replace(whole, basis=whole.basis | {ASSUMED})


def assumed_questions(sample: Sample) -> tuple[list[EditQuestion], list[OutlineQuestion]]:
    """Return as many and as long questions as the published run would have for a chain of this length."""
    chain, edits, outlines = sample.thinking, [], []
    blocks = max(1, round(len(chain) / CHARS_PER_BLOCK))
    for block in range(blocks):
        start = round((block + 0.5) * len(chain) / blocks)
        threads = tuple(chain[start : start + THREAD_CHARS] for _ in range(2 + block % 2))
        (asked,) = portions(len(threads))
        plans = (ASSUMED_PLAN,) * len(threads)
        edits.append(EditQuestion(block, sample.problem, chain[:start], threads, asked, plans))
        outlines.append(OutlineQuestion(block, sample.problem, chain[:start], threads, asked))
    return edits, outlines


# ---------------------------------------------------------------------------------------------------------------
# what a command prints


def print_run_plan(samples: Collection[Sample], left_out: Mapping[str, int], plan: RunPlan) -> int:
    """Print the plan of all stages for these samples as a table, with the number of rows left out by reason; return
    the exit code."""
    return asyncio.run(_print_run_plan(samples, left_out, plan))


async def _print_run_plan(samples: Collection[Sample], left_out: Mapping[str, int], plan: RunPlan) -> int:
    async with AsyncExitStack() as stack:
        for annotator in plan.annotators.values():
            await stack.enter_async_context(annotator)
        with progress_bar(len(samples), "plan") as bar:
            for sample in samples:
                await plan.add(sample)
                bar.update()
        estimates = {
            STAGES["steps"].title: plan.drawn["steps"].to_pay,
            STAGES["rewrite"].title: plan.drawn["edits"].to_pay + await plan.following("edits"),
            STAGES["outlines"].title: plan.drawn["outlines"].to_pay + await plan.following("outlines"),
        }
        total = sum(estimates.values(), Estimate())
        money = await money_line(plan.annotators["steps"], total)
    reasons = ", ".join(f"{reason} {count}" for reason, count in left_out.items())
    lost = f" ({sum(left_out.values())} left out: {reasons})" if left_out else ""
    known = f", step 1 of {plan.known} others is in the ledger" if plan.known else ""
    read = len(samples) + sum(left_out.values())
    print(f"plan: {read} rows read{lost}, {len(plan.open)} to annotate{known}; nothing is called")
    print(table({**estimates, "total": replace(total, basis=frozenset())}))
    print(money)
    return 0
