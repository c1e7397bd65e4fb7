r"""What a grader errs on, kind by kind: the same answer in another writing, different answers that look alike, and what no
rule decides. A table of pairs (reference, answer) for each."""

from __future__ import annotations

import pytest

SAME = {
    "order of points and vectors": [
        ("M(2,7)", "(2,7)"),
        ("A(0,1), B(5,6)", "B(5,6), A(0,1)"),
        ("A(0,1), B(5,6)", "(0,1), (5,6)"),
        (r"\{(0,1),(5,6)\}", "(5,6), (0,1)"),
        (r"\angle KLM", r"\angle MLK"),
        (r"\triangle KLM", r"\triangle LMK"),
        (r"\overline{KL}", r"\overline{LK}"),
        (r"\overrightarrow{KL}", r"-\overrightarrow{LK}"),
        (r"\overrightarrow{KL}+\overrightarrow{LM}", r"\overrightarrow{KM}"),
        (r"\mathbf{u}\cdot\mathbf{v}", r"\mathbf{v}\cdot\mathbf{u}"),
    ],
    "money and percent": [
        (r"\$8", "8 dollars"),
        ("$8", "8"),
        (r"\$1,250", "1250 dollars"),
        ("75 cents", r"\$0.75"),
        ("75¢", "75 cents"),
        ("7 USD", r"\$7"),
        ("€3", "3 euros"),
        (r"\$4\text{ million}", "4,000,000"),
        (r"12.5\%", r"\frac18"),
        ("40 percent", "0.4"),
    ],
    "counts": [("7 cats, 9 dogs", "9 dogs, 7 cats"), ("7 cats, 9 dogs", "7, 9"), ("a=7, b=9", "b=9, a=7")],
    "ratios": [
        ("1:3:4", "2:6:8"),
        ("1:3", r"\frac12:\frac32"),
        ("a:b:c", "a : b : c"),
        ("a:b", "2a:2b"),
        (r"1\colon 3", "2∶6"),
    ],
    "functions": [
        (r"f^{-1}(x)=3x", "3x"),
        (r"f^{-1}(x)=3x", "y=3x"),
        (r"\sin^{-1}\frac12", r"\arcsin\frac12"),
        (r"\frac{1}{f(x)}", "f(x)^{-1}"),
    ],
    "set builders": [
        (r"\{x \mid x>4\}", r"(4,\infty)"),
        (r"\{x : 0<x\le 4\}", "(0,4]"),
        (r"\{t\in\mathbb{R} \mid t<4\}", "t<4"),
        (r"\{x | x=2 \text{ or } x=3\}", r"\{3,2\}"),
        (r"\{x|x\ne 4\}", r"(-\infty,4)\cup(4,\infty)"),
        (r"\mathbb{R}\setminus\{4\}", r"x\neq 4"),
        (r"\{x|x<0 \text{ or } x>4\}", r"(-\infty,0)\cup(4,\infty)"),
        (r"\{x|x>0 \text{ and } x\le 4\}", "(0,4]"),
        ("(0,2)\\cup(1,3)", "(0,3)"),
    ],
    "qualifiers": [
        ("9", "is 9"),
        ("9", "exactly 9"),
        ("9", "about 9"),
        ("9", "x is 9"),
        ("9", "=9"),
        ("9", "only 9"),
        ("9 km", "approximately 9 km"),
    ],
    "units": [
        ("2 hours 15 minutes", "135 minutes"),
        ("2 hours and 15 minutes", "135 min"),
        ("4 feet 6 inches", "54 inches"),
        ("36 km/h", "10 m/s"),
        (r"45\text{ mph}", "45 miles per hour"),
        (r"7\text{ m/s}^2", "7 meters per second squared"),
        (r"30\text{ cm}^2", "30 square centimeters"),
        ("30 m²", "30 square m"),
        ("1 m^3", "1000 liters"),
        (r"15\ \Omega", "15 ohms"),
        (r"40^\circ C", "40 degrees Celsius"),
        (r"180^\circ", r"\pi\text{ rad}"),
        ("2 weeks", "14 days"),
        ("8米", "8 m"),
        ("6万元", "60000元"),
    ],
    "number words": [
        ("14", "fourteen"),
        ("68", r"\text{sixty-eight}"),
        ("207", "two hundred and seven"),
        ("24", "two dozen"),
        ("5000000", "five million"),
        (r"\frac23", "two-thirds"),
        ("0.5", "one half"),
        ("nine lives", "9"),
        ("14", "fourteen (14)"),
        ("4.5", "four and a half"),
    ],
    "chains of order": [("p<q<r", "r>q>p"), (r"p\le q<r", r"r>q\geq p"), (r"\sqrt5<\sqrt6<3", r"3>\sqrt6>\sqrt5")],
    "references in a sentence": [
        ("He reads 4*6=24 pages.\n#### 24", "24"),
        ("The final answer is 24.", "24"),
        (r"The answer is $\boxed{24}$.", "24"),
        (r"\text{The answer is } 24", "24"),
        ("Answer: 24", "24"),
        ("So the answer is 24 because 4*6=24", "24"),
        ("Therefore, n = 24.", "24"),
        ("The number of pages is 24", "24"),
        ("答案是24。", "24"),
    ],
    "choices": [
        ("CD", "C, D"),
        ("C,D", "D and C"),
        (r"\text{B, C, D}", "BCD"),
        ("C", "Option (C)"),
        ("C", "choice C"),
        ("C", "C is correct"),
        ("C", "(C) 30"),
        ("(C) 30", "30"),
        (r"\textbf{(C)}\ \text{decreasing}", "decreasing"),
        ("C", "选C"),
    ],
    "systems and matrices": [
        (r"\begin{cases} x=3 \\ y=5 \end{cases}", "y=5, x=3"),
        (r"\left\{\begin{array}{l} x=3 \\ y=5 \end{array}\right.", "(x,y)=(3,5)"),
        (r"\begin{aligned} x&=3 \\ y&=5 \end{aligned}", "(3,5)"),
        (r"\begin{pmatrix}3&5\\7&9\end{pmatrix}", "[[3,5],[7,9]]"),
        (r"\begin{pmatrix}3\\5\end{pmatrix}", "(3,5)^T"),
        (r"\begin{pmatrix}3\\5\end{pmatrix}", r"\begin{pmatrix}3&5\end{pmatrix}^T"),
        (r"\begin{pmatrix}3&5\end{pmatrix}", r"\left[\begin{array}{cc}3&5\end{array}\right]"),
    ],
    "marks": [
        ("31", "**31**"),
        ("31", "31。"),
        ("31", "`31`"),
        ("no", "“no”"),
        ("no", "'no'"),
        ("31", "\u200f31\u00ad"),
        ("31", r"\text{\boxed{31}}"),
        ("31", r"$$\boxed{31}$$"),
        ("31", r"\textcolor{blue}{31}"),
        ("31", r"31\ \blacksquare"),
        ("31", "<b>31</b>"),
        ("3,1", "3、1"),
    ],
    "notation": [
        ("1101_2", "(1101)_{2}"),
        ("340_7", "340_{(7)}"),
        ("340_7", "340 base 7"),
        ("C_6^2", r"\binom{6}{2}"),
        ("15", "{}_6C_2"),
        ("A_6^2", "30"),
        (r"\lg 1000", "3"),
        ("7!!", "105"),
        (r"\operatorname{arctg} 1", r"\frac{\pi}{4}"),
        (r"\frac{5}{6}", r"\sfrac{5}{6}"),
        (r"\frac{5}{6}", r"{5 \over 6}"),
        ("0.0001", "10⁻⁴"),
        ("3 x 10^8", r"3\times10^{8}"),
        (r"0.\overline{7}", "0.(7)"),
        (r"\emptyset", "There is no solution."),
        (r"\mathbb{R}", "all real numbers"),
        (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"\frac{\pi}{3}+k\pi, k\in\mathbb{Z}", r"\frac{4\pi}{3}+m\pi\ (m\in\mathbb{Z})"),
        (r"4k+1, k\in\mathbb{Z}", r"4n-3 \text{ for any integer } n"),
        (r"x=\frac{\pi}{2}+2k\pi, k\in\mathbb{Z}", r"\frac{\pi}{2}+2k\pi"),
    ],
}

