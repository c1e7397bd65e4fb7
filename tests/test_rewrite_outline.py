"""Rewriting and outlines: which questions are asked, what is shown, and what becomes of the answers."""

from __future__ import annotations

import asyncio
import time

import pytest

from project import ROOT
from threadweaver.annotators.protocol import Answer
from threadweaver.outlines.checks import OutlineFault, check_outlines, describe_unfit, is_placeholder
from threadweaver.outlines.giveaways import given_away
from threadweaver.runs.runner import Result
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
from threadweaver.trajectory.questions import OutlineQuestion

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


def test_without_evidence_a_thread_is_held_against_all_its_siblings():
    asked = edit_questions(BlockLeaks.read(markup.parse(markup.write_block(["same", "same", "other"])), ""))
    assert [dict(question.siblings) for question in asked] == [{1: "same", 3: "other"}, {1: "same", 2: "same"}]


def test_with_evidence_it_is_held_against_the_siblings_it_leans_on_and_the_third_against_the_first_too():
    text = markup.write_block(["Let $Q_7 = 4913$.", "Nothing is said here.", "Here $Q_7 + 2$ is odd."])
    asked = edit_questions(BlockLeaks.read(markup.parse(text), ""))
    assert asked[1].siblings == {1: "Let $Q_7 = 4913$."}
    assert [
        question.thread for question in edit_questions(BlockLeaks.read(markup.parse(text), ""), only_suspected=True)
    ] == [2]
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


def test_neither_stage_loses_outlines_or_conclusions_that_are_there():
    trajectory = markup.parse(TEXT)
    text, _ = rewriting.apply_answers(trajectory, RECORD, [])
    assert text == TEXT
    told = outlining.insert_outlines(trajectory, [["a plan", "b plan", "c plan"], ["to the left", "to the right"]])
    assert "<Conclusion>\nso both\n</Conclusion>" in told and told.endswith("\nAfter")


def test_one_question_a_block_with_what_precedes_it():
    asked = outlining.outline_questions(markup.parse(TEXT), "the problem")
    assert [question.threads for question in asked] == [
        ("first thread", "second thread, as above", "third thread"),
        ("left", "right"),
    ]
    assert [question.block for question in asked] == [0, 1]
    assert asked[0].context == "Before\nit all.\n"
    assert [question.context for question in outlining.outline_questions(markup.parse(TEXT), "", 1)] == [
        "it all.\n",
        "between\n",
    ]


def test_an_outline_is_written_on_one_line():
    text = outlining.insert_outlines(
        markup.parse(markup.write_block(["x", "y"])), [[" take\n the first\u2028way ", "b"]]
    )
    assert "<Outline>1: take the first way</Outline>\n<Outline>2: b</Outline>" in text


GOOD = ["Count the pairs directly", "Use the complement: all minus those without a six"]


