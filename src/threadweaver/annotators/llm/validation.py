"""Validate a model's reply to each question; faults are phrased as sentences for the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from threadweaver.client.apis import COMPLETE
from threadweaver.outlines.checks import UNFIT, check_outlines
from threadweaver.outlines.parse import UnreadableOutlines, parse_outlines
from threadweaver.text import shown
from threadweaver.trajectory import annotation, edits
from threadweaver.trajectory.annotation import Code
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion
from threadweaver.trajectory.reply_text import UNWRITABLE, without_fence

T = TypeVar("T")
QUOTED = 300
"""Maximum number of characters of a reply quoted in a sentence: enough to find the place."""
SENTENCES = 20
"""Maximum number of faults listed in a repair turn: a longer list hides what matters, and the reply is written
again anyway."""


@dataclass(frozen=True, slots=True)
class ReplyFault:
    """One thing wrong with a reply: a code for the account, a sentence for the model."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Validation(Generic[T]):
    """A reply without faults is accepted. After the repair a `value` is used despite its faults; None is a failure."""

    value: T | None
    faults: tuple[ReplyFault, ...] = ()


def status_fault(status: str, limit: int, finish: str) -> ReplyFault:
    """Return the fault of a reply that is truncated, incomplete, empty or refused; `finish` is the server's word."""
    thinking_alone = finish.lower() in COMPLETE
    return ReplyFault(
        status,
        {
            "truncated": f"It was cut off at the limit of {limit} output tokens before it was complete; "
            "think and write more briefly.",
            "incomplete": "It held thinking alone, without an end; write the reply itself."
            if thinking_alone
            else f"It broke off before it was complete (the server reports {finish!r}).",
            "empty": "It held no text.",
            "refused": "It declined. The material is mathematics, to be annotated or edited as text; nothing in it "
            "has to be judged or carried out.",
        }[status],
    )


def listed(faults: Sequence[ReplyFault]) -> str:
    """Return the faults, one per line, as the repair prompt shows them."""
    sentences = list(dict.fromkeys(fault.sentence for fault in faults))
    lines = [f"- {sentence}" for sentence in sentences[:SENTENCES]]
    if len(sentences) > SENTENCES:
        lines.append(f"- And {len(sentences) - SENTENCES} more faults of these kinds.")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------
# step 1: the annotated outline


def validate_text(text: str, before: str) -> Validation[str]:
    """Accept any text: the reply to a turn before the last one only must not be empty, and must be writable."""
    return _unwritable(text) or Validation(text)


def validate_annotation(chain_lines: Sequence[str], text: str, before: str) -> Validation[str]:
    """Validate the final outline; `before` is the outline that was checked, or empty.

    A failed check is not a fault: it is a possible outcome, and its block stays sequential.
    """
    if unwritable := _unwritable(text):
        return unwritable
    found = annotation.parse(text, chain_lines)
    if not found.steps:
        fault = ReplyFault(
            "unreadable_annotation", f'It holds no step line of the form "S1: description (L1-L14)". {_begins(text)}'
        )
        return Validation(None, (fault,))
    faults = [_defect_fault(defect, found) for defect in found.defects if defect.code != Code.CHECK_FAILED]
    faults += _missing_checks(found)
    if not found.blocks and annotation.names_blocks(text):
        faults.append(ReplyFault("unread_tags", f"Its <parallel> tags cannot be read. {_ADVICE[Code.UNBALANCED_TAG]}"))
    checked = annotation.parse(before, chain_lines).blocks if before else ()
    if checked and not found.blocks:
        faults.append(
            ReplyFault(
                "blocks_lost",
                f"The outline that was checked had {len(checked)} <parallel> blocks and this one has none: write "
                "every block again, also one whose check failed.",
            )
        )
    return Validation(without_fence(text).strip() + "\n", tuple(faults))


_ADVICE = {
    Code.GAP: "Every line from a block's first to its last belongs to exactly one of its threads.",
    Code.OVERLAP: "No line belongs to two threads of a block.",
    Code.OUT_OF_FILE: "Cite only lines that the chain has.",
    Code.OUT_OF_ORDER: "Threads are in the order of their lines.",
    Code.SINGLE_THREAD: "A block has at least two threads: complete it, or write its steps without the tags.",
    Code.MISSING_RANGE: "Every thread ends with a line such as </thread> (range: L16-L27, takes from siblings: nothing, "
    "check passed).",
    Code.UNBALANCED_TAG: "Each tag is at the beginning of its own line; every <parallel> is closed by </parallel>, "
    "every <thread> in it by </thread>.",
}


def _defect_fault(defect: annotation.Defect, found: annotation.Annotation) -> ReplyFault:
    place = _place(defect.block, defect.thread, found)
    return ReplyFault(str(defect.code), f"{place}{defect.detail}. {_ADVICE[defect.code]}")


