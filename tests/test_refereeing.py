"""The referee: what its reply must hold, and what becomes of its findings."""

from __future__ import annotations

import asyncio
import json

import pytest

from threadweaver.annotators.llm.refereeing import validate_findings
from threadweaver.annotators.protocol import Answer
from threadweaver.errors import SampleFault
from threadweaver.files import digest
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Task, read_task
from threadweaver.stages import refereeing
from threadweaver.stages.traced import Traced
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import BlockLineage, Lineage, ThreadLineage
from threadweaver.trajectory.findings import BlockFindings, Taken, ThreadFindings
from threadweaver.trajectory.questions import RefereeQuestion

THREADS = (r"With $k<5$ we get $\frac{1}{2}$.", "So with $k<5$\nthere are two.")
QUESTION = RefereeQuestion(0, "p", "c", THREADS, ("plan a", "plan b"))
FREE = {"takes": [], "work": "new", "outline": "good"}
TAKEN = {"sibling": 1, "quote": "with $k<5$ there", "rests_on": "With $k<5$", "wording": False}


def reply(*threads: dict, **block) -> str:
    numbered = [{"thread": number, **thread} for number, thread in enumerate(threads, 1)]
    independent = not any(taken.get("wording") is not True for thread in threads for taken in thread["takes"])
    whole = {"threads": numbered, "sensible": True, "worth": "high", "independent": independent}
    return json.dumps({**whole, **block})


def test_findings_are_read_with_their_quotes():
    found = validate_findings(QUESTION, reply(FREE, {**FREE, "takes": [TAKEN]}), "")
    assert not found.faults
    assert found.value.dependence == (2, Taken(1, "with $k<5$ there", "With $k<5$"))
    assert not found.value.independent and found.value.worth == "high"
    assert BlockFindings.from_json(json.loads(json.dumps(found.value.to_json()))) == found.value


@pytest.mark.parametrize("typed", [r"$\frac{1}{2}$", r"$\\frac{1}{2}$"], ids=["single", "doubled"])
def test_mathematics_is_quoted_with_single_or_doubled_backslashes(typed):
    taken = f'{{"sibling": 1, "quote": "two", "rests_on": "{typed}", "wording": false}}'
    text = (
        reply(FREE, FREE, independent=False)
        .replace('"takes": []', f'"takes": [{taken}]')
        .replace(f'"takes": [{taken}]', '"takes": []', 1)
    )
    found = validate_findings(QUESTION, f"Here it is:\n```json\n{text}\n```", "")
    assert not found.faults and found.value.threads[1].takes[0].rests_on == r"$\frac{1}{2}$"


def test_wording_alone_leaves_a_block_independent():
    found = validate_findings(QUESTION, reply(FREE, {**FREE, "takes": [{**TAKEN, "wording": True}]}), "")
    assert not found.faults and found.value.independent


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no object", "unreadable_findings"),
        (reply(FREE), "unreadable_findings"),
        (reply(FREE, {**FREE, "work": "old"}), "unreadable_findings"),
        (reply(FREE, FREE, sensible="yes"), "unreadable_findings"),
        (reply(FREE, FREE, worth="much"), "unreadable_findings"),
        (reply(FREE, FREE).replace("[]", '"nothing"'), "unreadable_findings"),
        ("[" * 20_000, "unreadable_findings"),
    ],
)
def test_a_reply_that_lacks_something_is_asked_for_again(text, code):
    found = validate_findings(QUESTION, text, "")
    assert found.value is None and [fault.code for fault in found.faults] == [code]


@pytest.mark.parametrize(
    ("taken", "says"),
    [
        ({**TAKEN, "quote": "nowhere"}, "'nowhere' does not occur in this thread"),
        ({**TAKEN, "rests_on": "nowhere"}, "'nowhere' does not occur in thread 1"),
        ({**TAKEN, "sibling": 2}, "not the number of a sibling"),
        ({**TAKEN, "sibling": True}, "not the number of a sibling"),
        ({"sibling": 1}, '"quote"'),
        ("k < 5", '"quote"'),
    ],
)
def test_what_cannot_be_shown_is_asked_for_again_and_then_left_out(taken, says):
    shown = {"wording": False, **taken} if isinstance(taken, dict) else taken
    text = reply(FREE, FREE, independent=True).replace('"takes": []', f'"takes": [{json.dumps(shown)}]')
    text = text.replace(f'"takes": [{json.dumps(shown)}]', '"takes": []', 1)
    found = validate_findings(QUESTION, text, "")
    assert found.value.threads[1].takes == () and found.value.independent
    assert [fault.code for fault in found.faults] == ["finding_not_shown"] and says in found.faults[0].sentence


