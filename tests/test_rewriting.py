"""Stage 3: which questions are asked, what is shown, and what becomes of the answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from threadweaver.annotators.protocol import Answer
from threadweaver.stages import outlining, rewriting
from threadweaver.stages.rewriting import edit_questions
from threadweaver.stages.traced import Traced, bare_lineage, contexts, sequentialize
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import (
    BlockLineage,
    Edit,
    Lineage,
    Replacement,
    Skipped,
    ThreadLineage,
    fingerprint,
    restore,
)

BLOCK = markup.write_block(["first thread", "second thread, as above", "third thread"])
TEXT = f"Before\nit all.\n{BLOCK}\nbetween\n{markup.write_block(['left', 'right'], ['to the left', 'to the right'], 'so both')}\nAfter"
RECORD = Lineage(
    0,
    "set-0",
    "the problem",
    "",
    None,
    "",
    0,
    0,
    (
        BlockLineage(
            3, 5, tuple(ThreadLineage(n, n, "", "\n", plan="say the first" if n == 3 else "") for n in (3, 4, 5))
        ),
        BlockLineage(7, 8, (ThreadLineage(7, 7), ThreadLineage(8, 8))),
    ),
)


def test_one_question_per_block_about_all_its_threads_with_their_plans():
    first, second = edit_questions(markup.parse(TEXT), RECORD)
    assert first.threads == ("first thread", "second thread, as above", "third thread")
    assert (first.block, first.asked, first.plans) == (0, (1, 2, 3), ("say the first", "", ""))
    assert first.passages[2] == "second thread, as above" and first.problem == "the problem"
    assert (second.block, second.threads, second.asked) == (1, ("left", "right"), (1, 2))


def test_the_context_is_the_chains_own_text_whatever_became_of_earlier_blocks():
    """So that the requests of steps 3 and 4 begin with the same bytes, and one block changes no request of another."""
    trajectory = markup.parse(TEXT)
    first, second = edit_questions(trajectory, RECORD)
    assert first.context == "Before\nit all.\n"
    assert second.context == "Before\nit all.\nfirst thread\nsecond thread, as above\nthird thread\n\nbetween\n"
    text, record = rewriting.apply_answers(trajectory, RECORD, [(first, {2: [Replacement(", as above", "")]})])
    edited = markup.parse(text)
    assert [question.context for question in outlining.outline_questions(edited, record)] == [
        first.context,
        second.context,
    ]
    text, record = sequentialize(edited, record, {1: ("leak", "thread 2 uses x")})
    assert [question.context for question in outlining.outline_questions(markup.parse(text), record)] == [
        second.context
    ]


def test_without_a_trace_or_after_a_change_by_hand_the_threads_stand_for_the_chain():
    trajectory = markup.parse(TEXT)
    bare = "Before\nit all.\nfirst thread\n\nsecond thread, as above\n\nthird thread\nbetween\n"
    assert contexts(trajectory, None)[1] == contexts(trajectory, bare_lineage(trajectory.blocks, "0"))[1] == bare
    edited = replace(RECORD.blocks[0].threads[0], edits=(Edit(0, "the first", "another"),))
    record = replace(RECORD, blocks=(replace(RECORD.blocks[0], threads=(edited,) * 3), RECORD.blocks[1]))
    assert contexts(trajectory, record)[1] == bare


@pytest.mark.parametrize(("threads", "calls"), [(2, [2]), (12, [12]), (13, [6, 7]), (24, [12, 12]), (25, [8, 8, 9])])
def test_a_long_block_is_asked_about_in_portions_that_show_all_threads(threads, calls):
    text = markup.write_block([f"thread number {number}" for number in range(1, threads + 1)])
    trajectory = markup.parse(text)
    asked = edit_questions(trajectory, bare_lineage(trajectory.blocks, "0"))
    assert [len(question.asked) for question in asked] == calls
    assert [number for question in asked for number in question.asked] == list(range(1, threads + 1))
    assert all(len(question.threads) == threads for question in asked)


def test_answers_change_their_thread_alone_and_are_recorded_with_what_was_left_out():
    trajectory = markup.parse(TEXT)
    asked = edit_questions(trajectory, RECORD)
    answers = [(asked[0], {2: [Replacement(", as above", ""), Replacement("nowhere", "x")]}), (asked[1], {})]
    text, record = rewriting.apply_answers(trajectory, RECORD, answers)
    assert text == TEXT.replace(", as above", "")
    assert record.blocks[0].threads[1].skipped == (Skipped("nowhere", "x", "not_found"),)
    assert [len(thread.edits) for item in record.blocks for thread in item.threads] == [0, 1, 0, 0, 0]
    assert rewriting.edited_characters(record) == len(", as above")


def test_a_second_rewriting_is_undone_after_the_first():
    chain = "one two three four\nfive six seven eight"
    trajectory = markup.parse(markup.write_block(["one two three four", "five six seven eight"]))
    record = Lineage(
        0,
        "u",
        "",
        "",
        None,
        fingerprint(chain),
        0,
        0,
        (BlockLineage(1, 2, (ThreadLineage(1, 1, "", "\n"), ThreadLineage(2, 2))),),
    )
    for src, dest in (("five", "5"), ("5 six", "five and six"), ("eight", "8")):
        (question,) = edit_questions(trajectory, record)
        text, record = rewriting.apply_answers(trajectory, record, [(question, {2: [Replacement(src, dest)]})])
        trajectory = markup.parse(text)
    assert "2: five and six seven 8\n" in text
    assert restore(trajectory, record) == chain


def test_neither_stage_loses_existing_outlines_or_conclusions():
    trajectory = markup.parse(TEXT)
    text, _ = rewriting.apply_answers(trajectory, RECORD, [])
    assert text == TEXT
    outlined = outlining.insert_outlines(trajectory, [["a plan", "b plan", "c plan"], ["to the left", "to the right"]])
    assert "<Conclusion>\nso both\n</Conclusion>" in outlined and outlined.endswith("\nAfter")


class Answering:
    """An annotator that gives each question the next of these answers."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def edits(self, question):
        return self.answers.pop(0)