def _place(number: int | None, thread: int | None, found: annotation.Annotation) -> str:
    """Return the place in the outline, for example `Block 2 (L16-L41), thread 1: `."""
    if number is None:
        return ""
    lines = next((block.lines for block in found.blocks if block.number == number), None)
    block = f"Block {number} ({lines})" if lines else f"Block {number}"
    return f"{block}, thread {thread}: " if thread else f"{block}: "


def _missing_checks(found: annotation.Annotation) -> list[ReplyFault]:
    return [
        ReplyFault(
            "missing_check",
            f"{_place(block.number, at, found)}its note has no verdict. Every thread's note says what it takes from "
            "siblings, then check passed or check failed.",
        )
        for block in found.blocks
        for at, thread in enumerate(block.threads, 1)
        if thread.passed is None
    ]


# ------------------------------------------------------------------------------------------------------------
# step 3: replacements


def validate_edits(question: EditQuestion, text: str, before: str) -> Validation[dict[int, list[Replacement]]]:
    """Validate that all replacements can be applied. Those that still cannot after the repair are skipped later, and
    what is unreadable about one thread loses nothing of the others."""
    faults: list[ReplyFault] = []
    try:
        proposed = edits.parse_reply(text, question.passages)
    except edits.UnreadableReply as error:
        proposed = error.read
        faults = [ReplyFault("unreadable_edits", sentence) for sentence in error.faults]
        faults[-1] = replace(faults[-1], sentence=f"{faults[-1].sentence} {_EDITS_FORM} {_begins(text)}")
        if not proposed:
            return Validation(None, tuple(faults))
    for number, replacements in proposed.items():
        applied = edits.apply(question.passages[number], replacements)
        faults += [_skipped_fault(number, item) for item in applied.skipped if item.code != "no_change"]
    return Validation(proposed, tuple(faults))


_EDITS_FORM = (
    'Write one JSON object from the number of each thread that changes to an array of objects with the strings "src" '
    'and "dest", {} for no change; in JSON a backslash is written twice.'
)


def _skipped_fault(thread: int, item: edits.Skipped) -> ReplyFault:
    src, dest = _quoted(_short(item.src)), _quoted(_short(item.dest))
    sentences = {
        "empty_src": f"The replacement with dest {dest} has an empty src.",
        "tag_in_dest": f"The dest {dest} holds a tag, which no replacement may write.",
        "control_character": f"The dest {dest} holds a control character: write every backslash of LaTeX twice.",
        "not_found": f"The src {src} does not occur in this thread, or only inside a word: copy it character for "
        "character.",
        "ambiguous": f"The src {src} occurs more than once in this thread: add neighbouring words until it occurs "
        "once.",
        "overlaps": f"The src {src} overlaps that of another replacement: make one of the two.",
        "shrinks_thread": f"The replacement of {src} leaves less than half of the thread: change less.",
        "makes_tag": f"The replacement of {src} makes something that looks like a tag: change it or leave it out.",
    }
    what = sentences.get(item.code, f"The replacement of {src} cannot be made ({item.code}).")
    return ReplyFault(item.code, f"Thread {thread}: {what}")


# ------------------------------------------------------------------------------------------------------------
# step 4: outlines


def validate_outlines(question: OutlineQuestion, text: str, before: str) -> Validation[list[str]]:
    """Validate the outlines of a block; one that gives away a result is asked for again, then left to the stage."""
    if unwritable := _unwritable(text):
        return unwritable
    try:
        outlines = parse_outlines(text, question.asked)
    except UnreadableOutlines as error:
        return Validation(None, (ReplyFault(error.code, f"{error} {_begins(text)}"),))
    found = check_outlines(outlines, question)
    faults = tuple(ReplyFault(fault.code, _sentence(f"{fault}: {_OUTLINE_ADVICE[fault.code]}")) for fault in found)
    return Validation(None if any(fault.code in UNFIT for fault in found) else outlines, faults)


_OUTLINE_ADVICE = {
    "count": "write one for each thread",
    "empty": "say what the thread sets out to do",
    "placeholder": "say what the thread sets out to do",
    "holds_tag": "write it without anything in angle brackets",
    "control_character": "write plain text, and every backslash of LaTeX as a backslash",
    "too_long": "one sentence of ten to thirty words will do",
    "repeats_sibling": "say what tells the one thread from the other",
    "gives_result": "announce what is done, not what comes of it",
    "leans_on_sibling": "it must be understood alone",
}


# ------------------------------------------------------------------------------------------------------------


def _unwritable(text: str) -> Validation | None:
    """Return the fault of a reply with a control character or half a character in it: neither may be written, and what
    is left when it is taken out is not what was meant."""
    found = UNWRITABLE.search(text)
    if found is None:
        return None
    around = text[max(0, found.start() - 40) : found.end() + 40]
    sentence = (
        f"It holds a control character or half a character, here: {_quoted(around)}. Write plain text, and every "
        "backslash of LaTeX as a backslash."
    )
    return Validation(None, (ReplyFault("control_character", sentence),))


def _begins(text: str) -> str:
    return f"It begins: {_quoted(_short(text.strip()))}"


def _quoted(text: str) -> str:
    return json.dumps(shown(text), ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
