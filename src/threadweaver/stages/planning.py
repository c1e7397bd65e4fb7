"""Plan what a run would call and cost: its samples pass through the stages with a client that only counts.

The stages are those of the run. Replies in the ledger are read and lead to the requests of the next stage. Where a
reply has not been paid for yet, the later stages are extrapolated from the size of the chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from threadweaver.annotators.protocol import LABELS, PLANNED, Annotator
from threadweaver.client import Drawn, Estimate
from threadweaver.runs.runner import progress_bar
from threadweaver.runs.stages import STAGES
from threadweaver.samples import Sample
from threadweaver.stages.outlining import OutlineOptions, outline
from threadweaver.stages.parallel import Pair, ParallelOptions, mark
from threadweaver.stages.rewriting import RewriteOptions, rewrite
from threadweaver.stages.stage_plan import money_line, table
from threadweaver.stages.steps import annotate
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

CHARS_PER_BLOCK = 5_900
"""11,143 tokens hold 6.26 blocks in the published run, at 3.3 characters per token."""
THREAD_CHARS = 1_800
"""541 tokens."""
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
    drawn: dict[str, Drawn] = field(default_factory=lambda: {name: Drawn() for name in LABELS})
    known: int = 0
    known_bytes: int = 0
    """Size of the first requests for the samples whose steps are known."""
    open: list[Sample] = field(default_factory=list)
    """Samples whose steps have not been paid for yet."""
    open_bytes: int = 0

    async def add(self, sample: Sample) -> None:
        """Take one sample through the stages, as far as the ledger has the replies."""
        annotated = await annotate(sample, self.annotators["steps"])
        first = await self._take("steps")
        if annotated.reason == PLANNED:
            self.open.append(sample)
            self.open_bytes += first.first_bytes
            return
        self.known += 1
        self.known_bytes += first.first_bytes
        if annotated.outcome == "failed":
            return
        marked = mark(Pair(str(sample.index), sample, annotated.value), self.options.parallel)
        rewritten = await rewrite(marked.value, self.annotators["edits"], self.options.rewrite)
        await self._take("edits")
        if rewritten.reason == PLANNED:  # count the outlines on the text before the edits
            rewritten = marked
        if rewritten.outcome != "failed":
            await outline(rewritten.value, self.annotators["outlines"], self.options.outline)
            await self._take("outlines")

    async def _take(self, name: str) -> Drawn:
        drawn = await self.annotators[name].drain()
        self.drawn[name] += drawn
        return drawn

    async def following(self, name: str) -> Estimate:
        """Estimate a later stage for the samples whose steps are unknown: from the other samples of the run, else
        from the ledger's statistics, else from the published figures."""
        if not self.open:
            return Estimate()
        if self.known:
            basis = f"extrapolated from {self.known} samples by the size of the chains"
            return replace(self.drawn[name].whole.times(self.open_bytes / self.known_bytes), basis=frozenset((basis,)))
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
        outlines.append(OutlineQuestion(block, sample.problem, chain[:start], threads))
        siblings = dict(enumerate(threads[1:], 1))
        edits += [
            EditQuestion(block, thread, sample.problem, chain[:start], siblings, threads[thread])
            for thread in range(1, len(threads))
        ]
    return edits, outlines


# ---------------------------------------------------------------------------------------------------------------
# what a command prints


def print_run_plan(samples: Sequence[Sample], plan: RunPlan) -> int:
    """Print the plan of all stages as a table; return the exit code."""
    return asyncio.run(_print_run_plan(samples, plan))


async def _print_run_plan(samples: Sequence[Sample], plan: RunPlan) -> int:
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
    print(f"plan for {len(samples)} samples ({plan.known} with step 1 already paid for); nothing is called")
    print(table({**estimates, "total": replace(total, basis=frozenset())}))
    print(money)
    return 0
