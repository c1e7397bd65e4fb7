"""Answer the three questions with a model: fill in the prompt, hold the conversation, return the reply as a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from threadweaver.annotators.llm import PROMPTS, validation
from threadweaver.annotators.llm.conversation import Conversation
from threadweaver.annotators.llm.prompts import Prompt
from threadweaver.annotators.llm.refereeing import validate_findings
from threadweaver.annotators.protocol import LABELS, Answer
from threadweaver.client import Client, Drawn
from threadweaver.samples import Sample
from threadweaver.trajectory.annotation import lines, number_lines
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.findings import BlockFindings
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion, RefereeQuestion

UNKNOWN_PROBLEM = "(The problem is not known.)"
NO_OUTLINES = "(This block has none.)"
NO_PLAN = "(Not stated.)"
NO_CONTEXT = "(Nothing: the block stands at the beginning of the text.)"


class LlmAnnotator:
    """Answers one of the questions; entered inside the event loop that asks it, it prints its usage on exit."""

    def __init__(
        self, client: Client, prompt: Prompt, repair: Prompt, question: str, effort: str, verbosity: str | None = None
    ):
        self.client, self.prompt, self.repair = client, prompt, repair
        # the ledger keeps statistics per label: another prompt has other turns and replies
        own = "" if prompt.name == PROMPTS[question] else f" {Path(prompt.name).stem}"
        self.label = f"{LABELS[question]}{own}"
        self.params = {"effort": effort, "verbosity": verbosity}

    async def __aenter__(self) -> LlmAnnotator:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *exception) -> None:
        try:
            await self.client.__aexit__(*exception)
        finally:
            if (usage := self.client.total(self.label)).asked:
                print(f"{self.label}: {usage.line()}")

    def status(self) -> str:
        """Return what has been paid in this run, and the waves of a batch."""
        return self.client.status(self.label)

    async def drain(self) -> Drawn:
        return await self.client.drain(self.label, len(self.prompt.turns))

    def settings(self) -> dict:
        return {
            "annotator": "llm",
            **self.client.describe(),
            **self.params,
            "prompt": self.prompt.name,
            "prompt_sha256": self.prompt.sha256,
            "repair_prompt": self.repair.name,
            "repair_prompt_sha256": self.repair.sha256,
        }

    async def steps(self, sample: Sample) -> Answer[str]:
        """Ask for the annotated outline of a chain; defects that remain after the repair are left to the
        extraction."""
        return await self._conversation(f"{self.label}/{sample.uuid}").run(
            self.prompt.fill(step_values(sample)), partial(validation.validate_annotation, lines(sample.thinking))
        )

    async def edits(self, question: EditQuestion) -> Answer[dict[int, list[Replacement]]]:
        """Ask for the replacements in the threads that are asked about, including those that cannot be applied: these
        are skipped and recorded."""
        return await self._conversation(self.label, _place(question)).run(
            self.prompt.fill(edit_values(question)), partial(validation.validate_edits, question)
        )

    async def outlines(self, question: OutlineQuestion) -> Answer[list[str]]:
        """Ask for one outline per thread that is asked about, in order."""
        return await self._conversation(self.label, _place(question)).run(
            self.prompt.fill(outline_values(question)), partial(validation.validate_outlines, question)
        )

    async def findings(self, question: RefereeQuestion) -> Answer[BlockFindings]:
        """Ask for the judgement of a block."""
        turns = self.prompt.fill(
            {
                "problem": question.problem or UNKNOWN_PROBLEM,
                "context": question.context.strip("\n") or NO_CONTEXT,
                "outlines": "\n".join(f"{number}: {text}" for number, text in enumerate(question.outlines, 1))
                or NO_OUTLINES,
                "threads": _numbered(enumerate(question.threads, 1)),
                "count": str(len(question.threads)),
            }
        )
        return await self._conversation(self.label, f"block {question.block + 1}: ").run(
            turns, partial(validate_findings, question)
        )

    def _conversation(self, label: str, where: str = "") -> Conversation:
        return Conversation(self.client, self.params, self.repair, label, where)


# what fills the placeholders: every byte of it is part of the request, by which the ledger knows a paid reply


def step_values(sample: Sample) -> dict[str, str]:
    return {"problem": sample.problem or UNKNOWN_PROBLEM, "chain": number_lines(sample.thinking)}


def edit_values(question: EditQuestion) -> dict[str, str]:
    return {
        "problem": question.problem or UNKNOWN_PROBLEM,
        "context": question.context.strip("\n") or NO_CONTEXT,
        "plans": "\n".join(f"{number}: {plan or NO_PLAN}" for number, plan in enumerate(question.plans, 1)),
        "threads": _numbered(enumerate(question.threads, 1)),
        "asked": _named(question.asked),
    }


def outline_values(question: OutlineQuestion) -> dict[str, str]:
    return {
        "problem": question.problem or UNKNOWN_PROBLEM,
        "context": question.context.strip("\n") or NO_CONTEXT,
        "threads": _numbered(enumerate(question.threads, 1)),
        "asked": _named(question.asked),
    }


def _place(question: EditQuestion | OutlineQuestion) -> str:
    """Return what a conversation is about: the block and, where it is asked about in several calls, the threads."""
    part = len(question.asked) < len(question.threads)
    return f"block {question.block + 1}{f', {_named(question.asked)}' if part else ''}: "


def _numbered(threads: Iterable[tuple[int, str]]) -> str:
    return "\n\n".join(f"[Thread {number}]\n{text}" for number, text in threads)


def _named(numbers: Sequence[int]) -> str:
    """Name consecutive threads: thread 2, threads 1 and 2, threads 1 to 12."""
    first, last = numbers[0], numbers[-1]
    if first == last:
        return f"thread {first}"
    return f"threads {first} {'and' if last == first + 1 else 'to'} {last}"
