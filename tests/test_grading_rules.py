"""What text and rational numbers settle: guards, plain numbers, and properties that always hold."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.grading import final_answer, guards, values, verdict
from threadweaver.grading.compare import same
from threadweaver.grading.normalize import key, normalize

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
