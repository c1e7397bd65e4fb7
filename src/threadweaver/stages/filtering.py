"""Stage 5: keep the trajectories that are well-formed and complete, and measure them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from threadweaver import grading
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.tokenizer import Tokens, load_tokens
from threadweaver.errors import UserError
from threadweaver.files import digest, to_pretty_json
from threadweaver.runs.pool import is_worker
from threadweaver.runs.runner import NotHere, Result, Task
from threadweaver.stages import worth
from threadweaver.stages.inspection import Inspection, Rules, edits_of_answer, final_answer, inspect
from threadweaver.stages.traced import Traced, bare_lineage, traced_files
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import Lineage
from threadweaver.trajectory.measures import measure


@dataclass
class Filter:
    """Accepts or rejects samples one by one; the tokenizer and the grader are loaded on first use."""

    rules: Rules
    tokenizer_name: str
    shortened: tuple[int, int] | None = None
    """Lines kept at the beginning and at the end of a rejected text; None keeps all."""
    drop: tuple[str, ...] = ()
    """Novelties whose blocks are put back in sequence: re-check, restatement."""

    @cached_property
    def grader(self) -> grading.Grader:
        return grading.Grader()

    @cached_property
    def tokenizer(self) -> Tokens:
        return load_tokens(self.tokenizer_name)

    def load(self) -> None:
        """Load the tokenizer now; raises UserError, before anything is written, if it cannot be loaded."""
        _ = self.tokenizer

    def __call__(self, task: Task) -> Result:
        traced: Traced = task.payload
        with suppress(markup.MarkupError):  # the inspection says what is wrong
            traced = worth.drop(traced, self.drop)
        found = inspect(traced.text, traced.lineage, self.rules)
        if found.reason:
            return self._rejected(traced, found)
        trajectory = found.trajectory
        answer = self._grade(traced.lineage, trajectory.text)
        marked = traced.lineage.correctness if traced.lineage else None
        if answer.get("answer") == "wrong" and marked and not _box_edited(traced.lineage):
            answer["disagreement"] = True  # with the source's mark, which counts
        elif answer.get("answer") == "wrong" and marked is not False:  # False: kept on purpose
            detail = f"{answer['answer_given']} where {traced.lineage.solution} is right"
            return self._rejected(traced, replace(found, reason="answer_wrong", detail=detail))
        if marked is False:
            answer["kept_wrong"] = True  # collected with --keep-wrong
        starts = self.tokenizer.starts(trajectory.text)
        facts = {"measures": asdict(measure(trajectory, starts)), "conserved": found.conserved, **answer}
        facts |= _leaks_of(found) | {"worth": worth.worths(trajectory, traced.lineage, starts)}
        return Result("ok", None, traced_files(traced.id, trajectory.text, traced.lineage), facts)

    def _grade(self, lineage: Lineage | None, reasoning: str) -> dict:
        """Grade the final answer again and list the edits that touched it; without a reference answer, return
        nothing."""
        if lineage is None or lineage.solution in ("", None, []):
            return {}
        given = final_answer(lineage, reasoning)
        verdict = grading.at_once(given, lineage.solution)
        if verdict is None and is_worker():  # the grader has processes of its own
            raise NotHere
        verdict = verdict or self.grader.grade(given, lineage.solution)
        facts = {"answer": verdict.verdict, "answer_given": given, "answer_how": verdict.how, "answer_rl": verdict.rl}
        touched = edits_of_answer(lineage, given)
        return facts | ({"answer_edits": touched} if touched else {})

    def _rejected(self, traced: Traced, found: Inspection) -> Result:
        text = shorten(traced.text, *self.shortened) if self.shortened else traced.text
        why = {
            "id": traced.id,
            "uuid": traced.lineage.uuid if traced.lineage else "",
            "reason": found.reason,
            "detail": found.detail,
        }
        files = {f"rejected/{traced.id}.txt": text + "\n", f"rejected/{traced.id}.json": to_pretty_json(why)}
        facts = {"detail": found.detail, "conserved": found.conserved, **_leaks_of(found)}
        return Result("rejected", found.reason, files, facts)


def _leaks_of(found: Inspection) -> dict[str, float]:
    return found.leaks.facts() if found.leaks else {}


def _box_edited(lineage: Lineage) -> bool:
    """Return whether the final answer is in the reasoning and an edit changed it there: the source did not mark that."""
    edits = (edit for block in lineage.blocks for thread in block.threads for edit in thread.edits)
    changed = any(grading.final_answer(edit.src) != grading.final_answer(edit.dest) for edit in edits)
    return changed and grading.final_answer(lineage.output) is None


def column_tasks(dataset: Path, column: str, split: str) -> Iterator[Task]:
    """Return one task per row of a dataset whose text column holds trajectories; a null is an empty text.

    Raises UserError for a row that cannot be read, has no such column, or no text in it.
    """
    for row in read_rows(dataset, split=split):
        if row.fields is None:
            raise UserError(f"{row.place}: {row.fault}: fix or remove it")
        if column not in row.fields:
            raise UserError(
                f"{row.place} has no column {column!r}: name another with --text_column ({', '.join(row.fields)})"
            )
        text = row.fields[column]
        if not isinstance(text, str | None):
            raise UserError(f"{row.place} has no text in the column {column!r}: name another with --text_column")
        yield Task(str(row.index), digest(text or ""), _of_a_row(str(row.index), text or "", row.fields))


def _of_a_row(id: str, text: str, fields: Mapping[str, object]) -> Traced:
    """Return a trajectory from a dataset, with its problem where the row has one: the referee is shown it."""
    problem = next((fields[name] for name in ("question", "problem") if isinstance(fields.get(name), str)), "")
    with suppress(markup.MarkupError):  # the inspection says what is wrong
        return Traced(id, text, bare_lineage(markup.parse(text).blocks, id, problem) if problem else None)
    return Traced(id, text, None)


def shorten(text: str, first: int, last: int) -> str:
    """Return the first and last lines of a text, with the number of lines omitted between them."""
    lines = text.split("\n")
    if len(lines) <= first + last:
        return text
    return "\n".join([*lines[:first], f"[… {len(lines) - first - last} lines …]", *lines[len(lines) - last :]])