DIFFERENT = {
    "order of points and vectors": [
        ("M(2,7)", "(7,2)"),
        ("A(0,1), B(5,6)", "A(5,6), B(0,1)"),
        ("A(0,1), B(5,6)", "(5,6), (0,1)"),
        (r"\overrightarrow{KL}", r"\overrightarrow{LK}"),
        (r"\langle 3,5\rangle", r"\langle 5,3\rangle"),
    ],
    "money and percent": [
        (r"\$8", "8 cents"),
        (r"\$8", "€8"),
        (r"\$8", r"8\%"),
        (r"8\%", r"8\text{ kg}"),
        (r"8\%", "0.8"),
        (r"8\text{ million}", "8"),
        ("8 dozen", "8"),
    ],
    "counts": [("7 cats, 9 dogs", "9, 7"), ("7 cats, 9 dogs", "9 cats, 7 dogs"), ("a=7, b=9", "9, 7")],
    "ratios": [("1:3:4", "1:4:3"), ("3:4", "4:3")],
    "set builders": [
        (r"\{x \mid x>4\}", r"[4,\infty)"),
        (r"\{x \mid x>4\}", r"\{x \mid x<4\}"),
        (r"x\neq 4", "4"),
        ("(0,1)\\cup(1,3)", "(0,3)"),
    ],
    "units": [("2 hours 15 minutes", "2.15 hours"), ("6 cm", "6 cm^2"), ("6 kg", "6 lb"), ("6 km/h", "6 mph")],
    "words": [("east", "west"), ("odd", "3"), (r"\text{no solution}", "4")],
    "number words": [("14", "forty"), ("one third", "3"), ("two hundred", "2")],
    "chains of order": [("p<q<r", "p<r<q"), ("p<q<r", "r<q<p")],
    "references in a sentence": [
        ("pages: 4*6=24\n#### 24", "6"),
        ("The answer is 24", "25"),
        ("24", "The answer is 24. Or 25"),
    ],
    "choices": [("CD", "C"), ("CD", "B, D"), ("C", "Option D"), ("(C) 30", "31")],
    "systems and matrices": [
        (r"\begin{cases} x=3 \\ y=5 \end{cases}", r"\begin{cases} x=5 \\ y=3 \end{cases}"),
        (r"\begin{pmatrix}3&5\\7&9\end{pmatrix}", r"\begin{pmatrix}3&5\\7&9\end{pmatrix}^T"),
    ],
    "marks": [("31", "**13**"), ("2**3", "23"), ("no", "“yes”")],
    "notation": [
        ("1101_2", "1011_2"),
        ("C_6^2", "30"),
        ("7!!", "5040"),
        (r"\infty", "3"),
        (r"4k+1, k\in\mathbb{Z}", r"4k+2, k\in\mathbb{Z}"),
        (r"2k\pi, k\in\mathbb{Z}", r"k\pi, k\in\mathbb{Z}"),
        (r"(k,k+1), k\in\mathbb{Z}", r"(k,k+2), k\in\mathbb{Z}"),
    ],
}

