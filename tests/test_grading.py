"""Is this answer the reference answer: tables of equal and different pairs, bombs, the cut of the box."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project import ROOT
from threadweaver import grading
from threadweaver.grading import Grader, Verdict, final_answer, guards, rewards, values, verdict, workers
from threadweaver.grading.compare import same
from threadweaver.grading.normalize import key, normalize

# ------------------------------------------------------------------------------------------------------------
# pairs: reference, answer

EQUAL = [
    # fractions, decimals, powers
    (r"\frac{3}{8}", "6/16"),
    (r"\frac38", "0.375"),
    (r"\dfrac{3}{8}", r"\tfrac38"),
    (r"\frac{-3}{8}", r"-\frac{3}{8}"),
    (r"\frac{21}4", "5.25"),
    ("2^{12}", "4096"),
    ("2^12", "4096"),
    ("10^{-2}", "0.01"),
    ("1.2e4", "12000"),
    (r"7 \times 10^{3}", "7000"),
    ("6!", "720"),
    (r"\binom{7}{2}", "21"),
    ("009", "9"),
    (".5", "0.50"),
    ("3 1/7", "22/7"),
    (r"3\frac17", r"\frac{22}{7}"),
    (r"0.\overline{27}", r"\frac{3}{11}"),
    ("½", "0.5"),
    # thousands, money, percent, degrees, units
    ("12,345", "12345"),
    (r"12,345\pi", r"12345\pi"),
    (r"12{,}345", "12345"),
    (r"12,\!345", "12345"),
    (r"12\,345\,678", "12345678"),
    (r"\$8.40", "8.4"),
    ("8 dollars", "8"),
    (r"35\%", "35"),
    (r"35\%", "0.35"),
    ("35 percent", r"35\%"),
    (r"72^\circ", "72"),
    (r"72^{\circ}", "72 degrees"),
    ("72°", r"\frac{2\pi}{5}"),
    (r"\sin 30^\circ", "0.5"),
    (r"9\text{ cm}", "9"),
    (r"9\text{ cm}^2", "9"),
    ("9 cm", "9cm"),
    ("9 cm", "90 mm"),
    (r"2\text{ hours}", "120 min"),
    (r"9\sqrt{2}\text{ m}", r"9\sqrt2"),
    ("4 apples", "4"),
    # roots, constants, functions
    (r"\sqrt{12}", r"2\sqrt{3}"),
    (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt3}{3}"),
    ("sqrt(12)", r"2\sqrt 3"),
    (r"\frac{\pi}{3}", "pi/3"),
    (r"\ln 9", r"2\ln 3"),
    (r"\cos^2 t", r"1-\sin^2 t"),
    (r"e^{2\pi i}", "1"),
    (r"\sqrt[4]{16}", "2"),
    (r"\log_3 81", "4"),
    ("1.41421356", r"\sqrt{2}"),
    ("0.666667", "2/3"),
    # expressions and equations
    ("(a-2)^2", "a^2-4a+4"),
    ("x+3", "3+x"),
    (r"\frac{a+b}{2}", r"\frac a2+\frac b2"),
    ("5xy", "5yx"),
    (r"\sum_{k=1}^{n} k^2", r"\frac{n(n+1)(2n+1)}{6}"),
    ("3x-2y=7", "6x-4y=14"),
    ("y=3x-1", "3x-y-1=0"),
    ("n!", "n(n-1)!"),
    (r"2^{n+1}", r"2\cdot2^n"),
    # names
    ("x=7", "7"),
    ("7", "x=7"),
    ("7", "7=x"),
    ("S_{10}=55", "55"),
    ("x=7", "x = 3+4 = 7"),
    ("g(x)=x^3", "x^3"),
    ("f(x)=x-4", "y=x-4"),
    ("(x,y)=(3,8)", "x=3, y=8"),
    ("x=3,y=8", "(3,8)"),
    (r"x\approx 2.5", "2.5"),
    # lists, sets, tuples
    ("4, 9", "9, 4"),
    (r"\{4,9\}", r"\{9,4\}"),
    (r"\{4,9\}", "9 and 4"),
    ("4, 9", r"4 \text{ or } 9"),
    ("(4,9)", "4,9"),
    ("x=4 or x=9", "x=9, 4"),
    (r"\pm 6", "6,-6"),
    (r"x=\pm 6", r"-6 \text{ and } 6"),
    (r"1\pm\sqrt2", r"1-\sqrt2, 1+\sqrt2"),
    ("(1,2),(5,6)", "(5,6),(1,2)"),
    (r"\left(\frac12, 3\right)", "(0.5,3)"),
    (r"\{0,\pm1\}", "-1,0,1"),
    # intervals and inequalities
    (r"(-\infty,4]", r"x\leq 4"),
    (r"[2,5)", r"2\le x<5"),
    (r"x\in(0,1)", "0<x<1"),
    ("x>3", "3<x"),
    (r"(-\infty,0)\cup(2,\infty)", r"x>2 \text{ or } x<0"),
    (r"(0,1)\cup[3,4]", r"[3,4]\cup(0,1)"),
    ("]0,1[", "(0,1)"),
    (r"\mathbb{R}\setminus\{1\}", r"(-\infty,1)\cup(1,\infty)"),
    # matrices
    (r"\begin{pmatrix}1&0\\2&5\end{pmatrix}", r"\begin{bmatrix} 1 & 0 \\ 4/2 & 5 \end{bmatrix}"),
    (r"\begin{pmatrix}3\\4\end{pmatrix}", "(3,4)"),
    # words and choices
    (r"\text{Odd}", "odd"),
    ("No solution", r"\text{no solution}"),
    ("(D)", "D"),
    (r"\textbf{(D)}", "D"),
    ("D", r"\text{D.}"),
    (r"\textbf{(D)}\ 30", "D"),
    (r"\textbf{(D)}\ 30", "30"),
    ("1101_2", "1101_{2}"),
    (r"\emptyset", r"\varnothing"),
]

DIFFERENT = [
    # numbers that are close, or look alike
    ("6", "5.99999999"),
    ("2.0000001", "2.0000002"),
    ("0.25", "25"),
    ("3", "-3"),
    ("1/3", "0.33"),
    (r"\sqrt2", "1.41"),
    ("3.1415", r"\pi"),
    ("2^{100}", "2^{101}"),
    (r"\frac{1}{3^{77}}", r"\frac{1}{3^{76}}"),
    ("1,000", "1"),
    ("14", "1,4"),
    (r"2\cdot10^{-30}", r"3\cdot10^{-30}"),
    (r"\pi\cdot10^{-30}", r"2\pi\cdot10^{-30}"),
    (r"10^{15}\sqrt2", r"10^{15}\sqrt2+1"),
    ("100,200", "200,100"),
    ("1101_2", "1101_3"),
    ("12", "1 2"),
    # units, names, case, order of letters
    ("7 cm", "7 m"),
    ("7 cm", "7 cm^2"),
    ("3 apples", "3 pears"),
    (r"30\text{ km/h}", r"30\text{ m/s}"),
    ("x=7", "y=7"),
    ("x=7", "x=-7"),
    ("PQR", "RQP"),
    ("KL", "LK"),
    ("A+b", "a+b"),
    ("N=n", "f(n)=n"),
    ("f'(2)", "f(2)"),
    # order counts, or does not suffice
    ("(4,9)", "(9,4)"),
    ("(1,2),(5,6)", "(2,1),(6,5)"),
    ("x=3,y=8", "x=8,y=3"),
    ("4,4,9", "4,9,9"),
    ("4,9", "4"),
    (r"\pm 6", "6"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    ("(4,9)", "[4,9]"),
    ("[4,9)", "[4,9]"),
    (r"\{4,9\}", "(4,9)"),
    ("2:5", "5:2"),
    (r"1,2,\ldots,n", r"1,3,\ldots,n"),
    # expressions
    ("x^2", "x^3"),
    ("x^2", "2x"),
    ("(x+1)^2", "x^2+1"),
    ("a-b", "b-a"),
    (r"\sqrt{x^2}", "x"),
    ("|x|", "x"),
    ("x+1", "x+2"),
    (r"\lfloor x\rfloor", r"\lceil x\rceil"),
    ("3x-2y=7", "3x-2y=8"),
    ("x^2+y^2=25", "25"),
    ("4", "2x=4"),
    ("5", "5x"),
    (r"2\le x<5", r"2<x\le5"),
    ("x>3", "x<3"),
    (r"x\neq 3", "3"),
    (r"(0,1)\cup(2,3)", "(0,3)"),
    (r"\infty", r"-\infty"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    # what cannot be read is not cut down to what can
    (r"\frac12", r"\log[\frac12\alpha}"),
    ("-B}x", "-B}y"),
    (r"\infty x", r"\infty y"),
    (r"\foo 1", r"\bar 1"),
    # words
    ("odd", "even"),
    ("Tuesday", "Thursday"),
    ("A", "B"),
    ("(A)", "(C)"),
    (r"\textbf{(D)}\ 30", "31"),
    ("yes", "1"),
]

# To the side that is the reference it is not all one: an equation is met by a value that it does not state.
ONE_WAY = [("25", "x^2+y^2=25", "correct"), ("x^2+y^2=25", "25", "wrong")]

BOTH_WAYS = [pair for pair in (EQUAL + DIFFERENT)[::3] if pair not in {(r, a) for a, r, _ in ONE_WAY}]

BOMBS = [
    "9**9**9**9",
    "9^{9^{9^9}}",
    "2^{2^{9999}}",
    "10000000!",
    "((9!)!)!",
    "1e999999999",
    "10^{-1000000000}",
    "a" * 1_000_000,
    "(" * 20_000,
    "{" * 9_000 + "1" + "}" * 9_000,
    r"\frac{1}{" * 3_000 + "1" + "}" * 3_000,
    r"\binom{999999999}{99999999}",
    r"\sum_{k=1}^{999999999} \frac1k",
    r"\int_0^1\int_0^1\int_0^1\int_0^1 x",
    "9" * 50_000,
    "1," * 300_000,
    r"\begin{pmatrix}" * 300,
    "½" * 600,
    r"\sin(" * 29 + "x" + ")" * 29,
    "-" * 1_999,
    "__import__('time').sleep(99)",
    "x" * 300 + "!" * 90,
    r"(x+1)^{5000}",
    r"\cos(10^{99999})",
]


@pytest.fixture(scope="module")
def grader():
    with Grader(workers=2) as shared:
        yield shared


@pytest.fixture(scope="module")
def judged(grader):
    """(reference, answer) → verdict, of all the tables, graded at once."""
    pairs = EQUAL + DIFFERENT + [(answer, reference) for reference, answer in BOTH_WAYS]
    pairs += [(reference, answer) for reference, answer, _ in ONE_WAY]
    return dict(zip(pairs, grader.grade_many([(a, r) for r, a in pairs]), strict=True))


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_equal(judged, reference, answer):
    assert judged[reference, answer].verdict == "correct"


@pytest.mark.parametrize(("reference", "answer"), DIFFERENT)
def test_different(judged, reference, answer):
    assert judged[reference, answer].verdict == "wrong"


def test_both_directions_agree(judged):
    """Symmetric, but for references that are equations: `x=7` is met by 7, `x^2+y^2=25` is not met by 25."""
    assert [p for p in BOTH_WAYS if judged[p].verdict != judged[p[::-1]].verdict] == []


@pytest.mark.parametrize(("reference", "answer", "expected"), ONE_WAY)
def test_an_equation_states_its_value(judged, reference, answer, expected):
    assert judged[reference, answer].verdict == expected


def test_every_step_is_exercised(judged):
    """The tables would be worth little if one step settled them all."""
    assert {"exact", "rules", "algebra", "math-verify"} <= {verdict.how for verdict in judged.values()}


# ------------------------------------------------------------------------------------------------------------
# what is graded: references, no answer, the reward's opinion


def test_any_of_several_references_will_do(grader):
    assert grader.grade("0.5", ["7", r"\frac12"]).verdict == "correct"
    assert grader.grade("0.5", ["7", "8"]).verdict == "wrong"
    assert grader.grade("0.5", [["7"], (1, 0.5)]).verdict == "correct"


@pytest.mark.parametrize(("reference", "answer"), [(17, "17"), (17.0, "17"), (0.25, r"\frac14"), (1e-05, "0.00001")])
def test_numbers_as_references(grader, reference, answer):
    assert grader.grade(answer, reference).correct


def test_numpy_references(grader):
    import numpy as np

    assert grader.grade("3", np.int64(3)).correct
    assert grader.grade("b", np.array(["a", "b"], dtype=object)).correct


def test_without_an_answer_or_a_reference(grader):
    assert grader.grade(None, "5") == Verdict("wrong", "no answer", False)
    assert grader.grade("  ", "5").verdict == "wrong"
    assert grader.grade("5", []) == Verdict("undecided", "no reference", None)


def test_undecided_outweighs_wrong_and_correct_outweighs_both():
    correct, wrong, unknown = (Verdict(v, v, None) for v in ("correct", "wrong", "undecided"))
    assert verdict.combine([wrong, unknown]).verdict == "undecided"
    assert verdict.combine([unknown, wrong, correct]).verdict == "correct"


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


def test_the_reward_is_reported_beside_the_verdict(grader):
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


# ------------------------------------------------------------------------------------------------------------
# bombs and killed workers


def test_bombs(grader, monkeypatch):
    """Each bomb is undecided or wrong, the answers around them are judged, and all of it ends soon."""
    pairs = [(bomb, "5" if i % 2 else r"\sqrt{x}+y") for i, bomb in enumerate(BOMBS)]
    plain = [(rf"{n}\sqrt2", rf"\sqrt{{{2 * n * n}}}") for n in range(2, 7)]
    monkeypatch.setattr(grader, "cpu_s", 1.0)
    start = time.monotonic()
    verdicts = grader.grade_many([*pairs[:10], *plain, *pairs[10:]])
    assert time.monotonic() - start < 60
    assert [v.verdict for v in verdicts[10:15]] == ["correct"] * 5
    judged_bombs = zip(BOMBS, verdicts[:10] + verdicts[15:], strict=True)
    assert [bomb[:40] for bomb, v in judged_bombs if v.correct] == []


def test_a_bomb_equals_itself(grader):
    assert all(v.correct for v in grader.grade_many([(bomb, bomb + " ") for bomb in BOMBS]))


@pytest.mark.parametrize("bomb", BOMBS)
def test_the_parent_is_never_held_up(bomb):
    start = time.process_time()
    verdict.in_parent(bomb, "5")
    verdict.in_parent("5", bomb)
    final_answer(rf"\boxed{{{bomb}}}")
    assert time.process_time() - start < 2


SWALLOWS = """
kept = []
try:
    while True:
        kept.append(bytearray(50_000_000))
