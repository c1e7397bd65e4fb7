"""The rules as an annotator: each of the three questions is one function of text."""

from __future__ import annotations

from threadweaver.annotators.protocol import Answer
from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.annotators.rules.wording import propose_edits
from threadweaver.samples import Sample
from threadweaver.trajectory.annotation import number_lines
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion


class RulesAnnotator:
    client, label = None, ""

    async def __aenter__(self) -> RulesAnnotator:
        return self

    async def __aexit__(self, *exception) -> None:
        return None

    def settings(self) -> dict:
        return {"annotator": "rules"}

    def status(self) -> str:
        return ""

    async def steps(self, sample: Sample) -> Answer[str]:
        annotation = annotate_steps(sample.problem, sample.thinking)
        chat = f"=== chain ===\n{number_lines(sample.thinking)}\n\n=== rules ===\n{annotation}"
        return Answer(annotation, chat=chat)

    async def edits(self, question: EditQuestion) -> Answer[dict[int, list[Replacement]]]:
        """Propose the edits of each thread but the first, which only the context precedes."""
        proposed = {}
        for number, passage in question.passages.items():
            pairs = propose_edits(passage) if number > 1 else []
            proposed[number] = [Replacement(src, dest) for src, dest in pairs]
        return Answer(proposed)

    async def outlines(self, question: OutlineQuestion) -> Answer[list[str]]:
        outlines = propose_outlines(question.problem, question.context, question.threads)
        return Answer([outlines[number - 1] for number in question.asked] if outlines else [])