OPEN = {
    "order of points and vectors": [
        (r"\angle KLM", r"\angle LKM"),
        (r"\vec{u}\times\vec{v}", r"\vec{v}\times\vec{u}"),
        (r"\mathbf{A}\mathbf{B}", r"\mathbf{B}\mathbf{A}"),
        ("GHG^{-1}", "H"),
    ],
    "ratios": [("5:15", "15:45"), ("a:b:c", "a:c:b"), ("1:3:4", r"\frac{1}{12}")],
    "functions": [
        ("f^{-1}(x)", r"\frac{1}{f(x)}"),
        ("g^{-1}(3)", "g(3)^{-1}"),
        (r"\ln^{-1}(x)", r"\frac{1}{\ln x}"),
        ("f'(2)", "f(2)"),
        (r"\sqrt{x^2}", "x"),
        ("|x|", "x"),
    ],
    "set builders": [
        (r"\{x\in\mathbb{Z} \mid x>4\}", r"(4,\infty)"),
        (r"x>4, x\in\mathbb{Z}", "x>4"),
        (r"\{n\in\mathbb{Z} : -1\le n\le 2\}", r"\{-1,0,1,2\}"),
        (r"\{n : n^2=4\}", r"\{-2,2\}"),
        (r"\{2k : k\in\{1,2\}\}", r"\{2,4\}"),
    ],
    "qualifiers": [("9", "at least 9"), ("9", "not 9"), ("at least 9", "at most 9"), ("9", r"9\text{ excluded}")],
    "units": [("2 hours", "120"), ("7 people", "7 persons"), ("3 apples", "3 pears"), ("1 year", "365 days")],
    "number words": [("4 to 7", "7 to 4")],
    "words": [("none", "0"), ("yes", "true"), ("no", "impossible"), ("Tuesday", "Tue"), ("even", "not even")],
    "references in a sentence": [("Ann has 24 apples left.", "24"), ("24", "Ann has 24 of 30 pages")],
    "choices": [("C", "30"), ("(C) 30", "(C) 31"), ("CD", "DC")],
    "systems and matrices": [
        (r"\begin{cases} x, & x>0 \\ 1, & x<0 \end{cases}", r"\begin{cases} 1, & x>0 \\ x, & x<0 \end{cases}"),
        (r"\begin{pmatrix}3\\5\end{pmatrix}", r"\begin{pmatrix}3&5\end{pmatrix}"),
    ],
    "notation": [
        ("1101_2", "13"),
        ("C", "C_1"),
        ("7", "7_1"),
        ("C(6,2)", "15"),
        ("P_6^2", "30"),
        (r"k\pi, k\in\mathbb{Z}", r"2k\pi, (2k+1)\pi, k\in\mathbb{Z}"),
        (r"k, k\in\mathbb{N}", r"k, k\in\mathbb{Z}"),
    ],
    "not readable": [(r"\frac12", r"\log[\frac12\alpha}"), ("-B}x", "-B}y"), (r"\foo 1", r"\bar 1")],
    "direction overrides": [("5", "\u202e5")],
}


