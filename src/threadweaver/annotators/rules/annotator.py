"""The annotator that answers from the text alone."""

from __future__ import annotations

from threadweaver.annotators.protocol import Answer
from threadweaver.samples import Sample
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion


class RulesAnnotator:
    """Answers from the text alone: deterministic, without a network, free."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception) -> None:
        return None

    def settings(self) -> dict:
        return {"annotator": "rules"}

    async def steps(self, sample: Sample) -> Answer[str]:
        from threadweaver.annotators import rules
        from threadweaver.trajectory.annotation import number_lines

        annotation = rules.annotate_steps(sample.problem, sample.thinking)
        chat = f"=== chain ===\n{number_lines(sample.thinking)}\n\n=== rules ===\n{annotation}"
        return Answer(annotation, chat=chat)

    async def edits(self, question: EditQuestion) -> Answer[list[Replacement]]:
        from threadweaver.annotators import rules

        context = f"{question.problem}\n\n{question.context}"
        pairs = rules.propose_edits(context, tuple(question.siblings.values()), question.passage)
        return Answer([Replacement(src, dest) for src, dest in pairs])

    async def outlines(self, question: OutlineQuestion) -> Answer[list[str]]:
        from threadweaver.annotators import rules

        return Answer(rules.propose_outlines(question.problem, question.context, question.threads))
