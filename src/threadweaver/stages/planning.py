"""What a run would call and cost, without a call: its conversations are gone through with a client that only counts.

What the ledger holds is read and leads on to the next stage's requests; where a reply is still to be paid for, the
later stages are extrapolated by the size of the chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from threadweaver.annotators.protocol import LABELS, Annotator
from threadweaver.annotators.rules.annotator import RulesAnnotator
from threadweaver.client import Drawn, Estimate
from threadweaver.ledger import NANO
from threadweaver.runs.runner import progress_bar
from threadweaver.runs.summary import print_no_calls
from threadweaver.samples import Sample
from threadweaver.stages import outlining, parallel, rewriting
from threadweaver.stages.traced import new_lineage
from threadweaver.trajectory import annotation, markup
from threadweaver.trajectory.edits import Lineage
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

CHARS_A_BLOCK = 5_900
"""11,143 tokens hold 6.26 blocks in the published run, at 3.3 characters a token."""
THREAD_CHARS = 1_800
"""541 tokens."""
ASSUMED = "assumed: a block every 5,900 characters of a chain, of two and three threads in turn, as published"


@dataclass(frozen=True, slots=True)
class Options:
    """What decides the requests of the later stages beside the replies of the earlier ones."""

    threshold: int = parallel.FILTER_DIFF_THRESHOLD
    merge_dependent: bool = True
    rewrite: str = "all"
    max_leak: float = 0.7
    context_lines: int | None = None


@dataclass
class Trio:
    """The annotators of the three questions, all with clients that only count."""

    steps: Annotator
    edits: Annotator
    outlines: Annotator
    options: Options
    drawn: dict[str, Drawn] = field(default_factory=lambda: {name: Drawn() for name in LABELS})
    known: int = 0
    known_bytes: int = 0
    """Size of the first requests about samples whose steps are known."""
    open: list[Sample] = field(default_factory=list)
    """Samples whose steps are still to be paid for."""
    open_bytes: int = 0

    async def add(self, sample: Sample) -> None:
        """One sample through all stages, as far as the ledger knows the way."""
        answer = await self.steps.steps(sample)
        first = await self._take("steps")
        if answer.value is None and answer.reason is None:
            self.open.append(sample)
            self.open_bytes += first.first_bytes
            return
        self.known += 1
        self.known_bytes += first.first_bytes
        if answer.value is not None:
            await self._later(sample, answer.value)

    async def _later(self, sample: Sample, annotated: str) -> None:
        chain = sample.thinking
        found = parallel.extract(
            chain,
            annotation.parse(annotated, annotation.lines(chain)),
            new_lineage(sample),
            threshold=self.options.threshold,
            merge_dependent=self.options.merge_dependent,
        )
        text, record = await self._rewritten(markup.parse(found.trajectory), found.record)
        asked = outlining.outline_questions(markup.parse(text), record.problem, self.options.context_lines)
        await asyncio.gather(*map(self.outlines.outlines, asked))
        await self._take("outlines")

    async def _rewritten(self, trajectory: markup.Trajectory, record: Lineage) -> tuple[str, Lineage]:
        """The text after step 3; as it was where a reply is still to come."""
        asked = rewriting.edit_questions(trajectory, record.problem, only_suspected=self.options.rewrite == "suspected")
        answers = await asyncio.gather(*map(self.edits.edits, asked))
        await self._take("edits")
        if any(answer.value is None for answer in answers):
            return trajectory.text, record
        pairs = [(question, answer.value) for question, answer in zip(asked, answers, strict=True)]
        text, record = rewriting.apply_answers(trajectory, record, pairs)
        return rewriting.sequentialize_leaking(text, record, self.options.max_leak)

    async def _take(self, name: str) -> Drawn:
        drawn = await getattr(self, name).drain()
        self.drawn[name] += drawn
        return drawn

    async def following(self, name: str) -> Estimate:
        """A later stage for the samples whose steps are not known: as it was for the others, else as the ledger has
        it of other samples, else as it was published."""
        if not self.open:
            return Estimate()
        if self.known:
            basis = f"extrapolated from {self.known} samples by the size of the chains"
            return replace(self.drawn[name].whole.times(self.open_bytes / self.known_bytes), basis=frozenset((basis,)))
        annotator = getattr(self, name)
        planner = await annotator.client.planner()
        if found := planner.following(annotator.label, self.steps.label, self.open_bytes):
            return found
        for sample in self.open:
            edits, outlines = assumed_questions(sample)
            await asyncio.gather(
                *map(annotator.edits if name == "edits" else annotator.outlines, edits if name == "edits" else outlines)
            )
        whole = (await annotator.drain()).whole
        return replace(whole, basis=whole.basis | {ASSUMED})


def assumed_questions(sample: Sample) -> tuple[list[EditQuestion], list[OutlineQuestion]]:
    """Questions of the number and size that the published run would have of a chain of this length."""
    chain, edits, outlines = sample.thinking, [], []
    blocks = max(1, round(len(chain) / CHARS_A_BLOCK))
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
# what a command says


def tell_run(samples: Sequence[Sample], trio: Trio) -> int:
    """The plan of all stages as a table on stdout; the exit code."""
    return asyncio.run(_tell_run(samples, trio))


async def _tell_run(samples: Sequence[Sample], trio: Trio) -> int:
    async with trio.steps, trio.edits, trio.outlines:
        with progress_bar(len(samples), "plan") as bar:
            for sample in samples:
                await trio.add(sample)
                bar.update()
        rows = [("step 1 (steps)", trio.drawn["steps"].to_pay, Estimate())]
        for title, name in (("step 3 (rewriting)", "edits"), ("step 4 (outlines)", "outlines")):
            rows.append((title, trio.drawn[name].to_pay, await trio.following(name)))
        together = sum((exact + rest for _, exact, rest in rows), Estimate())
        money = await _money(trio.steps, together)
    rows.append(("together", replace(together, basis=frozenset()), Estimate()))
    print(f"plan for {len(samples)} samples, of {trio.known} of which the steps are paid for; nothing is called")
    print(table([(title, exact + rest) for title, exact, rest in rows]))
    print(money)
    return 0


async def _money(annotator: Annotator, planned: Estimate) -> str:
    """What is spent, what is on its way, and whether the cap leaves enough."""
    client = annotator.client
    line = await client.money_line()
    if client.cap is not None and planned.cost is not None:
        spending = await client.ledger.spending()
        left = (client.cap - spending.spent - spending.reserved) / NANO
        if planned.cost > left:
            line += f": ${left:.2f} are left, and the plan needs ${planned.cost:.2f}"
    if rows := sum(entry.rows for entry in await client.ledger.batches()):
        line += f"; {rows} requests are in batches under way, and are counted here as still to make"
    return line


def table(rows: Sequence[tuple[str, Estimate]]) -> str:
    """One line a stage, and below it what its figures stand on."""
    lines = [f"  {'':<20}{'calls':>9}{'paid':>9}{'tokens in':>14}{'cached':>14}{'out':>13}{'USD':>10}"]
    for title, estimate in rows:
        usage = estimate.usage
        cost = "no price" if estimate.cost is None else f"{estimate.cost:,.3f}"
        lines.append(
            f"  {title:<20}{estimate.calls:>9,}{estimate.paid:>9,}{usage.input:>14,}{usage.cached:>14,}"
            f"{usage.output:>13,}{cost:>10}"
        )
        lines += [f"    {basis}" for basis in sorted(estimate.basis)] if estimate.calls else []
    return "\n".join(lines)


def tell_stage(title: str, annotator: Annotator, questions: Iterable[Awaitable]) -> int:
    """The plan of one stage, whose input is there; the exit code."""

    async def count() -> tuple[Drawn, str]:
        async with annotator:
            for question in questions:
                await question
            drawn = await annotator.drain()
            return drawn, await _money(annotator, drawn.to_pay)

    if isinstance(annotator, RulesAnnotator):
        return print_no_calls(title)
    drawn, money = asyncio.run(count())
    print(f"plan of {title}: nothing is called")
    print(table([(title, drawn.to_pay)]))
    print(money)
    return 0