def test_a_verdict_against_its_own_findings_is_asked_for_again():
    found = validate_findings(QUESTION, reply(FREE, {**FREE, "takes": [TAKEN]}, independent=True), "")
    assert [fault.code for fault in found.faults] == ["verdict_against_findings"] and not found.value.independent


# ---- in a run

CHAIN = "It begins.\none is here\ntwo is here\nthree\nfour"
BLOCKS = (
    BlockLineage(2, 3, (ThreadLineage(2, 2, "", "\n"), ThreadLineage(3, 3, "", ""))),
    BlockLineage(4, 5, (ThreadLineage(4, 4, "", "\n"), ThreadLineage(5, 5, "", ""))),
)
TEXT = (
    f"It begins.\n{markup.write_block(['one is here', 'two is here'], ['a plan', 'b plan'])}\n"
    f"{markup.write_block(['three', 'four'], ['c plan', 'd plan'])}"
)
LINEAGE = Lineage(0, "set-0", "the problem", "", None, edits.fingerprint(CHAIN), len(CHAIN), 5, BLOCKS)
TRACED = Traced("0", TEXT, LINEAGE)
NOTHING = ThreadFindings((), "new", "good")
LEANS = ThreadFindings((Taken(1, "two", "one"),), "new", "good")
GOOD, BAD = BlockFindings((NOTHING, NOTHING), True, "high"), BlockFindings((NOTHING, LEANS), True, "some")


class Judging:
    """A referee that answers from a list."""

    def __init__(self, *answers: Answer):
        self.answers, self.asked = list(answers), []

    async def findings(self, question: RefereeQuestion) -> Answer:
        self.asked.append(question)
        return self.answers[question.block]


def judge(*answers: Answer):
    referee = Judging(*answers)
    return referee, asyncio.run(refereeing.judge(TRACED, referee))


def test_every_block_is_judged_with_all_that_precedes_it():
    referee, result = judge(Answer(GOOD), Answer(BAD))
    assert [question.threads for question in referee.asked] == [("one is here", "two is here"), ("three", "four")]
    assert (
        referee.asked[1].context == TEXT[: TEXT.index("<Parallel>", 20)] and referee.asked[0].problem == "the problem"
    )
    assert referee.asked[0].outlines == ("a plan", "b plan")
    counted = {name: result.facts[name] for name in ("blocks", "judged", "independent", "high_worth")}
    assert counted == {"blocks": 2, "judged": 2, "independent": 1, "high_worth": 1}


def test_a_block_whose_reply_was_refused_stays_unjudged_and_a_lost_call_fails_the_sample():
    _, result = judge(Answer(GOOD), Answer(None, "unreadable_findings", refused=True))
    assert result.outcome == "ok" and result.facts["judged"] == 1
    assert json.loads(result.files["0.json"])["blocks"][1] is None
    _, result = judge(Answer(GOOD), Answer(None, "timeout"))
    assert (result.outcome, result.reason) == ("failed", "timeout")


def test_a_dependent_block_becomes_sequential_again_and_the_chain_is_kept():
    after = refereeing.with_findings(TRACED, [BAD, GOOD])
    assert after.text.startswith("It begins.\none is here\ntwo is here\n<Parallel>")
    assert edits.restore(markup.parse(after.text), after.lineage) == CHAIN
    assert after.lineage.unused[-1].code == "referee" and "'two' from thread 1" in after.lineage.unused[-1].detail
    assert [note["independent"] for note in after.lineage.notes] == [False, True]


def findings(tmp_path, text: str, *blocks: BlockFindings) -> Given:
    content = {"text": digest(text), "blocks": [block.to_json() for block in blocks]}
    (tmp_path / "0.json").write_text(json.dumps(content))
    return Given.open(tmp_path)


def refereed(given: Given) -> Task:
    (place,) = refereeing.refereed_places([Task("0", "source", TRACED, "set-0")], given)
    task = read_task(place, refereeing.RefereedReader(lambda read: read, given.files))
    return task


def test_findings_are_part_of_what_stage_5_reads(tmp_path):
    task = refereed(findings(tmp_path, TEXT, GOOD, BAD))
    assert task.source != "source" and len(task.payload.lineage.blocks) == 1
    (tmp_path / "0.json").unlink()
    assert refereed(Given.open(tmp_path)).payload == TRACED


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"text": 1, "blocks": [{"threads": 1}]}', "[" * 5000])
def test_damaged_findings_fail_their_sample(tmp_path, damage):
    (tmp_path / "0.json").write_text(damage)
    assert refereed(Given.open(tmp_path)).fault.reason == "damaged_findings"


def test_findings_about_another_text_fail_their_sample(tmp_path):
    fault = refereed(findings(tmp_path, TEXT + " ", GOOD, BAD)).fault
    assert isinstance(fault, SampleFault) and fault.reason == "findings_of_another_text"
