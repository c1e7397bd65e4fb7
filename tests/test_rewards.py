"""The verdict of a reinforcement-learning reward, with its quirks."""

from __future__ import annotations

import pytest

from threadweaver.grading import Verdict, rewards

# (reference, answer, what a reward of reinforcement learning says)
REWARDS = [
    ("7", "7", True),
    (r"\frac12", "0.5", True),
    (r"\frac12", r"\dfrac{1}{2}", True),
    ("1/2", "2/4", False),
    ("2^{10}", "1024", False),
    ("x=5", "y=5", True),
    ("6", "5.99999999", True),
    ("(1,2)", "(1, 2)", True),
    ("(1,2)", "(2,1)", False),
    ("x^2+2x+1", "(x+1)^2", True),
    ("12,345", "12345", True),
    ("7", "8", False),
    (r"\sqrt{12}", r"2\sqrt{3}", True),
    ("10 weeks", "10", True),
    (r"50\%", "50", True),
    ("a+b+c", "c+b+a", False),
]


def test_the_rewards_verdict_keeps_its_quirks(grader):
    verdicts = grader.grade_many([(answer, reference) for reference, answer, _ in REWARDS])
    found = {(reference, answer): v.rl for (reference, answer, _), v in zip(REWARDS, verdicts, strict=True)}
    assert found == {(reference, answer): expected for reference, answer, expected in REWARDS}


def test_the_reward_is_reported_next_to_the_verdict(grader):
    assert grader.grade("y=5", "x=5") == Verdict("wrong", "algebra", True)
    assert grader.grade("2/4", "1/2") == Verdict("correct", "rules", False)


FLAT = (
    r"\frac{1}{2} 2\sqrt{3} x^{2}+\pi (-\infty,3] 3\cdot10^{8} \left(a_{1},b\right) (0,1)\cup(2,3) "
    r"\frac{x+1}{2}"
).split()


@pytest.mark.parametrize("latex", FLAT)
def test_flat_latex_reads_as_pylatexenc_does(latex):
    """The parent reads simple LaTeX without the library, which can be made to hang; both must agree."""
    flat, library = rewards._flat_latex(latex), rewards._latex(latex)
    assert flat.replace(" ", "") == library.replace(" ", "")


@pytest.mark.parametrize("text", ["__import__('os')", "x.__class__", "a.b", "lambda:0", "open(1)", "x[0]", '"x"'])
def test_only_mathematics_reaches_the_evaluating_parser(text):
    assert not rewards._may_be_evaluated(text)
