"""Generate many samples at once: seeds, retries, grading, progress and a summary.

A sample's seed derives from the run's seed, its row and its number alone, so a run that was killed and started again
gives what an uninterrupted one gives.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from threadweaver.corpus import chat, thinking
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError
from threadweaver.generation import forkjoin
from threadweaver.generation.engine import Pool, Refused, SampleFailed
from threadweaver.generation.journal import Journal
from threadweaver.generation.problems import Problem

WORKERS = 128
"""Samples under way at once: enough to keep the batch of a GPU full."""
LINE_SECONDS = 60.0
TRIES = 3
"""For a sample whose reply is empty or broken off."""
HOPELESS = 20
"""Samples that may fail one after the other before the run is given up."""


@dataclass(frozen=True, slots=True)
class Task:
    """One sample to generate. `message_idx` is the problem's row in its split."""

    message_idx: int
    sample_idx: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Job:
    """How to generate. `first_row` is the row of the split's first problem."""

    tokenizer: Tokenizer
    seed: int
    first_row: int
    limits: forkjoin.Limits
    branching: bool
    no_conclusion: bool
    workers: int


Report = Callable[[Task, str, forkjoin.Rollout, str], None]


class Sampler:
    """`failed` has the samples that could not be generated, with the reason; the others are in the journal."""

    def __init__(self, job: Job, journal: Journal, answer_of: Callable[[str], str | None], *, report: Report):
        self.job, self.journal, self.answer_of, self.report = job, journal, answer_of, report
        self.failed: dict[tuple[int, int], str] = {}
        self.fresh = 0
        self.decoded = 0
        self.seconds = 0.0
        self._in_a_row = 0
        self._grader = None
        self._verdicts = Counter(row["verdict"] for row in journal.facts.values() if "verdict" in row)

    async def run(self, tasks: list[Task], pool: Pool) -> None:
        """Generate every sample of `tasks`; raises UserError when no server is left or nothing succeeds."""
        begun = time.monotonic()
        queue = iter(tasks)
        self._open_grader()
        try:
            with Progress(len(tasks)) as progress:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.job.workers, len(tasks))):
                        group.create_task(self._work(queue, pool, progress))
        except ExceptionGroup as stopped:
            raise stopped.exceptions[0] from None
        finally:
            self.seconds = time.monotonic() - begun
            self._close_grader()

    async def _work(self, queue: Iterator[Task], pool: Pool, progress: Progress) -> None:
        for task in queue:  # one iterator, shared: each takes the next sample
            try:
                prompt, rollout = await self._generate(task, pool)
            except SampleFailed as error:
                self._note_failure(task, error)
            else:
                self._in_a_row = 0
                await self._keep(task, prompt, rollout)
            progress.step(self._pace(progress.seconds))

    async def _generate(self, task: Task, pool: Pool) -> tuple[str, forkjoin.Rollout]:
        """Return the prompt and what came after it. Raises SampleFailed after TRIES."""
        prompt = prompt_of(task.problem, self.job.tokenizer)
        ids = self.job.tokenizer.ids(prompt)
        if len(ids) >= self.job.limits.context:
            raise Refused(f"its prompt of {len(ids)} tokens leaves no room in --max-context-length")
        trouble = SampleFailed("not tried")
        for attempt in range(TRIES):
            row = self.job.first_row + task.message_idx
            seed = forkjoin.derive(self.job.seed, row, task.sample_idx, *([attempt] if attempt else []))
            try:
                async with pool.seat() as complete:
                    rollout = await self._roll_out(ids, complete, seed)
            except Refused:
                raise
            except SampleFailed as error:
                trouble = error
            else:
                if rollout.text.strip():
                    return prompt, rollout
                trouble = SampleFailed("the reply is empty")
        raise trouble

    async def _roll_out(self, ids: list[int], complete: forkjoin.Complete, seed: int) -> forkjoin.Rollout:
        job = self.job
        if job.branching:
            return await forkjoin.branching(
                ids, complete, job.tokenizer, job.limits, seed=seed, no_conclusion=job.no_conclusion
            )
        return await forkjoin.sequential(ids, complete, job.tokenizer, job.limits, seed=seed)

    async def _keep(self, task: Task, prompt: str, rollout: forkjoin.Rollout) -> None:
        result = thinking.opened_by(prompt) + rollout.text
        facts = {
            "reason": rollout.reason,
            "prompt_tokens": len(self.job.tokenizer.ids(prompt)),
            "tokens": len(rollout.ids),
            "critical_path": rollout.critical_path,
            "blocks": rollout.blocks,
            "threads": rollout.threads,
            "requests": rollout.requests,
            "decoded": rollout.decoded,
            "seconds": round(rollout.seconds, 3),
            "request_seconds": round(rollout.request_seconds, 3),
            "late_stops": rollout.late_stops,
            "exact": rollout.exact,
        }
        where = task.message_idx, task.sample_idx
        self.journal.add(*where, result, facts)  # before the grading: nothing that goes wrong there may lose it
        self.fresh += 1
        self.decoded += rollout.decoded
        verdict = await asyncio.to_thread(self._grade, result, task.problem.reference)
        self.journal.note(*where, facts | verdict)
        self._verdicts[verdict["verdict"]] += 1
        self.report(task, prompt, rollout, verdict["verdict"])

    def _note_failure(self, task: Task, error: SampleFailed) -> None:
        self.failed[task.message_idx, task.sample_idx] = str(error)
        self._in_a_row += 1
        if self._in_a_row >= HOPELESS:
            raise UserError(
                f"{HOPELESS} samples failed one after the other, the last because: {error}. What is finished is kept: "
                "correct that, and run the same command again"
            )

    # -----------------------------------------------------------------------------------------------------------
    # grading

    def _grade(self, result: str, reference: object) -> dict:
        """Return what the facts hold of the answer. Takes up to seconds, in processes of its own: not for the event
        loop.
        """
        answer = self.answer_of(result)
        if reference is None:
            return {"answer": answer, "verdict": "undecided", "correct_rl": None}
        verdict = self._grader.grade(answer, reference)
        return {"answer": answer, "verdict": verdict.verdict, "correct_rl": verdict.rl}

    def _open_grader(self) -> None:
        from threadweaver import grading

        self._grader = grading.Grader()

    def _close_grader(self) -> None:
        if self._grader is not None:
            self._grader.close()
            self._grader = None

    def grade_missing(self, problems: list[Problem], samples: int) -> None:
        """Grade what the journal holds without a verdict: a killed run's last samples, lines from elsewhere."""
        self._open_grader()
        for (m, s), result in self.journal.results.items():
            facts = self.journal.facts.get((m, s), {"reason": "unknown"})
            if m < len(problems) and s < samples and "verdict" not in facts:
                self.journal.note(m, s, facts | self._grade(result, problems[m].reference))
        self._close_grader()

    # -----------------------------------------------------------------------------------------------------------
    # what is printed

    def _pace(self, seconds: float) -> str:
        total = self._verdicts.total()
        correct = f", {self._verdicts['correct'] / total:.1%} correct" if total else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{self.decoded / seconds:.0f} tokens/s{correct}{failed}"

    def summary(self, problems: int, samples: int) -> list[str]:
        """Summarize all samples, earlier runs' included: accuracy, how they ended, the critical path."""
        facts = {
            key: row
            for key, row in self.journal.facts.items()
            if key in self.journal.results and key[0] < problems and key[1] < samples
        }
        if not facts:
            return []
        lines = [accuracy(facts, samples)]
        reasons = Counter(row["reason"] for row in facts.values())
        lines.append("ended: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()))
        if self.job.branching:
            lines += branching_summary([row for row in facts.values() if "critical_path" in row])
        if self.fresh and self.seconds:
            lines.append(
                f"this run: {self.fresh} samples, {self.decoded} tokens in {self.seconds:.1f} s, "
                f"{self.decoded / self.seconds:.0f} tokens/s"
            )
        inexact = sum(not row.get("exact", True) for row in facts.values())
        if inexact:
            lines.append(f"the server gave no token ids: {inexact} samples were encoded again from their text")
        return lines


def prompt_of(problem: Problem, tokenizer: Tokenizer) -> str:
    """Return the chat template's prompt of a problem, with the instruction in it exactly once."""
    turn = {"role": "user", "content": chat.user_turn(problem.text)}
    return tokenizer.chat([turn], add_generation_prompt=True)


def accuracy(facts: dict[tuple[int, int], dict], samples: int) -> str:
    """Report pass@1, the mean over samples, and pass@n, the share of problems with at least one correct sample."""
    verdicts = Counter(row["verdict"] for row in facts.values())
    solved = {m for (m, _), row in facts.items() if row["verdict"] == "correct"}
    problems = {m for m, _ in facts}
    undecided = f", {verdicts['undecided']} undecided" if verdicts["undecided"] else ""
    of_n = f", pass@{samples} {len(solved) / len(problems):.4f}" if samples > 1 else ""
    correct = verdicts["correct"]
    return f"pass@1 {correct / len(facts):.4f}{of_n} ({correct} of {len(facts)} samples correct{undecided})"


def branching_summary(rows: list[dict]) -> list[str]:
    """Report the critical path against all tokens, and the wall clock against the same requests one after the other."""
    if not rows:
        return []
    total, longest = sum(row["tokens"] for row in rows), sum(row["critical_path"] for row in rows)
    took, apart = sum(row["seconds"] for row in rows), sum(row["request_seconds"] for row in rows)
    count = len(rows)
    late = sum(row["late_stops"] for row in rows)
    lines = [
        f"critical path {longest / count:.0f} of {total / count:.0f} tokens per trajectory: "
        f"{total / max(longest, 1):.2f}x; {sum(row['blocks'] for row in rows) / count:.2f} blocks",
        f"wall clock {took / count:.2f} s per trajectory, its requests one after the other {apart / count:.2f} s: "
        f"{apart / max(took, 1e-9):.2f}x",
    ]
    return lines + ([f"{late} stops that the server missed were found in the text"] if late else [])


class Progress:
    """A bar on a terminal; elsewhere a line per minute."""

    def __init__(self, total: int):
        self.total, self.done = total, 0
        self.begun = self.printed = time.monotonic()
        self.bar = None

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.begun, 1e-3)

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        if sys.stderr.isatty():
            self.bar = tqdm(total=self.total, desc="generate", unit=" samples", leave=False, file=sys.stderr)
        return self

    def __exit__(self, *exception) -> None:
        if self.bar is not None:
            self.bar.close()

    def step(self, pace: str) -> None:
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(pace, refresh=False)
            self.bar.update()
        elif time.monotonic() - self.printed >= LINE_SECONDS:
            self.printed = time.monotonic()
            left = (self.total - self.done) * self.seconds / self.done
            print(f"generate: {self.done} of {self.total} samples, {pace}, {left / 60:.0f} min left", file=sys.stderr)
