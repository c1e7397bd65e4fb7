"""Validate the reply of a referee about a block."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from threadweaver.annotators.llm.validation import ReplyFault, Validation
from threadweaver.trajectory.findings import OUTLINE, WORK, WORTH, BlockFindings, Taken, ThreadFindings
from threadweaver.trajectory.loose_json import find_values, readings
from threadweaver.trajectory.questions import RefereeQuestion


class _Unusable(ValueError):
    """A reply that lacks something; the text is a sentence for the model."""


def validate_findings(question: RefereeQuestion, text: str, before: str) -> Validation[BlockFindings]:
    """Validate the findings about every thread of a block. What a thread is said to take must be quoted literally from
    it: a finding that cannot be shown is asked for again, then left out."""
    best: Validation[BlockFindings] | None = None
    reason = "It holds no JSON object."
    for data in _objects(text):
        try:
            found = _findings(data, question.threads)
        except _Unusable as error:
            reason = str(error)
            continue
        if best is None or len(found.faults) < len(best.faults):
            best = found
    return best or Validation(None, (ReplyFault("unreadable_findings", reason),))


def _objects(text: str) -> list[Mapping]:
    """Return the readings of the last JSON object with threads: mathematics may have single backslashes."""
    found = [value.value for value in find_values(text) if isinstance(value.value, dict) and "threads" in value.value]
    return readings(found[-1]) if found else []


def _findings(data: Mapping, texts: Sequence[str]) -> Validation[BlockFindings]:
    listed = data["threads"]
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise _Unusable('"threads" is not an array of objects.')
    if [item.get("thread") for item in listed] != list(range(1, len(texts) + 1)):
        raise _Unusable(f'"threads" has to hold one object for each of the {len(texts)} threads, in order.')
    faults: list[ReplyFault] = []
    threads = tuple(_thread(number, item, texts, faults) for number, item in enumerate(listed, 1))
    found = BlockFindings(threads, _flag(data, "sensible", "the block"), _choice(data, "worth", WORTH, "the block"))
    if data.get("independent") is not found.independent:
        faults.append(
            ReplyFault(
                "verdict_against_findings",
                f'"independent" is not what the findings say: it is {str(found.independent).lower()} by what the threads '
                "take from each other.",
            )
        )
    return Validation(found, tuple(faults))


def _thread(number: int, item: Mapping, texts: Sequence[str], faults: list[ReplyFault]) -> ThreadFindings:
    where = f"thread {number}"
    takes = item.get("takes")
    if not isinstance(takes, list):
        raise _Unusable(f'{where.capitalize()}: "takes" is not an array.')
    shown = []
    for taken in takes:
        if fault := _fault_of(number, taken, texts):
            faults.append(ReplyFault("finding_not_shown", f"{where.capitalize()}: {fault}"))
        else:
            shown.append(
                Taken(taken["sibling"], taken["quote"], taken.get("rests_on") or "", taken.get("wording") is True)
            )
    return ThreadFindings(tuple(shown), _choice(item, "work", WORK, where), _choice(item, "outline", OUTLINE, where))


def _fault_of(number: int, taken: object, texts: Sequence[str]) -> str:
    """Return what keeps a finding from being shown to a reader; empty for a good one."""
    if not isinstance(taken, dict) or not isinstance(taken.get("quote"), str) or not taken["quote"].strip():
        return 'every element of "takes" is an object with a "quote".'
    sibling = taken.get("sibling")
    if isinstance(sibling, bool) or sibling not in range(1, len(texts) + 1) or sibling == number:
        return f'"sibling" is {sibling!r}, which is not the number of a sibling.'
    if not _occurs(taken["quote"], texts[number - 1]):
        return f"the quote {taken['quote'][:80]!r} does not occur in this thread: copy it character for character."
    rests_on = taken.get("rests_on")
    if isinstance(rests_on, str) and rests_on and not _occurs(rests_on, texts[sibling - 1]):
        return f"{rests_on[:80]!r} does not occur in thread {sibling}: copy it character for character."
    return ""


def _occurs(quote: str, text: str) -> bool:
    """Return whether a quote is in a text; line breaks and runs of blanks count as one blank."""
    return " ".join(quote.split()) in " ".join(text.split())


def _flag(data: Mapping, name: str, where: str) -> bool:
    if not isinstance(data.get(name), bool):
        raise _Unusable(f'{where.capitalize()}: "{name}" is neither true nor false.')
    return data[name]


def _choice(data: Mapping, name: str, allowed: Collection[str], where: str) -> str:
    if data.get(name) not in allowed:
        raise _Unusable(f'{where.capitalize()}: "{name}" is not one of {", ".join(allowed)}.')
    return data[name]