CALLS = {"calls": 2, "repairs": 1}
UNREAD = Answer(None, "unreadable_edits", facts=CALLS, refused=True)


@pytest.mark.parametrize(
    ("answers", "reason", "unread", "threads"),
    [
        ([UNREAD] * 2, "not_rewritten", {"unreadable_edits": 2}, 5),
        ([Answer({}, facts=CALLS), Answer(None, "empty", facts=CALLS, refused=True)], "not_rewritten", {"empty": 1}, 2),
        ([Answer({}, facts=CALLS)] * 2, "nothing_to_change", None, 0),
        ([UNREAD, Answer({2: [Replacement("right", "aright")]}, facts=CALLS)], None, {"unreadable_edits": 1}, 3),
    ],
)
def test_replies_that_cannot_be_read_are_not_called_nothing_to_change(answers, reason, unread, threads):
    traced = Traced("0", TEXT, RECORD)
    result = asyncio.run(rewriting.rewrite(traced, Answering(*answers), rewriting.RewriteOptions()))
    assert (result.reason, result.facts["asked"], result.facts.get("unread")) == (reason, 2, unread)
    assert result.facts["not_rewritten"] == threads


def test_a_block_that_leaks_and_was_not_rewritten_goes_back_to_the_chains_own_text():
    chain = "Let $Q_7 = 4913$.\nHere $Q_7 + 2$ is odd.\nDone."
    record = Lineage(
        0, "u", "", "", None, fingerprint(chain), 0, 3, (BlockLineage(1, 2, (ThreadLineage(1, 1, "", "\n"), ThreadLineage(2, 2))),)
    )  # fmt: skip
    text = f"{markup.write_block(chain.split(chr(10))[:2])}\nDone."
    result = asyncio.run(
        rewriting.rewrite(Traced("0", text, record), Answering(UNREAD), rewriting.RewriteOptions(max_leak=1.1))
    )
    assert result.value.text == chain and [item.code for item in result.value.lineage.unused] == ["unreadable_edits"]
