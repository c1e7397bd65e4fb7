"""Stage 4: one question per block, and what becomes of unacceptable outlines."""

from __future__ import annotations

import asyncio

import pytest

from threadweaver.annotators.protocol import Answer
from threadweaver.runs.runner import Result
from threadweaver.stages import outlining
from threadweaver.stages.traced import Traced
from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import BlockLineage, Lineage, ThreadLineage, fingerprint, restore
from threadweaver.trajectory.questions import OutlineQuestion

BLOCK = markup.write_block(["first thread", "second thread, as above", "third thread"])
TEXT = f"Before\nit all.\n{BLOCK}\nbetween\n{markup.write_block(['left', 'right'], ['to the left', 'to the right'], 'so both')}\nAfter"


def test_one_question_per_block_with_the_text_before_it():
    asked = outlining.outline_questions(markup.parse(TEXT), None)
    assert [question.threads for question in asked] == [
        ("first thread", "second thread, as above", "third thread"),
        ("left", "right"),
    ]
    assert [question.block for question in asked] == [0, 1]
    assert asked[0].context == "Before\nit all.\n"
    assert [question.context for question in outlining.outline_questions(markup.parse(TEXT), None, 1)] == [
        "it all.\n",
        "between\n",
    ]


def test_the_outlines_of_a_long_block_come_in_portions_and_are_checked_together():
    threads = [f"Take the value {number} and see." for number in range(1, 14)]
    sample = Traced("0", markup.write_block(threads), None)
    plans = [f"Try the prime in place {number}" for number in range(1, 14)]
    result = outlined(plans, sample=sample)
    trajectory = markup.parse(result.files["0.txt"])
    assert [item.body for item in trajectory.blocks[0].outlines] == plans
    assert result.facts["blocks"] == 1
    repeated = outlined([*plans[:-1], plans[0]], sample=sample)
    assert (repeated.reason, repeated.facts["error"]) == ("poor_outlines", "block 1: outline 13 repeats outline 1")


def test_an_outline_is_written_on_one_line():
    text = outlining.insert_outlines(
        markup.parse(markup.write_block(["x", "y"])), [[" take\n the first\u2028way ", "b"]]
    )
    assert "<Outline>1: take the first way</Outline>\n<Outline>2: b</Outline>" in text


LONG = "we go on for a while and look at what there is, step by step. " * 5
CHAIN = f"Two cases.\nCase r = 0. {LONG}So n = 64.\nCase r = 1. {LONG}So n = 65.\nThird.\nLet it be. {LONG}\nOr not. {LONG}\nDone."


def extracted() -> Traced:
    """A chain with two blocks, as stage 3 leaves it."""
    parts = CHAIN.split("\n")
    blocks = [
        BlockLineage(2, 3, (ThreadLineage(2, 2, "", "\n"), ThreadLineage(3, 3))),
        BlockLineage(5, 6, (ThreadLineage(5, 5, "", " \n"), ThreadLineage(6, 6, "", " "))),
    ]
    text = "\n".join(
        [
            parts[0],
            markup.write_block(parts[1:3]),
            parts[3],
            markup.write_block([part.strip() for part in parts[4:6]]),
            parts[6],
        ]
    )
    return Traced("0", text, Lineage(0, "set-0", "Find n.", "", None, fingerprint(CHAIN), len(CHAIN), 7, tuple(blocks)))


class Scripted:
    """An annotator that gives these answers, block by block."""

    def __init__(self, *answers):
        self.answers = answers

    async def outlines(self, question: OutlineQuestion) -> Answer:
        answer = self.answers[question.block]
        if isinstance(answer, Answer):
            return answer
        first, last = question.asked[0], question.asked[-1]
        return Answer(answer[first - 1 : last])


PLANS = ["Take the case r = 0", "Take the case r = 1"]
OTHERS = ["Let it be", "Let it not be"]
TELLING = ["Take the case r = 0 and find n = 64", "Take the case r = 1"]


def outlined(*answers, sample: Traced | None = None, keep_telling: bool = False) -> Result:
    options = outlining.OutlineOptions(keep_telling=keep_telling)
    return asyncio.run(outlining.outline(sample or extracted(), Scripted(*answers), options))


def whole(result: Result) -> tuple[markup.Trajectory, Lineage]:
    """Return the trajectory and its lineage, after restoring the chain from them."""
    trajectory, record = markup.parse(result.files["0.txt"][:-1]), Lineage.from_json(result.files["trace/0.json"])
    assert restore(trajectory, record) == CHAIN
    return trajectory, record


def test_sound_outlines_are_written_and_nothing_is_counted():
    result = outlined(PLANS, OTHERS)
    trajectory, record = whole(result)
    assert [[item.body for item in block.outlines] for block in trajectory.blocks] == [PLANS, OTHERS]
    assert (result.outcome, result.facts["outline_faults"], record.notes, record.unused) == ("ok", {}, (), ())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (TELLING, "gives_result"),
        (["Take r = 0", ""], "empty"),
        (["Case 1", "Take r = 1"], "placeholder"),
        (["Take it", "take it."], "repeats_sibling"),
        (PLANS[:1], "count"),
        (Answer(None, "unreadable_outlines", facts={"error": "no numbered line"}, refused=True), "unreadable_outlines"),
        (Answer(None, "truncated", refused=True), "truncated"),
    ],
)
def test_a_block_without_acceptable_outlines_becomes_sequential_and_the_others_stay(answer, code):
    result = outlined(answer, OTHERS)
    trajectory, record = whole(result)
    assert [[item.body for item in block.outlines] for block in trajectory.blocks] == [OTHERS]
    assert [(item.number, item.code) for item in record.unused] == [(1, code)] and record.notes[0]["code"] == code
    assert (result.facts["blocks"], result.facts["unused"], result.facts["outline_faults"]) == (1, [code], {})


def test_wording_that_points_at_a_sibling_stays_and_is_counted():
    result = outlined(PLANS, ["Let it be", "Do as in outline 1, the other way"])
    trajectory, record = whole(result)
    assert (
        len(trajectory.blocks) == 2
        and result.facts["outline_faults"] == {"leans_on_sibling": 1}
        and record.unused == ()
    )


def test_results_given_away_can_be_kept_and_are_counted():
    result = outlined(TELLING, OTHERS, keep_telling=True)
    assert len(whole(result)[0].blocks) == 2 and result.facts["outline_faults"] == {"gives_result": 1}


def test_a_call_without_a_reply_fails_the_sample_so_that_it_is_asked_again():
    result = outlined(Answer(None, "server_fault"), OTHERS)
    assert (result.outcome, result.reason, dict(result.files)) == ("failed", "server_fault", {})


def test_without_a_lineage_a_block_that_gives_results_away_stays_and_one_without_outlines_fails():
    bare = Traced("0", extracted().text, None)
    assert outlined(TELLING, OTHERS, sample=bare).facts["outline_faults"] == {"gives_result": 1}
    assert outlined(PLANS[:1], OTHERS, sample=bare).reason == "poor_outlines"


def test_a_sample_that_loses_its_last_block_is_reported():
    result = outlined(TELLING, ["", ""])
    assert (result.outcome, result.reason) == ("unchanged", "no_block") and whole(result)[0].text == CHAIN
