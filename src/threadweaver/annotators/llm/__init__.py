"""The annotator that asks a language model: one prompt a question, each reply judged before it is used."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from threadweaver.annotators.llm import prompts, validation
from threadweaver.annotators.llm.conversation import Conversation
from threadweaver.annotators.llm.prompts import Prompt
from threadweaver.annotators.protocol import LABELS, Answer
from threadweaver.client import Client, Drawn, PlanningClient, add_client_flags, settings_from
from threadweaver.samples import Sample
from threadweaver.trajectory.annotation import lines, number_lines
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

PROMPTS = {"steps": "step1-prompt_v1.txt", "edits": "step3-prompt_v1_v1.txt", "outlines": "step4-prompt_v1_v1_v1.txt"}
PLACEHOLDERS = {
    "steps": ("problem", "chain"),
    "edits": ("problem", "context", "siblings", "thread"),
    "outlines": ("problem", "context", "threads", "count"),
}
EFFORT = {"steps": "medium", "edits": "low", "outlines": "low"}
"""As in the published run."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
OUTPUT_LIMIT = {"steps": 32_768, "edits": 16_384, "outlines": 8_192}
"""Tokens, reasoning included. The outline of the longest chains (60 steps, 20 blocks) takes some 5,000 and
medium effort up to five times that in thinking; a thread is rewritten in a few hundred and outlined in a
hundred, and low effort on a long context thinks for a few thousand. A limit that is not reached costs
nothing; a reply cut off is lost."""
UNKNOWN_PROBLEM = "(The problem is not known.)"
NO_CONTEXT = "(Nothing: the block stands at the beginning of the text.)"


def add_flags(parser: argparse.ArgumentParser, question: str) -> None:
    """What decides the answers of a model to this question (steps, edits or outlines), and the client's
    flags."""
    group = parser.add_argument_group("model annotator")
    group.add_argument(
        "--prompt",
        type=Path,
        default=prompts.FOLDER / PROMPTS[question],
        metavar="FILE",
        help=f"prompt file (prompt/{PROMPTS[question]})",
    )
    group.add_argument("--effort", choices=EFFORTS, default=EFFORT[question], help="reasoning effort (%(default)s)")
    group.add_argument("--verbosity", choices=("low", "medium", "high"), help="length of replies (the model's own)")
    add_client_flags(parser)
    parser.set_defaults(output_limit=OUTPUT_LIMIT[question])


def build(args: argparse.Namespace, question: str) -> LlmAnnotator:
    """The annotator of these flags; raises UserError for a prompt or a setting that cannot be used. With `--plan`
    it calls nothing and counts what it would have called."""
    prompt = prompts.load(prompts.resolve(args.prompt), PLACEHOLDERS[question])
    client = (PlanningClient if args.plan else Client)(settings_from(args))
    return LlmAnnotator(client, prompt, question, args.effort, args.verbosity)


class LlmAnnotator:
    """Answers one of the three questions. Entered inside the event loop that asks; tells its usage on
    stdout at the end."""

    def __init__(self, client: Client, prompt: Prompt, question: str, effort: str, verbosity: str | None = None):
        self.client, self.prompt, self.question = client, prompt, question
        # the ledger's statistics are of one prompt: another one has other turns and other replies
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
        """For the progress bar: what has been paid in this run, and the waves of a batch."""
        return self.client.status(self.label)

    async def drain(self) -> Drawn:
        """With `--plan`: what was counted since the last time."""
        return await self.client.drain(self.label, len(self.prompt.turns))

    def settings(self) -> dict:
        return {
            "annotator": "llm",
            **self.client.describe(),
            **self.params,
            "prompt": self.prompt.name,
            "prompt_sha256": self.prompt.sha256,
        }

    async def steps(self, sample: Sample) -> Answer[str]:
        """The annotated outline of a chain; what is still wrong with it after the repair is for the
        extraction to mend."""
        turns = self.prompt.fill({"problem": sample.problem or UNKNOWN_PROBLEM, "chain": number_lines(sample.thinking)})
        talk = Conversation(self.client, self.params, f"{self.label}/{sample.uuid}")
        return await talk.run(turns, partial(validation.validate_annotation, lines(sample.thinking)))

    async def edits(self, question: EditQuestion) -> Answer[list[Replacement]]:
        """The replacements for one thread, also those that cannot be applied: applying them leaves these
        out by name."""
        turns = self.prompt.fill(
            {
                "problem": question.problem or UNKNOWN_PROBLEM,
                "context": question.context.strip("\n") or NO_CONTEXT,
                "siblings": _numbered(sorted(question.siblings.items())),
                "thread": question.passage,
            }
        )
        where = f"block {question.block + 1}, thread {question.thread + 1}: "
        return await self._talk(where).run(turns, partial(validation.validate_edits, question))

    async def outlines(self, question: OutlineQuestion) -> Answer[list[str]]:
        """One outline a thread, in order."""
        turns = self.prompt.fill(
            {
                "problem": question.problem or UNKNOWN_PROBLEM,
                "context": question.context.strip("\n") or NO_CONTEXT,
                "threads": _numbered(enumerate(question.threads, 1)),
                "count": str(len(question.threads)),
            }
        )
        return await self._talk(f"block {question.block + 1}: ").run(
            turns, partial(validation.validate_outlines, question)
        )

    def _talk(self, where: str) -> Conversation:
        return Conversation(self.client, self.params, self.label, where)


def _numbered(threads) -> str:
    return "\n\n".join(f"[Thread {number}]\n{text}" for number, text in threads)