@pytest.mark.parametrize(
    ("outlines", "says"),
    [
        (GOOD, None),
        (["Case p = 2", "Case p = 3"], None),
        (["n ≡ 0 (mod 3)", "n ≡ 1 (mod 3)"], None),
        (GOOD[:1], "1 outlines for 2"),
        ([*GOOD, GOOD[0]], "3 outlines for 2"),
        ([], "0 outlines"),
        ([GOOD[0], GOOD[0].upper() + "."], "outline 2 repeats outline 1"),
        (["Case $p=2$", "case p = 2."], "repeats"),
        (["Show x ≤ 3", "Show x ≥ 3"], None),
        (["Add 1.5", "Add 15"], None),
        ([GOOD[0], ""], "says nothing"),
        ([GOOD[0], " \n"], "says nothing"),
        ([GOOD[0], "Let <n> be odd"], "holds a tag"),
        ([GOOD[0], "x" * 601], "601 characters"),
    ],
)
def test_faults_of_outlines(outlines, says):
    found = describe_unfit(outlines, 2)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "…",
        "...",
        "Outline",
        "outline 1",
        "Thread 2",
        "Step 3.",
        "Part (b)",
        "Case A",
        "2",
        "TODO",
        "tbd",
        "N/A",
        "none",
        "<description>",
        "[your plan here]",
        "- placeholder -",
        "Lorem ipsum dolor",
        "**Approach 1**",
        "text",
        "--",
    ],
)
def test_placeholders(text):
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["Case n = 1", "Approach by symmetry", "Step back and count", "x > 0", "None of them is even", "[0, 1) as domain"],
)
def test_plans_are_no_placeholders(text):
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["-" * 5000 + " a plan of it", " " * 5000 + "a plan of it", "<" * 3000 + "a", "(" * 5000 + "outline 1 of it"],
)
def test_no_outline_takes_long_to_judge(text):
    begun = time.perf_counter()
    is_placeholder(text)
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(
    "piece", ["{", "\\frac{", "\\sqrt(", "1,", "_{", "\\(", "$", " ", "=", "9", "1/", "x=", "\\pmod{", "1,000"]
)
def test_no_thread_takes_long_to_be_held_against_its_outline(piece):
    hostile = piece * (20_000 // len(piece))
    begun = time.perf_counter()
    check_outlines([hostile[:500] + " a", "Count"], OutlineQuestion(0, hostile, hostile, (hostile, hostile)))
    assert time.perf_counter() - begun < 30  # quadratic time would be minutes


# what an outline gives away

OPENED = "Case k = 4. " + "We go through the factors one after the other and look at each. " * 4
THREAD = OPENED + (
    r"So x = 7, and 12 of them give 137, or 1024; $r+s$ and $q=\frac{2}{3}\,p$. The chance is $\frac{3}{8}$, the root "
    r"\sqrt{29}. Then f(3) = 19 and the area $= 3x^2+2x+1$. Hence $N \equiv 3 \pmod 7$ and q ≥ 4. We have 5 ways."
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Find that the sum is 137", ["137"]),
        ("Reach 1,024 in the end", ["1024"]),
        ("Reach 1{,}024", ["1024"]),
        ("Show x = 7", ["x = 7"]),
        (r"Show \(x=7\)", ["x=7"]),
        ("Count until one gets 5", ["5"]),
        ("Find f(3) = 19", ["f(3) = 19"]),
        (r"Use $q  = \dfrac{2}{3} p$ throughout", [r"q  = \dfrac{2}{3} p"]),
        (r"Find the chance $\tfrac38$", ["3/8"]),
        ("Find the chance 3/8", ["3/8"]),
        ("Find the chance 6/16", ["6/16"]),
        ("Find the chance 0.375", ["0.375"]),
        ("Measure the root √29", ["√29"]),
        (r"Expand to $3x^{2} + 2x + 1$", ["3x^2 + 2x + 1"]),
        ("Expand to 3x²+2x+1", ["3x^2+2x+1"]),
        (r"Show that $N\equiv 3\pmod{7}$", [r"N\equiv 3\pmod{7}"]),
        ("Try the second factor, which fails", ["which fails"]),
        # plans
        ("Try the 7 smallest", []),
        ("Treat k = 4 with n = 12", []),
        ("Use 999 points", []),
        ("Find f(3)", []),
        ("Test whether it works", []),
        ("Factor $r + s$ and hold it against $n = 12$", []),
        (r"Use $q \ge 4$ to bound the factors", []),
        ("Expand the square", []),
    ],
)
def test_mathematics_that_only_the_thread_works_out_is_a_result_in_any_notation(text, told):
    """A notation that is not read would let a result pass; a case or a known number that is taken for one would cost a block."""
    found = given_away(text, THREAD, "n = 12")
    assert len(found) == len(told) and all(piece in found[0] for piece in told)
    if told != ["which fails"]:
        assert given_away(text, THREAD, f"n = 12. {THREAD}") == [], "what stood before the block is no result"


