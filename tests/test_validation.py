"""Validation: faults of a reply are reported in sentences, and none is accepted silently."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.annotators.llm import validation
from threadweaver.outlines.checks import CODES
from threadweaver.outlines.parse import UnreadableOutlines, parse_outlines
from threadweaver.samples import Sample
from threadweaver.trajectory import annotation
from threadweaver.trajectory.edits import Replacement
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion

ROOT = Path(__file__).parents[1]

CHAIN = [f"line {number}" for number in range(1, 31)]
GOOD = """S1: reads (L1-L4)
<parallel>[Parallel reason: two cases]
<thread>
S2: even (L5-L9)
</thread> (range: L5-L9, check passed: uses L2 alone)
<thread>
S3: odd (L10-L20)
</thread> (range: L10-L20, check passed: uses L2 alone)
</parallel> (range: L5-L20)
S4: adds up (L21-L30)"""


def chains(count: int) -> list[Sample]:
    with open(ROOT / "data/sample/chains.jsonl", encoding="utf-8", newline="") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(count), strict=False)]
    return [Sample(at, row["uuid"], row["problem"], row["thinking"]) for at, row in enumerate(rows)]


def test_a_good_outline_is_accepted_and_ends_with_a_newline():
    assert validation.validate_annotation(CHAIN, GOOD, "") == validation.Validation(GOOD + "\n")


@pytest.mark.parametrize(
    ("old", "new", "code", "sentence"),
    [
        (
            "(range: L10-L20, check",
            "(range: L12-L20, check",
            "gap",
            "Block 1 (L5-L20), thread 1: no thread covers L10-L11.",
        ),
        ("(range: L10-L20, check", "(range: L8-L20, check", "overlap", "Block 1 (L5-L20), thread 1: L5-L9 and L8-L20."),
        ("L10-L20, check", "L90-L95, check", "out_of_file", "thread 2: L90-L95 of a chain of 30 lines."),
        (
            "(range: L10-L20, check passed: uses L2 alone)",
            "(range: L10-L20)",
            "missing_check",
            "Block 1 (L5-L20), thread 2",
        ),
        ("</parallel> (range: L5-L20)", "", "unbalanced_tag", "Block 1 (L5-L20): a <parallel> is never closed."),
        (
            "<thread>\nS3: odd (L10-L20)\n</thread> (range: L10-L20, check passed: uses L2 alone)\n",
            "",
            "single_thread",
            "Block 1 (L5-L9): 1 thread(s).",
        ),
    ],
)
def test_every_defect_is_one_sentence_that_names_its_place(old, new, code, sentence):
    assert old in GOOD
    text = GOOD.replace(old, new)
    found = validation.validate_annotation(CHAIN, text, "")
    assert found.value, "the extraction fixes it, or leaves the block sequential"
    fault = next(fault for fault in found.faults if fault.code == code)
    assert sentence in fault.sentence and fault.sentence in validation.listed(found.faults)


def test_every_code_of_the_annotation_has_its_advice():
    assert set(validation._ADVICE) == set(annotation.Code) - {annotation.Code.CHECK_FAILED}


def test_a_failed_check_is_an_answer_and_not_a_fault():
    failed = GOOD.replace("L10-L20, check passed: uses L2 alone", "L10-L20, check failed: takes k from L7")
    assert validation.validate_annotation(CHAIN, failed, "").faults == ()


@pytest.mark.parametrize("text", ["I see no steps here.", "<parallel>\n</parallel>", "```\n```", "[]"])
def test_an_outline_without_steps_is_unreadable(text):
    found = validation.validate_annotation(CHAIN, text, "")
    assert found.value is None and found.faults[0].code == "unreadable_annotation"
    assert json.dumps(text) in found.faults[0].sentence, "it is quoted"


def test_an_outline_in_a_fence_with_prose_around_it_is_read():
    assert validation.validate_annotation(CHAIN, f"Sure:\n```\n{GOOD}\n```\nDone.", "").faults == ()


def test_blocks_that_the_check_drops_silently_are_asked_for():
    bare = "S1: reads (L1-L30)"
    assert validation.validate_annotation(CHAIN, bare, bare).faults == ()
    assert [fault.code for fault in validation.validate_annotation(CHAIN, bare, GOOD).faults] == ["blocks_lost"]


PASSAGE = r"Similarly, for the other root we get $\frac{1}{2} \times \beta \neq \nu$ and so on. We are done, we think."
EDITS = EditQuestion(0, "p", "c", ("sibling", PASSAGE), (1, 2), ("", ""))


@pytest.mark.parametrize(
    "reply",
    [
        r'{"2": [{"src": "$\\frac{1}{2} \\times \\beta \\neq \\nu$", "dest": "$\\theta \\times \\nabla$"}]}',
        r'{"2": [{"src": "$\frac{1}{2} \times \beta \neq \nu$", "dest": "$\theta \times \nabla$"}]}',
        'Here it is:\n```json\n{"2": [{"src": "$\\frac{1}{2} \\times \\beta \\neq \\nu$", "dest": "$\\theta \\times \\nabla$"}]}\n```\nBye [x].',
    ],
)
def test_raw_and_escaped_latex_come_through_as_typed(reply):
    wanted = {2: [Replacement(r"$\frac{1}{2} \times \beta \neq \nu$", r"$\theta \times \nabla$")]}
    assert validation.validate_edits(EDITS, reply, "") == validation.Validation(wanted)


@pytest.mark.parametrize(
    "reply", ["Nothing to change.", '{"2": [{"src": "Sim', '["a"]', '{"2": [{"src": 1, "dest": "x"}]}', "null"]
)
def test_a_reply_without_the_object_is_unreadable_and_does_not_mean_no_change(reply):
    found = validation.validate_edits(EDITS, reply, "")
    assert found.value is None and found.faults[0].code == "unreadable_edits"
    assert json.dumps(reply) in found.faults[0].sentence


@pytest.mark.parametrize("reply", ["{}", "[]", '{"1": [], "2": []}'])
def test_an_empty_object_means_nothing_to_change(reply):
    assert validation.validate_edits(EDITS, reply, "") == validation.Validation({})


def test_faults_name_their_thread_and_leave_the_others_alone():
    reply = {
        "2": [{"src": "Likewise, for", "dest": "For"}],
        "1": [{"src": "sibling", "dest": "brother"}],
        "7": [{"src": "a", "dest": ""}],
    }
    found = validation.validate_edits(EDITS, json.dumps(reply), "")
    assert found.value == {2: [Replacement("Likewise, for", "For")], 1: [Replacement("sibling", "brother")]}
    assert [fault.code for fault in found.faults] == ["unreadable_edits", "not_found"]
    assert found.faults[0].sentence.startswith(
        "Thread 7: it is not one of the threads asked for (1, 2). Write one JSON"
    )
    assert found.faults[1].sentence.startswith('Thread 2: The src "Likewise, for" does not occur')


@pytest.mark.parametrize(
    ("src", "dest", "code", "sentence"),
    [
        ("Likewise, for", "For", "not_found", '"Likewise, for" does not occur'),
        ("ther", "X", "not_found", '"ther" does not occur in this thread, or only inside a word'),
        ("we", "one", "ambiguous", '"we" occurs more than once'),
        ("", "x", "empty_src", "empty src"),
        ("Similarly,", "<Thread>", "tag_in_dest", "holds a tag"),
        (PASSAGE, "ok", "shrinks_thread", "less than half"),
    ],
)
def test_a_replacement_that_cannot_be_applied_is_reported_with_its_quote(src, dest, code, sentence):
    found = validation.validate_edits(EDITS, json.dumps({"2": [{"src": src, "dest": dest}]}), "")
    assert found.value == {2: [Replacement(src, dest)]}
    assert [fault.code for fault in found.faults] == [code]
    assert sentence in found.faults[0].sentence


@pytest.mark.parametrize(
    "reply",
    [
        "1: Count $\\frac{a}{b}$\n2: Try it",
        "Here they are.\n\n1: Count $\\frac{a}{b}$\n2: Try it\n\nTell me if you need more.",
        "```\n1: Count $\\frac{a}{b}$\n2: Try it\n```",
        "- **1:** Count $\\frac{a}{b}$\n- **2:** Try it",
        "**1**: Count $\\frac{a}{b}$\n**2: Try it**",
        "1. Count\n$\\frac{a}{b}$\n\n2) Try it",
        "<Outlines>\n<Outline>1: Count $\\frac{a}{b}$</Outline>\n<Outline>2: Try it</Outline>\n</Outlines>",
        '["Count $\\\\frac{a}{b}$", "2: Try it"]',
    ],
)
def test_outlines_are_read_from_numbered_lines_whatever_surrounds_them(reply):
    assert parse_outlines(reply, [1, 2]) == ["Count $\\frac{a}{b}$", "Try it"]


def test_a_line_of_blanks_is_read_quickly():
    begun = time.process_time()
    with pytest.raises(UnreadableOutlines):
        parse_outlines("1" + " " * 200_000 + "\n" + " " * 200_000 + "x", [1])
    assert time.process_time() - begun < 2


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n\r<>*", exclude_categories=["Cs"]), min_size=1).filter(str.strip),
        min_size=1,
        max_size=9,
    )
)
def test_numbered_outlines_come_through_as_typed(texts):
    reply = "\n".join(f"{number}: {text}" for number, text in enumerate(texts, 1))
    assert parse_outlines(reply, range(1, len(texts) + 1)) == [text.strip() for text in texts]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ("1: a", "Outline 2 of 2 is missing"),
        (": a\n2: b", "Outline 1 of 2 is missing"),
        ("1: a\n2: b\n3: c", "Outline 3 was not asked for"),
        ("1: a\n2: b\n1: c", "Outline 1 is there 2 times"),
        ("2: a\n1: b", "in the order 2, 1"),
        ("no", "no numbered line"),
        ("[1, 2]", "no numbered line"),
    ],
)
def test_a_wrong_count_is_reported(reply, sentence):
    with pytest.raises(UnreadableOutlines, match=sentence):
        parse_outlines(reply, [1, 2])


def block(*threads: str) -> OutlineQuestion:
    return OutlineQuestion(
        0, "Roots of $x^2 - 5x + 6$ for n = 12.", "Two cases.", threads, tuple(range(1, len(threads) + 1))
    )


@pytest.mark.parametrize(
    ("poor", "code", "sentence"),
    [
        ("1: Case 1\n2: Try the odd case", "placeholder", "Outline 1 says nothing ('Case 1')"),
        ("1: same $p=2$\n2: Same p = 2.", "repeats_sibling", "Outline 2 repeats outline 1"),
        ("1: a <b>\n2: c d", "holds_tag", "Outline 1 holds a tag"),
        ("1: ...\n2: c d", "placeholder", "Outline 1 says nothing"),
        ("1:\n2: c d", "empty", "Outline 1 says nothing"),
        ("1: count them", "count", "Outline 2 of 2 is missing"),
        ("I would rather not.", "unreadable_outlines", "no numbered line"),
    ],
)
def test_outlines_that_announce_nothing_fail_with_their_code(poor, code, sentence):
    found = validation.validate_outlines(block("x", "y"), poor, "")
    assert found.value is None and found.faults[0].code == code
    assert sentence in found.faults[0].sentence


def test_an_outline_that_gives_away_a_result_is_asked_for_again_and_then_left_to_the_stage():
    thread = "Case k = 4. " + "We go through the factors one by one. " * 8 + "So the sum is 137."
    found = validation.validate_outlines(block(thread, "other"), "1: Find that the sum is 137\n2: Work on the rest", "")
    assert found.value == ["Find that the sum is 137", "Work on the rest"]
    [fault] = found.faults
    assert fault.code == "gives_result" and fault.sentence.startswith("Outline 1 tells ") and "137" in fault.sentence
    assert fault.sentence.endswith(", which only its thread works out: announce what is done, not what comes of it.")


def test_an_outline_that_points_at_a_sibling_is_reported():
    found = validation.validate_outlines(block("x", "y"), "1: Solve for a\n2: Use the result of the first case", "")
    assert found.value and found.faults[0].code == "leans_on_sibling"


def test_every_fault_of_outlines_has_its_advice():
    assert set(validation._OUTLINE_ADVICE) == set(CODES)
