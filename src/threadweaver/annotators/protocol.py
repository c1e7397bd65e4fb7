"""The three questions of the pipeline and who answers them: which steps? which edits? which outlines?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from threadweaver.samples import Sample
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

T = TypeVar("T")
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

    async def edits(self, question: EditQuestion) -> Answer[list[Replacement]]: ...

    async def outlines(self, question: OutlineQuestion) -> Answer[list[str]]: ...


def add_up(answers: Sequence[Answer]) -> dict:
    """The facts of several answers: numbers are added, lists joined."""
    total: dict = {}
    for answer in answers:
        for key, value in answer.facts.items():
            total[key] = total[key] + value if key in total else value
    return total
