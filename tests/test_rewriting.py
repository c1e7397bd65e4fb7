"""Stage 3: which questions are asked, what is shown, and what becomes of the answers."""

from __future__ import annotations

import asyncio

import pytest

from threadweaver.annotators.protocol import Answer
from threadweaver.stages import outlining, rewriting
from threadweaver.stages.block_leaks import BlockLeaks
from threadweaver.stages.rewriting import edit_questions
from threadweaver.stages.traced import Traced
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import (
    BlockLineage,
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
        BlockLineage(3, 5, tuple(ThreadLineage(n, n, "", "\n") for n in (3, 4, 5))),
        BlockLineage(7, 8, (ThreadLineage(7, 7), ThreadLineage(8, 8))),
    ),
)


def test_every_thread_but_the_first_is_asked_about():
    asked = edit_questions(BlockLeaks.read(markup.parse(TEXT), "the problem"))
    assert [(question.block, question.thread, question.passage) for question in asked] == [
        (0, 1, "second thread, as above"),
        (0, 2, "third thread"),
        (1, 1, "right"),
    ]
    assert asked[0].context == "Before\nit all.\n" and asked[0].problem == "the problem"
    assert asked[2].context == f"Before\nit all.\n{BLOCK}\nbetween\n"


def test_a_thread_is_compared_with_all_its_siblings():
    asked = edit_questions(BlockLeaks.read(markup.parse(markup.write_block(["same", "same", "other"])), ""))
    assert [dict(question.siblings) for question in asked] == [{1: "same", 3: "other"}, {1: "same", 2: "same"}]


def test_only_threads_that_seem_to_depend_on_a_sibling_are_asked_about_when_that_is_wanted():
    text = markup.write_block(["Let $Q_7 = 4913$.", "Nothing is said here.", "Here $Q_7 + 2$ is odd."])
    asked = edit_questions(BlockLeaks.read(markup.parse(text), ""), only_suspected=True)
    assert [question.thread for question in asked] == [2]
    assert asked[0].siblings == {1: "Let $Q_7 = 4913$.", 2: "Nothing is said here."}
    assert edit_questions(BlockLeaks.read(markup.parse(text), "Let $Q_7 = 4913$."), only_suspected=True) == []


def test_answers_change_their_thread_alone_and_are_recorded_with_what_was_left_out():
    trajectory = markup.parse(TEXT)
    asked = edit_questions(BlockLeaks.read(trajectory, ""))
    answers = [(asked[0], [Replacement(", as above", ""), Replacement("nowhere", "x")]), (asked[2], [])]
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
        (question,) = edit_questions(BlockLeaks.read(trajectory, ""))
        text, record = rewriting.apply_answers(trajectory, record, [(question, [Replacement(src, dest)])])
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
    ("answers", "reason", "unread"),
    [
        ([UNREAD] * 3, "not_rewritten", {"unreadable_edits": 3}),
        (
            [Answer([], facts=CALLS), UNREAD, Answer(None, "empty", facts=CALLS, refused=True)],
            "not_rewritten",
            {"unreadable_edits": 1, "empty": 1},
        ),
        ([Answer([], facts=CALLS)] * 3, "nothing_to_change", None),
        (
            [UNREAD, Answer([], facts=CALLS), Answer([Replacement("right", "aright")], facts=CALLS)],
            None,
            {"unreadable_edits": 1},
        ),
    ],
)
def test_replies_that_cannot_be_read_are_not_called_nothing_to_change(answers, reason, unread):
    traced = Traced("0", TEXT, RECORD)
    result = asyncio.run(rewriting.rewrite(traced, Answering(*answers), rewriting.RewriteOptions()))
    assert (result.reason, result.facts["asked"], result.facts.get("unread")) == (reason, 3, unread)
