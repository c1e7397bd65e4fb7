"""The three questions of the pipeline, asked of an annotator: which steps? which edits? which outlines?

`rules` answers them from the text alone; `llm` asks a language model. Both write the same files in the same forms.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from threadweaver import outline, rewrite
from threadweaver.edits import Replacement
from threadweaver.store import Sample

T = TypeVar("T")
NAMES = ("rules", "llm")
DEFAULT = "llm"
LABELS = {"steps": "step1", "edits": "step3", "outlines": "step4"}
"""Question -> what the ledger files its calls under."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`value` is None when no reply was accepted; `reason` is then the code of why."""

    value: T | None
    reason: str | None = None
    chat: str = ""
    """The conversation, for people to read."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Calls, tokens and cost."""


class Annotator(AbstractAsyncContextManager, Protocol):
    """One annotator a run; entered inside the event loop that asks it."""

    def settings(self) -> dict:
        """All that decides the answers: they go into the stage's settings, so that answers are never mixed."""

    async def steps(self, sample: Sample) -> Answer[str]: ...

    async def edits(self, question: rewrite.Question) -> Answer[list[Replacement]]: ...

    async def outlines(self, question: outline.Question) -> Answer[list[str]]: ...


class RulesAnnotator:
    """Answers from the text alone: deterministic, without a network, free."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception) -> None:
        return None

    def settings(self) -> dict:
        return {"annotator": "rules"}

    async def steps(self, sample: Sample) -> Answer[str]:
        from threadweaver.annotation import number_lines
        from threadweaver.annotators import rules

        annotation = rules.annotate_steps(sample.problem, sample.thinking)
        chat = f"=== chain ===\n{number_lines(sample.thinking)}\n\n=== rules ===\n{annotation}"
        return Answer(annotation, chat=chat)

    async def edits(self, question: rewrite.Question) -> Answer[list[Replacement]]:
        from threadweaver.annotators import rules

        context = f"{question.problem}\n\n{question.context}"
        pairs = rules.propose_edits(context, tuple(question.siblings.values()), question.passage)
        return Answer([Replacement(src, dest) for src, dest in pairs])

    async def outlines(self, question: outline.Question) -> Answer[list[str]]:
        from threadweaver.annotators import rules

        return Answer(rules.propose_outlines(question.problem, question.context, question.threads))


def add_up(answers: Sequence[Answer]) -> dict:
    """The facts of several answers: numbers are added, lists joined."""
    total: dict = {}
    for answer in answers:
        for key, value in answer.facts.items():
            total[key] = total[key] + value if key in total else value
    return total


def add_flags(parser: argparse.ArgumentParser, question: str) -> None:
    """The flags of a command that asks an annotator; `question` is steps, edits or outlines."""
    from threadweaver.annotators import llm

    parser.add_argument(
        "--annotator", choices=NAMES, default=DEFAULT, help=f"who answers: a language model, or rules ({DEFAULT})"
    )
    llm.add_flags(parser, question)


def samples_at_once(args: argparse.Namespace, total: int) -> int:
    """How many samples are under way together: as many as calls may be, and in batch mode all, so that a wave holds the
    next turn of every conversation."""
    return max(1, total) if args.batch and args.annotator == "llm" else args.workers


def build(args: argparse.Namespace, question: str) -> Annotator:
    """The annotator that the flags name; raises UserError for flags that cannot be used."""
    if args.annotator == "rules":
        return RulesAnnotator()
    from threadweaver.annotators import llm

    return llm.build(args, question)
