"""The dependencies room: what a passage uses of a sibling, and how much of a chain only repeats itself."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver import dependencies
from threadweaver.dependencies import CERTAIN, leaks, looping, pair_scores

PROBLEM = (
    "Find the number of ways to tile a strip of length 9. Let x be the length of the strip, where x > 2."
)


def score(context: str, *passages: str, source: int = 0, target: int = 1) -> float:
    return pair_scores(leaks(context, passages)).get((source, target), 0.0)


DEPENDENT = {
    "symbol defined by let": ("Let k = 3x + 1. Then k is odd.", "Since k is odd, k^2 leaves remainder 1."),
    "symbol in LaTeX": (
        "Denote by $\\alpha$ the angle at $B$.",
        "The height is $7\\sin \\alpha$, so we are done.",
    ),
    "one name in two notations": ("Let $u_{1} = 7$ be the first term.", "Multiply u₁ by itself to find 49."),
    "function": ("Define h(n) = n^2 + n for every n.", "The wanted sum is h(3) minus h(2)."),
    "value of a sequence": ("So S(4) = 31 and S(5) = 60.", "The next one is S(5) doubled, less 5."),
    "symbol explained by where": ("The area is 6w, where w is the width.", "Doubling w gives the perimeter."),
    "labelled equation": ("We get p + 2q = 11. (1)", "From (1) we may drop p."),
    "starred equation": ("Hence a² = b² + 5. (*)", "Substituting (*) gives a contradiction."),
    "lemma": ("Lemma 1: every such tiling is symmetric.", "By Lemma 1 only half of them must be counted."),
    "case by its number": (
        "Case 1: x is even. There are 12 tilings.",
        "Case 2: x is odd. This goes as in case 1.",
    ),
    "computed number": ("The sum is 1250 + 1263 = 2513.", "Subtract 2513 from the total of all tilings."),
    "computed fraction": (
        "The first chance is \\frac{17}{36}.",
        "Multiply \\frac{17}{36} by 4 to find the rest.",
    ),
    "value taken as known": ("So y = 4 holds here.", "Since y = 4, the other side has length 5."),
    "as above": ("The pieces are all squares.", "As above, all pieces must be squares."),
    "this value": ("We find 8 tilings.", "This value is too small, so we look at larger ones."),
    "the first case": (
        "There are 5 of the short kind.",
        "We need what we found in the first case and double it.",
    ),
    "the other root": ("One root is negative.", "The other root must be positive then."),
    "as before": ("Multiply out and compare.", "We multiply out as before and compare coefficients."),
    "same answer": ("So there are 55 tilings.", "Counting by colours, we get the same answer."),
    "both methods": ("The recursion gives 55.", "Generating functions give 55. Both methods agree."),
    "which matches": ("So the total is 55.", "The formula gives 55, which matches the first method."),
    "earlier": ("The bound is 20.", "Use the bound we derived earlier to stop at 20."),
}

INDEPENDENT = {
    "two cases": (
        "Case 1: x = 3. Then 3 + 3 = 6 and nothing is left.",
        "Case 2: x = 4. Then 4 + 4 = 8 and one is left.",
    ),
    "own definitions": ("Let m = 2x. Then m is even.", "Let m = 2x + 1 for another try. Then m is odd."),
    "explained after its first use": (
        "Let t = 4x.",
        "The height is t/2, where t is the side of the small square.",
    ),
    "small numbers": ("2 + 3 = 5 tilings.", "There are 5 colours and 3 shapes, so 15 pairs."),
    "computed anew": ("The product is 37 × 41 = 1517.", "Counting columns, 41 × 37 = 1517 again by hand."),
    "context knows the symbol": ("The strip x is cut in two.", "The length x is odd by assumption."),
    "own equation above": (
        "Try squares.",
        "Write 3 + 4 = 7. The equation above says nothing about 9 = 3 + 6.",
    ),
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


def test_evidence_says_what_and_where():
    source, target = "Some words. Let k = 3x + 1.", "More words, then k appears."
    leak = next(leak for leak in leaks(PROBLEM, [source, target]) if leak.kind == "symbol")
    assert (leak.what, source[leak.defined_at], target[leak.used_at]) == ("k", "k", "k")
    assert 0 <= leak.score <= 1


def test_what_stands_in_the_context_is_no_leak():
    source, target = "So k = 31 is the number.", "Using k = 31, we divide by 31."
    assert score("", source, target) >= CERTAIN
    assert score("We know already that k = 31.", source, target) < CERTAIN


@pytest.mark.parametrize("context", ["Let $xyk = 4$ hold.", "Let k be odd.", "Here (k+1)/2 is whole."])
def test_context_symbols_are_found_in_any_notation(context):
    assert score(context, "Put k = 31.", "Now k is prime.") < CERTAIN


def test_the_english_article_is_no_symbol():
    assert score("Let a be a number.", "Take a square.", "Draw a circle.") < CERTAIN
    assert score("Draw a circle.", "Let a = 5 be the side.", "Now 3a is the perimeter.") >= CERTAIN


def test_pointing_back_is_resolved_to_the_sibling_that_holds_the_value():
    passages = [
        "First part: 12 + 7 = 1219.",
        "Second part: nothing here.",
        "As we found before, 1219 is prime.",
    ]
    found = pair_scores(leaks("", passages))
    assert found[0, 2] >= CERTAIN
    assert found.get((1, 2), 0.0) < CERTAIN


def test_each_ordered_pair_has_its_own_score():
    found = pair_scores(leaks("", ["Let q = 7.", "Nothing of it.", "Then 3q = 21."]))
    assert found[0, 2] >= CERTAIN
    assert all(found.get(pair, 0.0) < CERTAIN for pair in [(0, 1), (1, 2), (2, 0), (2, 1), (1, 0)])


def test_weak_evidence_adds_up():
    one = pair_scores([dependencies.Leak(0, 1, "noun", "pyramid", 0, 0, 0.4)])
    two = pair_scores([dependencies.Leak(0, 1, "noun", w, 0, 0, 0.4) for w in ("pyramid", "apex")])
    assert one[0, 1] == pytest.approx(0.4) and two[0, 1] == pytest.approx(0.64)


def test_things_spoken_of_as_known_count():
    source = "Drop a perpendicular from the apex and obtain a pyramid with a rhombus below."
    target = "Each pyramid has height 4, the rhombus has side 2, and the apex is above it."
    assert score("", source, target) > score(
        "The pyramid, the rhombus and the apex are given.", source, target
    )


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
            "$",
            "\\(",
            "\n",
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


LOOPS = {
    "no repeats": ("One line of work.\n\nAnother line of work.\n\nA third line of work.", 0.0),
    "half repeats": ("The same long paragraph.\n\nThe same long paragraph.", 0.5),
    "white space aside": ("The  same long paragraph.\n \nThe same\nlong paragraph.", 0.5),
    "short ones may recur": ("No.\n\nNo.\n\nNo.\n\n1 + 2 = 3\n\n1 + 2 = 3", 0.0),
    "empty": ("", 0.0),
    "only blanks": (" \n\n \n", 0.0),
}


@pytest.mark.parametrize("name", LOOPS)
def test_looping_share(name):
    text, share = LOOPS[name]
    assert looping(text) == pytest.approx(share)


def test_a_loop_over_single_newlines_is_one():
    assert looping("\n".join(["Let me check this once more."] * 300)) > 0.9


def test_other_line_ends_do_not_split_paragraphs():
    assert looping("The same long line.\r\rThe same long line.") == 0.0


def test_long_chains_take_linear_time():
    def seconds(lines: int) -> float:
        text = "\n".join(f"Then x_{i % 7} = {i} and k = {i}/3 as we found before." for i in range(lines))
        began = time.process_time()
        leaks(text, [text, text])
        looping(text)
        return time.process_time() - began

    seconds(200)
    assert seconds(8000) < 12 * max(seconds(1000), 0.02)
