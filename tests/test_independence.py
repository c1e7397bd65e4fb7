"""Independence: what a passage uses of a sibling."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.independence import CONFIDENT, leaks

PROBLEM = "Find the number of ways to tile a strip of length 9. Let x be the length of the strip, where x > 2."


def score(context: str, *passages: str, source: int = 0, target: int = 1) -> float:
    found = leaks(context, passages)
    return max((leak.score for leak in found if (leak.source, leak.target) == (source, target)), default=0.0)


DEPENDENT = {
    "symbol defined by let": ("Let k = 3x + 1. Then k is odd.", "Since k is odd, k^2 leaves remainder 1."),
    "symbol in LaTeX": ("Denote by $\\alpha$ the angle at $B$.", "The height is $7\\sin \\alpha$, so we are done."),
    "one name in two notations": ("Let $u_{1} = 7$ be the first term.", "Multiply u₁ by itself to find 49."),
    "function": ("Define h(n) = n^2 + n for every n.", "The wanted sum is h(3) minus h(2)."),
    "value of a sequence": ("So S(4) = 31 and S(5) = 60.", "The next one is S(5) doubled, less 5."),
    "symbol explained by where": ("The area is 6w, where w is the width.", "Doubling w gives the perimeter."),
    "labelled equation": ("We get p + 2q = 11. (1)", "From (1) we may drop p."),
    "starred equation": ("Hence a² = b² + 5. (*)", "Substituting (*) gives a contradiction."),
    "lemma": ("Lemma 1: every such tiling is symmetric.", "By Lemma 1 only half of them must be counted."),
    "case by its number": ("Case 1: x is even. There are 12 tilings.", "Case 2: x is odd. This goes as in case 1."),
    "computed number": ("The sum is 1250 + 1263 = 2513.", "Subtract 2513 from the total of all tilings."),
    "computed fraction": ("The first chance is \\frac{17}{36}.", "Multiply \\frac{17}{36} by 4 to find the rest."),
    "value taken as known": ("So y = 4 holds here.", "Since y = 4, the other side has length 5."),
}

INDEPENDENT = {
    "two cases": (
        "Case 1: x = 3. Then 3 + 3 = 6 and nothing is left.",
        "Case 2: x = 4. Then 4 + 4 = 8 and one is left.",
    ),
    "own definitions": ("Let m = 2x. Then m is even.", "Let m = 2x + 1 for another try. Then m is odd."),
    "explained after its first use": ("Let t = 4x.", "The height is t/2, where t is the side of the small square."),
    "small numbers": ("2 + 3 = 5 tilings.", "There are 5 colours and 3 shapes, so 15 pairs."),
    "computed again": ("The product is 37 × 41 = 1517.", "Counting columns, 41 × 37 = 1517 again by hand."),
    "context knows the symbol": ("The strip x is cut in two.", "The length x is odd by assumption."),
    "own equation above": ("Try squares.", "Write 3 + 4 = 7. The equation above says nothing about 9 = 3 + 6."),
    "own heading": ("First method: count the squares.", "Second method: count the dominoes."),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_dependence_is_certain(name):
    found = leaks(PROBLEM, DEPENDENT[name])
    assert any(leak.certain and (leak.source, leak.target) == (0, 1) for leak in found), found


@pytest.mark.parametrize("name", INDEPENDENT)
def test_independent_passages_are_left_alone(name):
    found = leaks(PROBLEM, INDEPENDENT[name])
    assert not [leak for leak in found if leak.certain]


# What has been set up long before a block: passages that only go back to it do not depend on each other.
SETUP = (
    "The circles have radii 6 and 10. We computed the distance as 2513. The two circles are tangent. "
    "The quadratic $x^2 - 7x + 12$ factors. Equation 6: p = 4. There are three tilings of the border. "
    "Let a and b be the sides."
)
# name: (passage, later passage, kind of evidence). The later passage depends on the earlier one.
LEANING = {
    "formula in LaTeX": (
        "So the area is $\\frac{17a+3}{5}$.",
        "Another thought. We minimise $\\frac{17a + 3}{5}$ over all sides.",
        "expression",
    ),
    "formula in plain notation": (
        "The last term is 3n + 12 - 2m here, and it counts: 3n + 12 - 2m ≥ 1.",
        "So, \\( 3n + 12 - 2m \\geq 1 \\), which simplifies.",
        "expression",
    ),
    "number under a root": ("The product equals 3569.", "We still take $\\sqrt{3569}$.", "number"),
    "three digits": ("Adding up gives 623 in all.", "Reduce 623 modulo 7.", "number"),
    "number with an article": ("So the total comes to 429.", "We divide the total 429 by the groups.", "number"),
    "sign as a label": (
        "Let me mark $p + q = 9$ as (★).",
        "Applying (★) to the outer pair leaves one unknown.",
        "label",
    ),
    "lemma that acts": ("Lemma V. Each row has a gap.", "Lemma V now rules out full rows.", "label"),
    "row of numbers": (
        "So the exponents are 3, 7, 8, 12 in the end.",
        "Adding over 3, 7, 8, 12 we get thirty.",
        "expression",
    ),
    "formula that was only brought in": (
        "This turns the left side into $7m(m+26)$ at once.",
        "We need $7m(m + 26) \\ge 0$, a bound from below.",
        "expression",
    ),
    "begins in a formula": ("The sum is $3a + 4b$", "$= 3(a + b) + b$, an odd number.", "equation"),
    "begins with an arrow": ("Then 3a = 12", "⇒ a = 4, which is even.", "equation"),
    "ends before its formula": ("The sum is 3a + 4b =", "7a - 4 for these values.", "equation"),
    "takes up the last equation": (
        "We square both sides.\nSo $w^2 - 7w + 5 = 3w$.",
        "Here $w^2 - 7w + 5 - 3w = 0$ as well as $w^2 - 7w + 5 = 3w$ factor.",
        "equation",
    ),
}


# The same kinds of wording without anything of the earlier passage behind it.
FREE = {
    "formula worked out again": ("So the area is $9a + 14b$.", "Weigh both: $(3a + 4b) · 3 + 2b = 9a + 14b$."),
    "formula of the context": ("Then $x^2 - 7x + 12$ is zero.", "Take $x^2 - 7x + 12$ at 5."),
    "value of a function only": ("It gives $f(9)$ as well.", "Look at $f(9)$ in the table."),
    "result of a calculation": ("So 54 · 18 = 972 there.", "At the far end, 36 · 27 = 972 too."),
    "number of the context": ("That is 2513 again.", "Divide 2513 by 7."),
    "angles": ("The directions are 105 and 165.", "Lines at 105 and 165 degrees meet."),
    "finding of the context": (
        "Recall the two circles are tangent.",
        "Since the two circles are tangent, add the radii.",
    ),
    "own finding": (
        "The sum is odd, we saw.",
        "Here the sum is odd, as one term is. Since the sum is odd, no pairing exists.",
    ),
    "sets out": ("We count them:", "Alternatively, colour the strip."),
    "another case": ("Case 1 is done. It gives 5.", "Case 2: the width is even. Then 3 are left."),
    "the case of an inequality": ("Case 1: x is small.", "For the case 1 < x < 2 the square is below 4."),
    "the case of a larger inequality": ("Case 1: x is small.", "For the case 12 < x < 20 the square is large."),
    "own list": ("1. Take logs.", "2. Draw a picture."),
    "limit": ("It falls.", "What about x approaching 3 from above? It grows."),
    "a noun, not a verb": ("We add.", "Where did the calculation error occur earlier? 4 + 4 = 8."),
    "thinks again": ("Take squares.", "Let me think again. The strip has length 9."),
    "explains its letter": ("Let the middle be $m$.", "If the median is $m$, half lie below it."),
    "a unit": ("The speed is h = 5 in steps.", "Walking at 5 km/h all day will do."),
}


FREE |= {
    "difference of its own numbers": ("So 420 are left.", "Of 756 in all 336 touch, and 420 do not."),
    "interval": ("Take [256,512) first.", "Two ranges, [256,512) and [512,1024), follow."),
    "angle of known points": ("Use angle APB.", "Angle APB in triangle PAB and line BP, from angle PBA."),
    "cases told apart": (
        "Case 1: the width is even. Case 2: it is odd.",
        "By sign: in Case 1 the gap is positive, in Case 2 it is negative.",
    ),
    "own letter in a formula": ("So we look at $(1+w)^{13}$ here.", "Let $w$ be a root. We want $5(1+w)^{13}$ for it."),
    "formula from memory": (
        "Use that $\\cot x = 1/\\tan x$.",
        "I remember that $\\cot x = 1/\\tan x$ holds in general.",
    ),
    "brought in as what it is": ("Call its radius $R$.", "A length near it, which I assume is the radius."),
    "two things set up": (
        "Let u be the number of marbles drawn.",
        "The width is odd. Here let u stand for the number of marbles drawn later.",
    ),
    "own row": ("Rows: 1, 2, 3, 4, 5.", "Again 1, 2, 3, 4, 5 are the values."),
}
FREE_SETUP = SETUP + " Points A, B and P lie on a circle; 756 and 336 were counted."


@pytest.mark.parametrize("name", LEANING)
def test_each_kind_of_dependence_is_found(name):
    source, target, kind = LEANING[name]
    found = [leak for leak in leaks(SETUP, [source, target]) if (leak.source, leak.target) == (0, 1)]
    assert max((leak.score for leak in found if leak.kind == kind), default=0.0) >= CONFIDENT, found


@pytest.mark.parametrize("name", FREE)
def test_what_only_looks_like_dependence_is_left_alone(name):
    found = leaks(FREE_SETUP, FREE[name])
    assert not [leak for leak in found if leak.certain and (leak.source, leak.target) == (0, 1)]


def test_results_of_several_siblings_in_one_expression_are_found():
    parts = ["The first kind: 2 · 7 = 14.", "The second kind gives 23.", "The whole is 14 + 23 = 37."]
    found = [leak for leak in leaks(SETUP, parts) if leak.kind == "results"]
    assert {(leak.source, leak.target) for leak in found} == {(0, 2), (1, 2)} and all(leak.certain for leak in found)


@pytest.mark.parametrize(
    "whole",
    [
        "Here 14 + 20 = 34.",
        "There are 14 and there are 23; 14 + 23 = 37.",
        "We add 4 + 3 = 7.",
        "Two sides, 14 + x + 23.",
    ],
)
def test_numbers_that_a_passage_has_by_itself_are_no_results_of_its_siblings(whole):
    parts = ["The first kind: 2 · 7 = 14.", "The second kind gives 23.", whole]
    assert not [leak for leak in leaks(SETUP, parts) if leak.kind == "results"]


def test_evidence_names_what_and_where():
    source, target = "Some words. Let k = 3x + 1.", "More words, then k appears."
    leak = next(leak for leak in leaks(PROBLEM, [source, target]) if leak.kind == "symbol")
    assert (leak.what, source[leak.defined_at], target[leak.used_at]) == ("k", "k", "k")
    assert 0 <= leak.score <= 1


def test_what_the_context_contains_is_not_a_leak():
    source, target = "So k = 31 is the number.", "Using k = 31, we divide by 31."
    assert score("", source, target) >= CONFIDENT
    assert score("We know already that k = 31.", source, target) < CONFIDENT


@pytest.mark.parametrize("context", ["Let $xyk = 4$ hold.", "Let k be odd.", "Here (k+1)/2 is whole."])
def test_context_symbols_are_found_in_any_notation(context):
    assert score(context, "Put k = 31.", "Now k is prime.") < CONFIDENT


def test_the_english_article_is_not_a_symbol():
    assert score("Let a be a number.", "Take a square.", "Draw a circle.") < CONFIDENT
    assert score("Draw a circle.", "Let a = 5 be the side.", "Now 3a is the perimeter.") >= CONFIDENT


def test_each_ordered_pair_has_its_own_score():
    found = leaks("", ["Let q = 7.", "Nothing of it.", "Then 3q = 21."])
    assert {(leak.source, leak.target) for leak in found if leak.certain} == {(0, 2)}


@given(st.text(max_size=200), st.lists(st.text(max_size=120), max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read(context, passages):
    for leak in leaks(context, passages):
        assert leak.source != leak.target and 0 < leak.score <= 1
        assert 0 <= leak.used_at <= len(passages[leak.target])
        assert 0 <= leak.defined_at <= len(passages[leak.source])


MATH = st.lists(
    st.sampled_from(
        [
            "$x_1$",
            "\\frac{3}{17}",
            "k = 4",
            "(1)",
            "f(3)",
            "As above,",
            "Case 2:",
            *("$", "\\(", "\n"),
            "²",
            "so",
            "a",
            "1.5",
        ]
    ),
    max_size=30,
).map(" ".join)


@given(MATH, MATH, MATH)
@settings(max_examples=150, deadline=None)
def test_reading_is_deterministic_and_total(context, one, two):
    assert leaks(context, [one, two]) == leaks(context, [one, two])


RUNS = ["\n", " ", "\t", "$", " \n\t$", "\\", "(", "{", "= ", "1", "x=1 ", "Case 1: ", "(1) ", "\\frac{", "& ", "1+"]


@pytest.mark.parametrize("run", RUNS)
def test_reading_takes_linear_time_whatever_repeats(run):
    def seconds(count: int) -> float:
        filled = f"Let x = 5.{run * count}y"
        began = time.process_time()
        leaks("the context", [filled, f"y{run * count}x = 5", f"x ={run * count}"])
        return time.process_time() - began

    assert seconds(4000) < 8 * seconds(1000) + 0.2  # in quadratic time: 16