except MemoryError:
    pass
"""
# what a worker is made to do, processor time and wall time granted, what is said of it
ENDED = [
    ("7 ** 999999999", 0.5, 40, "time-out"),
    ("import time; time.sleep(60)", 0.1, 8, "time-out"),
    (SWALLOWS, 5, 6, "out of memory"),
    ("import os; os._exit(3)", 5, 6, "worker died"),
]


@pytest.mark.parametrize(("code", "cpu_s", "wall", "why"), ENDED)
def test_a_worker_is_ended_from_outside(code, cpu_s, wall, why, monkeypatch):
    """A task that computes, sleeps or takes memory for ever is undecided, and the next one is served."""
    monkeypatch.setattr(workers, "WALL_S_A_CPU_S", wall)
    with Grader(workers=1, cpu_s=cpu_s, memory_mb=400) as small:
        error = small._schedule(partial(exec, code), ({}, {})).exception(timeout=40)
        assert workers._reason(error) == why
        assert small._schedule(partial(eval, "1 + 1"), ({}, {})).result(timeout=40) == 2


def test_a_process_without_memory_decides_nothing():
    with Grader(workers=1, memory_mb=64) as starved:
        assert starved.grade("x+x", "2x").verdict == "undecided"


# ------------------------------------------------------------------------------------------------------------
# cheapness, order, threads


def test_exact_matches_start_no_process(monkeypatch):
    monkeypatch.setattr(Grader, "_start", lambda self: pytest.fail("a process was started"))
    pairs = [
        ("7", "7"),
        (r"\frac12", r"\dfrac{1}{2}"),
        ("12,345", "12345"),
        ("9", "8"),
        ("(1, 2)", "(1,2)"),
        ("0.50", "1/2"),
    ]
    assert [v.verdict for v in grading.grade_many(pairs)] == ["correct"] * 3 + ["wrong"] + ["correct"] * 2


def test_order_is_kept_and_equal_pairs_are_judged_once(grader, monkeypatch):
    asked = []
    schedule = Grader._schedule
    monkeypatch.setattr(
        Grader, "_schedule", lambda self, task, pair: asked.append((task, pair)) or schedule(self, task, pair)
    )
    answers = ["x+x+1", "3", "2x", "x+x+1", "1+2x"] * 3
    verdicts = grader.grade_many([(answer, "2x+1") for answer in answers])
    assert [v.correct for v in verdicts] == [True, False, False, True, True] * 3
    assert len(asked) == len(set(asked))


def test_several_threads_may_ask_at_once(grader):
    found = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: grader.grade(rf"{n}y+y", rf"{n + 1}y").correct}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_the_import_is_light():
    """No stage waits for sympy before its first line."""
    heavy = "('sympy', 'math_verify', 'pylatexenc', 'pebble', 'latex2sympy2_extended')"
    code = f"import sys, threadweaver.grading; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "src", check=True)
    assert done.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------------------------
# the cut of the boxed answer

CUTS = [
    (r"so \boxed{12}.", "12"),
    (r"\boxed{1} then \boxed{2}", "2"),
    (r"\boxed {3}", "3"),
    ("\\boxed\n  { 4 }", "4"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{\left\{x \mid x > \sqrt{2}\right\}}", r"\left\{x \mid x > \sqrt{2}\right\}"),
    (r"\boxed{x=\boxed{5}}", "5"),
    (r"<think>\boxed{1}</think>\boxed{2}", "2"),
    (r"<think>\boxed{1}</think>no box here", None),
    (r"<think>a</think>\boxed{1}</think>and \boxed{2}", "2"),
    (r"<think>a</think>\boxed{1}</think>and nothing", None),
    (r"<think>cut off \boxed{6}", "6"),
    (r"\boxed{7} and then \boxed{\frac{8", "7"),
    (r"\boxed{9} as asked within \boxed{}", "9"),
    (r"a set {1, 2 and \boxed{10}", "10"),
    (r"\boxed{11}}}", "11"),
    (r"\fbox{12}", "12"),
    (r"\boxed{13} \fbox{14}", "13"),
    (r"\boxed 15", None),
    (r"\boxedness{16}", None),
    ("no answer", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "answer"), CUTS)
def test_final_answer(text, answer):
    assert final_answer(text) == answer


def test_a_long_text_is_cut_in_one_pass():
    start = time.process_time()
    assert final_answer(r"\boxed{" * 200_000 + "1" + "}" * 200_000) == "1"
    assert final_answer(r"\boxed{" * 200_000) is None
    assert time.process_time() - start < 5


BALANCED = st.recursive(
    st.text("ab1+\\,| \n", min_size=1).filter(lambda t: not t.endswith("\\")),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda parts: "{" + "".join(parts) + "}"),
)


@given(st.text(), BALANCED)
def test_what_was_boxed_is_found(before, answer):
    before = before.replace("\\", "")
    expected = answer.strip() or None
    assert final_answer(f"{before}</think>so \\boxed{{{answer}}} holds") == expected


# ------------------------------------------------------------------------------------------------------------
# guards and numbers


HARMLESS = (
    r"2^{100} \frac{2021!}{2020!} 2^{2^{10}} 10^{100} \binom{2020}{1010} 1e-10 "
    r"e^{-x^2} \sum_{k=1}^{100}k x^{2019} 3^{20210}"
).split()


@pytest.mark.parametrize("text", HARMLESS)
def test_guards_let_answers_through(text):
    assert guards.refusal(text) is None


@pytest.mark.parametrize("text", ["9^9^9", "9^{9^9}", "2^{9999999}", "(9!)!", "99999!", "1e500", "(" * 99, "7" * 2000])
def test_guards_refuse(text):
    assert guards.refusal(text)


NUMBERS = [
    ("12", 12),
    ("-3/4", "-3/4"),
    (r"1\frac{1}{2}", "3/2"),
    ("2^{10}", 1024),
    (r"6.5*10^{-2}", "13/200"),
    ("(1+2)/3", 1),
    ("1,000", 1000),
    ("-2^{2}", -4),
    ("2/(-3)", "-2/3"),
    ("x", None),
    ("1/0", None),
    ("", None),
    ("2^{99999}", None),
    ("1/2(3)", None),
    ("1..2", None),
    ("0^{-1}", None),
]


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_plain_numbers(text, value):
    from fractions import Fraction

    assert values.number(text) == (None if value is None else Fraction(value))


# ------------------------------------------------------------------------------------------------------------
# properties

COMMANDS = (
    r"\frac \sqrt \pi \{ \} \left( \right] \text{cm} \cup \in \leq \infty \pm "
    r"\begin{pmatrix} \end{pmatrix} \\ \boxed{"
)
ODDITIES = r"^{2} _{1} ² ½ ° 1,000 1e9 x= \approx \overline{3} \ldots"
LATEX_PIECES = st.sampled_from(
    [
        *"0123456789xynABe+-*/^_=<>(){}[],.;:|!%$& \n'\"~\\",
        *COMMANDS.split(),
        *ODDITIES.split(),
        " or ",
        r"\text{ and }",
    ]
)
LATEX = st.lists(LATEX_PIECES, min_size=1, max_size=25).map("".join)


@given(st.text(max_size=60) | LATEX, st.text(max_size=60) | LATEX)
def test_the_parent_raises_on_nothing(answer, reference):
    finding = verdict.in_parent(answer, reference)
    assert finding.correct in (True, False, None)
    final_answer(answer)


@given(st.text(max_size=60) | LATEX)
def test_every_answer_equals_itself_however_it_is_spaced(answer):
    assert verdict.in_parent(answer, f" {answer}\n").correct is True


@given(LATEX)
def test_normalizing_twice_changes_nothing_for_itself(answer):
    normal = normalize(answer)
    assert key(normal) == key(normalize(answer))
    assert same(normal, normal) is True


ITEMS = st.lists(st.fractions(-50, 50, max_denominator=9), min_size=2, max_size=4)


def spelled(value, style: int) -> str:
    """One of the ways to write a fraction."""
    n, d = value.numerator, value.denominator
    forms = [f"{n}/{d}", rf"\frac{{{n}}}{{{d}}}", rf"-\dfrac{{{-n}}}{{{d}}}", rf"\frac{{{2 * n}}}{{{2 * d}}}"]
    return forms[style % 4] if d > 1 or style % 2 else str(n)


@settings(max_examples=30)
@given(ITEMS, st.integers(0, 3), st.integers(0, 3), st.randoms(use_true_random=False))
def test_sets_ignore_order_and_spelling(items, style, other, rng):
    shuffled = list(items)
    rng.shuffle(shuffled)
    left = ", ".join(spelled(v, style) for v in items)
    right = ", ".join(spelled(v, other) for v in shuffled)
    assert verdict.in_parent(left, right).correct is True
    assert verdict.in_parent(rf"\{{{left}\}}", rf"\left\{{{right}\right\}}").correct is True


@settings(max_examples=30)
@given(ITEMS, st.integers(0, 3))
def test_tuples_keep_order(items, style):
    left = normalize("(" + ",".join(spelled(v, style) for v in items) + ")")
    for other in permutations(items):
        right = normalize("(" + ", ".join(spelled(v, style + 1) for v in other) + ")")
        assert same(left, right) is (list(other) == items)


@given(st.fractions(-(10**6), 10**6, max_denominator=10**6), st.fractions(-(10**6), 10**6, max_denominator=10**6))
def test_numbers_are_compared_exactly_and_both_ways(a, b):
    left, right = normalize(spelled(a, 0)), normalize(spelled(b, 1))
    assert same(left, right) is same(right, left) is (a == b)


@given(st.decimals(-1000, 1000, places=6), st.integers(1, 9))
def test_a_decimal_that_is_close_is_not_equal(value, last):
    assert verdict.in_parent(f"{value}{last}", str(value)).correct is False
