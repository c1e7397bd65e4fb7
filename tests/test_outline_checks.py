"""What is wrong with outlines, and what they give away."""

from __future__ import annotations

import time

import pytest

from project import ROOT
from threadweaver.annotators.llm import validation
from threadweaver.annotators.protocol import Answer
from threadweaver.outlines import checks
from threadweaver.outlines.checks import OutlineFault, check_outlines, describe_unfit, is_placeholder
from threadweaver.outlines.giveaways import find_giveaways
from threadweaver.stages import outlining
from threadweaver.trajectory import markup
from threadweaver.trajectory.questions import OutlineQuestion

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
def test_plans_are_not_placeholders(text):
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    ["-" * 5000 + " a plan of it", " " * 5000 + "a plan of it", "<" * 3000 + "a", "(" * 5000 + "outline 1 of it"],
)
def test_no_outline_takes_long_to_check(text):
    begun = time.process_time()
    is_placeholder(text)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "piece", ["{", "\\frac{", "\\sqrt(", "1,", "_{", "\\(", "$", " ", "=", "9", "1/", "x=", "\\pmod{", "1,000"]
)
def test_no_thread_takes_long_to_compare_with_its_outline(piece):
    hostile = piece * (20_000 // len(piece))
    begun = time.process_time()
    check_outlines([hostile[:500] + " a", "Count"], OutlineQuestion(0, hostile, hostile, (hostile, hostile), (1, 2)))
    assert time.process_time() - begun < 30  # quadratic time would be minutes


OPENED = "Case k = 4. " + "We go through the factors one after the other and look at each. " * 4
THREAD = OPENED + (
    r"So x = 7, and 12 of them give 137, or 1024; $r+s$ and $q=\frac{2}{3}\,p$. The chance is $\frac{3}{8}$, the root "
    r"\sqrt{29}. Then f(3) = 19 and the area $= 3x^2+2x+1$. Hence $N \equiv 3 \pmod 7$ and q ≥ 4. We have 5 ways."
)


@pytest.mark.parametrize(
    ("text", "results"),
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
def test_mathematics_that_only_the_thread_works_out_is_a_result_in_any_notation(text, results):
    """An unknown notation would let a result pass; a case or a known number mistaken for a result would cost a
    block."""
    found = find_giveaways(text, THREAD, "n = 12")
    assert len(found) == len(results) and all(piece in found[0] for piece in results)
    if results != ["which fails"]:
        assert find_giveaways(text, THREAD, f"n = 12. {THREAD}") == [], (
            "the text before the block contains no result of a thread"
        )


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("Split 190.7 into 190 and 0.7", []),
        ("Try k = 2, 3 and 14", []),
        ("Test the bound at a = 8, b = 40", []),
        ("Sum for n = 0 to 25", []),
        ("Take z = 0.65", []),
        ("Find x = 71", ["x = 71"]),
        ("Compute the product and get 10887", ["10887"]),
        ("Find 40 in the end, for the second try", []),
        ("Show that it comes to 83", ["83"]),
        ("Compute the values for z = 0.65 and a = 8", []),
        ("Go through the values from 14 to 40", []),
        ("Go through the values from 14 to 83", ["83"]),
        ("Look at f(40) to f(25), and at b = 14, 40 and 25", []),
        ("Compute the value for x = 71", ["x = 71"]),
        ("Go on, with the result 83", ["83"]),
        ("Go on, with 83 in all", ["83"]),
        ("Go on for k = 14, 83 in all", ["83"]),
        ("Add up to 83", ["83"]),
        ("Find the maximum at x = 71", ["x = 71"]),
        ("Show that it holds only for x = 71", ["x = 71"]),
    ],
)
def test_what_a_thread_assumes_is_no_result(text, results):
    thread = OPENED + (
        "Now 190 + 0.7 is better: 57 * 190 = 10830, plus 57 = 10887. Take k = 14. Then the rest is 83. Let us try another "
        "one, a = 8, b = 40: fine.\nz = 0.65: also.\nThe sum \\sum_{n=0}^{25} is left, so x = 71."
    )
    found = find_giveaways(text, thread, "")
    assert len(found) == len(results) and all(piece in found[0] for piece in results), found


def question(*threads: str, context: str = "Both cases start from n = 2k + r.") -> OutlineQuestion:
    return OutlineQuestion(0, "", context, threads, tuple(range(1, len(threads) + 1)))


def test_the_form_that_the_readme_shows_has_no_fault():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("A trajectory is") :].split("```")[1].strip("\n")
    trajectory = markup.parse(shown)
    [asked] = outlining.outline_questions(trajectory, None)
    assert check_outlines([item.body for item in trajectory.blocks[0].outlines], asked) == []


def test_faults_are_typed_and_the_unfit_ones_come_alone():
    telling = question("With r = 0 " + "we go on " * 30 + "so n = 64.", "With r = 1 " + "we go on " * 30 + "so n = 65.")
    codes = lambda *outlines: [(fault.code, fault.number) for fault in check_outlines(outlines, telling)]  # noqa: E731
    assert codes("Find n = 64", "Find n = 65") == [("gives_result", 1), ("gives_result", 2)]
    assert codes("Find n = 64", "") == [("empty", 2)]
    assert codes("Find n = 64") == [("count", None)]
    assert codes("Case r = 0", "As in outline 1, for r = 1") == [("leans_on_sibling", 2)]


def test_mathematics_of_a_sibling_that_is_absent_from_the_own_thread_is_a_dependence():
    asked = question("Let $Q_7 = 4913$ be the count.", "The other count is even.", context="Two counts.")
    assert check_outlines(["Count the first kind", "Use $Q_7$ for the second kind"], asked) == [
        OutlineFault("leans_on_sibling", 2, "uses Q_7, which only thread 1 introduces")
    ]
    assert check_outlines(["Count the first kind", "Count the second kind"], asked) == []


def test_what_is_not_shown_is_still_known():
    """If only a few lines of context are shown, a number further up does not count as a result."""
    text = f"The total is 4913.\nSo much for that.\n{markup.write_block([OPENED + 'again 4913', OPENED + 'and more'])}"
    [asked] = outlining.outline_questions(markup.parse(text), None, 1)
    assert asked.context == "So much for that.\n"
    assert check_outlines(["Hold it against 4913", "Go on"], asked) == []


def test_what_the_annotator_has_checked_is_not_read_again_by_the_stage(monkeypatch):
    """The stage checks every answer, also of an annotator that checks nothing."""
    asked = question("Count the 17 first ones: 4913.", "Count the second ones: none.", context="Two counts, once.")
    read = []
    monkeypatch.setattr(checks, "_results", lambda *given: read.append(given) or iter(()))
    outlines = validation.validate_outlines(asked, "1: Count the first\n2: Count the second", "").value
    assert outlining.find_faults([(asked, Answer(outlines))]) == {} and len(read) == 1
    assert outlining.find_faults([(asked, Answer(["Count the third", "Count the fourth"]))]) == {} and len(read) == 2
