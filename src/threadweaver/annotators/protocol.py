"""The three questions of the pipeline, and the protocol of an annotator that answers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from threadweaver.samples import Sample
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.findings import BlockFindings
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion, RefereeQuestion

if TYPE_CHECKING:
    from threadweaver.client import Client, Drawn

T = TypeVar("T")

QUESTIONS = ("steps", "edits", "outlines")
"""What an annotator answers; "findings" is the question to a referee."""
LABELS = {"steps": "step1", "edits": "step3", "outlines": "step4", "findings": "referee"}
"""Question → the stage under which the ledger records its calls."""

PLANNED = "planned"
"""Reason of an answer that has not been paid for yet: a plan only counts its calls."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The answer to a question: `value`, or None with the code of the `reason`."""

    value: T | None
    reason: str | None = None
    chat: str = ""
    """The conversation, for people to read."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Calls, tokens and cost."""
    refused: bool = False
    """A reply came but was not accepted, nor was its repair: asking a third time would not help."""

    @property
    def lost(self) -> bool:
        """Whether no reply came at all: the sample fails, so that a later run asks again."""
        return self.value is None and not self.refused


class Asked(AbstractAsyncContextManager, Protocol):
    """Who is asked: one per command, entered inside the event loop that asks; reports its usage at the end."""

    client: Client | None
    """The model client that it calls and that counts its usage; None for an annotator without a model."""
    label: str
    """The stage under which the ledger records its calls."""

    def settings(self) -> dict:
        """Return all that determines the answers; it is part of the stage's settings, so that answers are never
        mixed."""

    def status(self) -> str:
        """Return the status for the progress bar, such as the dollars paid in this run."""

    async def drain(self) -> Drawn:
        """Return what a planning client has counted since the last call."""


class Annotator(Asked, Protocol):
    """Answers the three questions of the pipeline."""

    async def steps(self, sample: Sample) -> Answer[str]:
        """Annotate a chain: its steps with line ranges, and which groups of them may run in parallel."""

    async def edits(self, question: EditQuestion) -> Answer[dict[int, list[Replacement]]]:
        """Propose the replacements that make threads of a block independent of their siblings: number of the thread
        (from 1) → replacements; a thread without any may be left out."""

    async def outlines(self, question: OutlineQuestion) -> Answer[list[str]]:
        """Write one outline per thread that is asked about, in order."""


class Referee(Asked, Protocol):
    """Judges what an annotator has made."""

    async def findings(self, question: RefereeQuestion) -> Answer[BlockFindings]:
        """Judge a block: what its threads take from each other, and what they are worth."""


def add_up(answers: Sequence[Answer]) -> dict:
    """Return the facts of several answers as one: numbers are added, lists joined. Of a model's answers, `asked` counts
    the questions and `unread` those without a usable reply, by code."""
    total: dict = {}
    for answer in answers:
        for key, value in answer.facts.items():
            total[key] = total[key] + value if key in total else value
    if "calls" in total:
        total["asked"] = len(answers)
    if unread := Counter(str(answer.reason) for answer in answers if answer.refused):
        total["unread"] = dict(unread)
    return total


def at_once(asking: Coroutine[object, None, T]) -> T:
    """Return the result of a coroutine that waits for nothing, as those of an annotator without a model."""
    try:
        asking.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("an annotator without a client waited for something")
