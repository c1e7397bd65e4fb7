"""Tables of equal and different answers, references of every kind, missing answers."""

from __future__ import annotations

import pytest

from threadweaver.grading import Verdict, settled_at, verdict

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
    (r"\mathbb{R}\setminus\{1,2\}", r"(-\infty,1)\cup(1,2)\cup(2,\infty)"),
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
    (r"30\text{ km/h}", r"30\text{ m/s}"),
    ("x=7", "y=7"),
    ("x=7", "x=-7"),
    ("PQR", "RQP"),
    ("KL", "LK"),
    ("A+b", "a+b"),
    ("N=n", "f(n)=n"),
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
    (r"\infty x", r"\infty y"),
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
    """Symmetric, except for references that are equations: `x=7` is met by 7, `x^2+y^2=25` is not met by 25."""
    assert [p for p in BOTH_WAYS if judged[p].verdict != judged[p[::-1]].verdict] == []


@pytest.mark.parametrize(("reference", "answer", "expected"), ONE_WAY)
def test_an_equation_states_its_value(judged, reference, answer, expected):
    assert judged[reference, answer].verdict == expected


def test_every_step_is_exercised(judged):
    """The tables would be of little use if one step decided them all."""
    assert {"exact", "rules", "algebra", "math-verify"} <= {verdict.how for verdict in judged.values()}


def test_any_of_several_references_is_enough(grader):
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


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("Work.\n\nThe answer is 7. Check.\n\\boxed{7}", "Work.\n\nThe "),
        ("The answer is 5? No.\nWork.\n\\boxed{7}", "The answer is 5? No.\nWork.\n"),
        ("Work.\n\n**Final Answer**\nB and C.\n\nOnce more: B.", "Work.\n"),
        ("Work.\n### Final answer:\n\n$7$\nRecap.\n\\boxed{7}", "Work.\n"),
        ("Let me see what the final answer\nmay be.", None),
    ],
)
def test_the_answer_is_settled_where_it_is_first_stated_for_good(text, before):
    at = settled_at(text)
    assert text[:at].strip() == (text if before is None else before).strip()