def question(*threads: str, context: str = "Both cases start from n = 2k + r.") -> OutlineQuestion:
    return OutlineQuestion(0, "", context, threads)


def test_the_form_that_the_readme_shows_has_no_fault():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("### A trajectory") :].split("```")[1].strip("\n")
    trajectory = markup.parse(shown)
    [asked] = outlining.outline_questions(trajectory, "")
    assert check_outlines([item.body for item in trajectory.blocks[0].outlines], asked) == []


def test_faults_are_typed_and_the_unfit_ones_come_alone():
    telling = question("With r = 0 " + "we go on " * 30 + "so n = 64.", "With r = 1 " + "we go on " * 30 + "so n = 65.")
    codes = lambda *outlines: [(fault.code, fault.number) for fault in check_outlines(outlines, telling)]  # noqa: E731
    assert codes("Find n = 64", "Find n = 65") == [("gives_result", 1), ("gives_result", 2)]
    assert codes("Find n = 64", "") == [("empty", 2)]
    assert codes("Find n = 64") == [("count", None)]
    assert codes("Case r = 0", "As in outline 1, for r = 1") == [("leans_on_sibling", 2)]


def test_mathematics_of_a_sibling_that_its_own_thread_does_not_hold_is_a_lean():
    asked = question("Let $Q_7 = 4913$ be the count.", "The other count is even.", context="Two counts.")
    assert check_outlines(["Count the first kind", "Use $Q_7$ for the second kind"], asked) == [
        OutlineFault("leans_on_sibling", 2, "uses Q_7, which only thread 1 introduces")
    ]
    assert check_outlines(["Count the first kind", "Count the second kind"], asked) == []


def test_what_is_not_shown_is_still_known():
    """With few lines of context shown, a number further up is no result."""
    text = f"The total is 4913.\nSo much for that.\n{markup.write_block([OPENED + 'again 4913', OPENED + 'and more'])}"
    [asked] = outlining.outline_questions(markup.parse(text), "", 1)
    assert asked.context == "So much for that.\n"
    assert check_outlines(["Hold it against 4913", "Go on"], asked) == []


# stage 4: what becomes of outlines that are not as they should be

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
        return answer if isinstance(answer, Answer) else Answer(answer)


PLANS = ["Take the case r = 0", "Take the case r = 1"]
OTHERS = ["Let it be", "Let it not be"]
TELLING = ["Take the case r = 0 and find n = 64", "Take the case r = 1"]


def outlined(*answers, sample: Traced | None = None, keep_telling: bool = False) -> Result:
    options = outlining.OutlineOptions(keep_telling=keep_telling)
    return asyncio.run(outlining.outline(sample or extracted(), Scripted(*answers), options))


def whole(result: Result) -> tuple[markup.Trajectory, Lineage]:
    """The trajectory and its record, from which the chain comes back."""
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
def test_a_block_without_fit_outlines_goes_back_in_sequence_and_the_others_stay(answer, code):
    result = outlined(answer, OTHERS)
    trajectory, record = whole(result)
    assert [[item.body for item in block.outlines] for block in trajectory.blocks] == [OTHERS]
    assert [(item.number, item.code) for item in record.unused] == [(1, code)] and record.notes[0]["code"] == code
    assert (result.facts["blocks"], result.facts["unused"], result.facts["outline_faults"]) == (1, [code], {})


def test_words_that_lean_on_a_sibling_stay_and_are_counted():
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


def test_without_a_lineage_a_telling_block_stays_and_one_without_outlines_fails():
    bare = Traced("0", extracted().text, None)
    assert outlined(TELLING, OTHERS, sample=bare).facts["outline_faults"] == {"gives_result": 1}
    assert outlined(PLANS[:1], OTHERS, sample=bare).reason == "poor_outlines"


def test_a_sample_that_loses_its_last_block_is_told_so():
    result = outlined(TELLING, ["", ""])
    assert (result.outcome, result.reason) == ("unchanged", "no_block") and whole(result)[0].text == CHAIN