def _rows(tables: dict) -> list:
    return [pytest.param(*pair, id=f"{kind}-{pair}") for kind, pairs in tables.items() for pair in pairs]


@pytest.fixture(scope="module")
def judged(grader):
    """(reference, answer) → verdict, of all the tables, both ways, graded at once."""
    pairs = [pair for tables in (SAME, DIFFERENT, OPEN) for rows in tables.values() for pair in rows]
    pairs += [pair[::-1] for pair in pairs]
    return dict(zip(pairs, grader.grade_many([(a, r) for r, a in pairs]), strict=True))


@pytest.mark.parametrize(("reference", "answer"), _rows(SAME))
def test_the_same_in_another_writing(judged, reference, answer):
    assert judged[reference, answer].verdict == "correct"


@pytest.mark.parametrize(("reference", "answer"), _rows(DIFFERENT))
def test_different_answers_that_look_alike(judged, reference, answer):
    assert judged[reference, answer].verdict == "wrong"


@pytest.mark.parametrize(("reference", "answer"), _rows(OPEN))
def test_what_no_rule_decides(judged, reference, answer):
    assert judged[reference, answer].verdict == "undecided"


def test_no_table_depends_on_which_side_is_the_reference(judged):
    """But for a number, which does not state that it is all that x is not."""
    same_both_ways = [pair for tables in (DIFFERENT, OPEN) for rows in tables.values() for pair in rows]
    assert [pair for pair in same_both_ways if judged[pair[::-1]].verdict == "correct"] == []
    equal = [pair for rows in SAME.values() for pair in rows]
    assert [pair for pair in equal if judged[pair[::-1]].verdict == "wrong"] == []
