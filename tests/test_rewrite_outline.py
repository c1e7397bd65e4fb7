"""Rewriting and outlines: which questions are asked, what is shown, and what becomes of the answers."""

from __future__ import annotations

import time

import pytest

from threadweaver import markup, outline, rewrite
from threadweaver.edits import BlockRecord, Record, Replacement, Skipped, ThreadRecord, fingerprint, restore

BLOCK = markup.write_block(["first thread", "second thread, as above", "third thread"])
TEXT = f"Before\nit all.\n{BLOCK}\nbetween\n{markup.write_block(['left', 'right'], ['to the left', 'to the right'], 'so both')}\nAfter"
RECORD = Record(
    0, "set-0", "the problem", "", None, "", 0, 0,
    (BlockRecord(3, 5, tuple(ThreadRecord(n, n, "", "\n") for n in (3, 4, 5))), BlockRecord(7, 8, (ThreadRecord(7, 7), ThreadRecord(8, 8)))),
)  # fmt: skip


def test_every_thread_but_the_first_is_asked_about():
    asked = rewrite.questions(markup.parse(TEXT), "the problem")
    assert [(question.block, question.thread, question.passage) for question in asked] == [
        (0, 1, "second thread, as above"), (0, 2, "third thread"), (1, 1, "right"),
    ]  # fmt: skip
    assert asked[0].context == "Before\nit all.\n" and asked[0].problem == "the problem"
    assert asked[2].context == f"Before\nit all.\n{BLOCK}\nbetween\n"


def test_without_evidence_a_thread_is_held_against_all_its_siblings():
    asked = rewrite.questions(markup.parse(markup.write_block(["same", "same", "other"])), "")
    assert [dict(question.siblings) for question in asked] == [{1: "same", 3: "other"}, {1: "same", 2: "same"}]


def test_with_evidence_it_is_held_against_the_siblings_it_leans_on_and_the_third_against_the_first_too():
    text = markup.write_block(["Let $Q_7 = 4913$.", "Nothing is said here.", "Here $Q_7 + 2$ is odd."])
    asked = rewrite.questions(markup.parse(text), "")
    assert asked[1].siblings == {1: "Let $Q_7 = 4913$."}
    assert [question.thread for question in rewrite.questions(markup.parse(text), "", only_suspected=True)] == [2]
    assert rewrite.questions(markup.parse(text), "Let $Q_7 = 4913$.", only_suspected=True) == []


def test_answers_change_their_thread_alone_and_are_recorded_with_what_was_left_out():
    trajectory = markup.parse(TEXT)
    asked = rewrite.questions(trajectory, "")
    answers = [(asked[0], [Replacement(", as above", ""), Replacement("nowhere", "x")]), (asked[2], [])]
    text, record = rewrite.apply_answers(trajectory, RECORD, answers)
    assert text == TEXT.replace(", as above", "")
    assert record.blocks[0].threads[1].skipped == (Skipped("nowhere", "x", "not_found"),)
    assert [len(thread.edits) for item in record.blocks for thread in item.threads] == [0, 1, 0, 0, 0]
    assert rewrite.edited_characters(record) == len(", as above")


def test_a_second_rewriting_is_undone_after_the_first():
    chain = "one two three four\nfive six seven eight"
    trajectory = markup.parse(markup.write_block(["one two three four", "five six seven eight"]))
    record = Record(0, "u", "", "", None, fingerprint(chain), 0, 0, (BlockRecord(1, 2, (ThreadRecord(1, 1, "", "\n"), ThreadRecord(2, 2))),))
    for src, dest in (("five", "5"), ("5 six", "five and six"), ("eight", "8")):
        (question,) = rewrite.questions(trajectory, "")
        text, record = rewrite.apply_answers(trajectory, record, [(question, [Replacement(src, dest)])])
        trajectory = markup.parse(text)
    assert "2: five and six seven 8\n" in text
    assert restore(trajectory, record) == chain


def test_neither_stage_loses_outlines_or_conclusions_that_are_there():
    trajectory = markup.parse(TEXT)
    text, _ = rewrite.apply_answers(trajectory, RECORD, [])
    assert text == TEXT
    told = outline.insert(trajectory, [["a plan", "b plan", "c plan"], ["to the left", "to the right"]])
    assert "<Conclusion>\nso both\n</Conclusion>" in told and told.endswith("\nAfter")


def test_one_question_a_block_with_what_precedes_it():
    asked = outline.questions(markup.parse(TEXT), "the problem")
    assert [question.threads for question in asked] == [("first thread", "second thread, as above", "third thread"), ("left", "right")]
    assert [question.block for question in asked] == [0, 1]
    assert asked[0].context == "Before\nit all.\n"
    assert [question.context for question in outline.questions(markup.parse(TEXT), "", 1)] == ["it all.\n", "between\n"]


def test_an_outline_is_written_on_one_line():
    text = outline.insert(markup.parse(markup.write_block(["x", "y"])), [[" take\n the first\u2028way ", "b"]])
    assert "<Outline>1: take the first way</Outline>\n<Outline>2: b</Outline>" in text


GOOD = ["Count the pairs directly", "Use the complement: all minus those without a six"]


@pytest.mark.parametrize(
    ("outlines", "says"),
    [(GOOD, None), (["Case p = 2", "Case p = 3"], None), (["n ≡ 0 (mod 3)", "n ≡ 1 (mod 3)"], None), (GOOD[:1], "1 outlines for 2"),
     ([*GOOD, GOOD[0]], "3 outlines for 2"), ([], "0 outlines"), ([GOOD[0], GOOD[0].upper() + "."], "repeats"), ([GOOD[0], ""], "says nothing"),
     ([GOOD[0], " \n"], "says nothing"), ([GOOD[0], "Let <n> be odd"], "holds a tag"), ([GOOD[0], "x" * 601], "601 characters")],
)  # fmt: skip
def test_faults_of_outlines(outlines, says):
    found = outline.fault(outlines, 2)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    "text",
    ["", "…", "...", "Outline", "outline 1", "Thread 2", "Step 3.", "Part (b)", "Case A", "2", "TODO", "tbd", "N/A", "none", "<description>",
     "[your plan here]", "- placeholder -", "Lorem ipsum dolor", "**Approach 1**", "text", "--"],
)  # fmt: skip
def test_placeholders(text):
    assert outline.is_placeholder(text)


@pytest.mark.parametrize("text", ["Case n = 1", "Approach by symmetry", "Step back and count", "x > 0", "None of them is even", "[0, 1) as domain"])
def test_plans_are_no_placeholders(text):
    assert not outline.is_placeholder(text)


@pytest.mark.parametrize("text", ["-" * 5000 + " a plan of it", " " * 5000 + "a plan of it", "<" * 3000 + "a", "(" * 5000 + "outline 1 of it"])
def test_no_outline_takes_long_to_judge(text):
    begun = time.perf_counter()
    outline.is_placeholder(text)
    assert time.perf_counter() - begun < 1
