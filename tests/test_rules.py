"""The rules annotator: the steps it writes, the edits and outlines it proposes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.annotators.rules.wording import propose_edits
from threadweaver.outlines.checks import describe_unfit
from threadweaver.trajectory import annotation, markup

PROBLEM = "How many integers n with 1 ≤ n ≤ 60 satisfy that n^2 + n is divisible by 12?"
INTRO = """First I restate what is asked: n(n + 1) has to be a multiple of 12, for n up to 60.

Since n and n + 1 have no common factor, I can look at the two prime powers 4 and 3 apart from each other.

"""
CASES = """Case 1: n is even. Then n + 1 is odd, so the factor 4 has to come from n alone.
That means n = 4m for some whole m, and such n run through 4, 8, 12 and so on up to 4 * 15 = 60.
Among them, 3 divides n or n + 1 for two of every three values, which leaves ten of the fifteen.

Case 2: n is odd. Then n + 1 is even and has to hold the whole factor 4.
So n + 1 = 4m for some whole m, and means n runs through 3, 7, 11 and so on up to 60 - 1 = 59.
Again two of every three of these work for the factor 3, which leaves ten of the fifteen.

"""
ENDING = """In total there are 10 + 10 = 20 such integers.

**Final Answer**
\\boxed{20}
"""
CHAIN = INTRO + CASES + ENDING

METHODS = """Let me use the formula for the sum of the first n odd numbers to find the sum 1 + 3 + 5 + ... + 39.

There are 20 terms, because the k-th odd number is 2k - 1 and 2k - 1 = 39 means k = 20.

The sum of the first k odd numbers is k^2, so the sum is 20^2 = 400.

Alternatively, use the method of pairs from the two ends: 1 + 39 = 40, 3 + 37 = 40, and so on.

Every pair has the sum 40 and the terms form 10 pairs, so nothing is left over in the middle of the list, which one sees by writing them down.

So the pairs give 10 * 40 = 400 for the whole sum.

Therefore, the answer is 400 in both ways, and I am confident about it.

**Final Answer**
\\boxed{400}
"""


def read(problem: str, thinking: str) -> tuple[annotation.Annotation, list[str]]:
    lines = annotation.lines(thinking)
    return annotation.parse(annotate_steps(problem, thinking), lines), lines


def threads_of(problem: str, thinking: str) -> list[list[str]]:
    noted, lines = read(problem, thinking)
    return [
        ["\n".join(lines[note.lines.first - 1 : note.lines.last]) for note in block.threads] for block in noted.blocks
    ]


def test_cases_become_threads_and_the_conclusion_stays_outside():
    [[one, two]] = threads_of(PROBLEM, CHAIN)
    assert one.startswith("Case 1") and two.startswith("Case 2")
    assert "In total" not in two and "Final" not in two


def test_a_second_method_becomes_a_sibling_of_the_first():
    [[one, two]] = threads_of("Find 1 + 3 + 5 + ... + 39.", METHODS)
    assert two.startswith("Alternatively") and "k^2" in one
    assert "both ways" not in two


def test_the_written_form_is_what_the_reader_expects():
    text = annotate_steps(PROBLEM, CHAIN)
    noted, _ = read(PROBLEM, CHAIN)
    assert noted.defects == ()
    assert all(note.passed for block in noted.blocks for note in block.threads)
    assert re.search(r"^<parallel>\[Parallel reason: .+\]$", text, re.M)
    assert re.search(r"^</thread> \(range: L\d+-L\d+, check passed: .+\)$", text, re.M)
    assert [step.number for step in noted.steps] == [str(number) for number in range(1, len(noted.steps) + 1)]


DEPENDENT = {
    "uses the other case": CASES.replace("which leaves ten of the fifteen.\n\n", "as in the first case, so ten.\n\n")
    .replace(
        "Again two of every three of these work for the factor 3, as in the first case, so ten.",
        "By the result of case 1 the factor 3 leaves two of every three of them.",
    )
    .replace("for two of every three values, as in the first case, so ten.", "for two of every three values."),
    "uses a symbol of the other case": CASES.replace(
        "That means n = 4m for some whole m", "Let w denote the count of such n"
    ).replace("So n + 1 = 4m for some whole m", "So 4w of them are here"),
    "uses a number of the other case": CASES.replace(
        "which leaves ten", "so 15.375 of them, which leaves ten", 1
    ).replace("Again two of every three", "Multiply 15.375 by two: again two of every three"),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_cases_that_depend_on_one_another_are_not_a_block(name):
    assert DEPENDENT[name] != CASES
    assert threads_of(PROBLEM, INTRO + DEPENDENT[name] + ENDING) == []


BAD_CUTS = {
    "what follows finishes the last thread": (
        ENDING,
        "Wait, for n = 59 I have n + 1 = 60 as well.\n\nSo there are more.\n" + ENDING,
    ),
    "what follows takes the same step for the next object": (
        ENDING,
        "Similarly, count the values with remainder 7.\n\n" + ENDING,
    ),
    "a thread opens with the end of the part before": ("Case 1: n is even. Then", "So that gives n even. Then"),
    "a thread ends with what the next one is to do": (
        "leaves ten of the fifteen.\n\nCase 2",
        "leaves ten. Let me think about it.\n\nCase 2",
    ),
    "a formula is left open": ("which leaves ten of the fifteen.\n\n" + ENDING, "which leaves (ten of\n\n" + ENDING),
    "a thread works nothing out": (
        "So n + 1 = 4m for some whole m, and means n runs through 3, 7, 11 and so on up to 60 - 1 = 59.",
        "Such n are found as one would expect them to be found.",
    ),
    "the last thread gathers": ("Again two of every three", "In both cases two of every three"),
}


@pytest.mark.parametrize("name", BAD_CUTS)
def test_no_block_where_a_cut_is_wrong(name):
    old, new = BAD_CUTS[name]
    assert old in CHAIN and len(threads_of(PROBLEM, CHAIN)) == 1
    assert threads_of(PROBLEM, CHAIN.replace(old, new)) == []


def test_a_long_number_of_the_other_case_is_borrowed_even_if_it_gets_a_new_name():
    taken = CASES.replace("which leaves ten of", "so 3 * 4055 = 12165, which leaves ten of", 1)
    taken = taken.replace("Again two of", "With w = 12165 it is clear: two of")
    assert threads_of(PROBLEM, INTRO + taken + ENDING) == []


def test_plan_and_first_step_are_not_threads():
    chain = (
        INTRO
        + "I could factor it or try values. Let me try values first.\n\nLet me try values: 3, 8 and 11 all work.\n\n"
        + ENDING
    )
    assert threads_of(PROBLEM, chain) == []


def test_a_sequence_of_computed_values_is_not_a_block():
    steps = "".join(
        f"n = {k}: S({k}) = S({k - 1}) + {k * k}, which gives a longer and longer sum each time.\n\n"
        for k in range(2, 9)
    )
    assert threads_of("Find S(8).", "S(1) = 1 to begin with.\n\n" + steps + "So the sum is found.\n") == []


def test_values_tried_one_by_one_are_grouped_into_few_threads():
    tried = "".join(
        f"If n = {n}, then n^2 + n = {n * n + n}, and dividing by twelve leaves {(n * n + n) % 12}.\n\n"
        for n in range(3, 11)
    )
    [threads] = threads_of(
        PROBLEM, "Let me just try small values.\n\n" + tried + "In total some of them work.\n\nSo there are more.\n"
    )
    assert 2 <= len(threads) <= 4
    sizes = [len(text) for text in threads]
    assert min(sizes) > 0.4 * max(sizes)


PLANES = "Find p, q and r from the four distances of the corners."
REPEATS = """We write p*x + q*y + r*z + s for the signed distance and get one equation for each corner:

1. p*x + q*y + r*z + s = k
2. p*(x + 10) + q*y + r*z + s = 10
3. p*x + q*(y + 10) + r*z + s = 11
4. p*x + q*y + r*(z + 10) + s = 12

Now, subtract equation 1 from equation 2:

[p*(x + 10) + q*y + r*z + s] - [p*x + q*y + r*z + s] = 10 - k

Which gives 10*p = 10 - k => p = (10 - k)/10

Similarly, subtract equation 1 from equation 3:

[p*x + q*(y + 10) + r*z + s] - [p*x + q*y + r*z + s] = 11 - k

Which gives 10*q = 11 - k => q = (11 - k)/10

Similarly, subtract equation 1 from equation 4:

[p*x + q*y + r*(z + 10) + s] - [p*x + q*y + r*z + s] = 12 - k

Which gives 10*r = 12 - k => r = (12 - k)/10

So, now we have expressions for p, q, r in terms of k.

The plane is normalised, so p^2 + q^2 + r^2 = 1 and k can be found.
"""


def test_the_same_computation_for_other_objects_becomes_threads_cut_where_each_begins():
    [threads] = threads_of(PLANES, REPEATS)
    assert [text.split("\n")[0] for text in threads] == [
        "Now, subtract equation 1 from equation 2:",
        "Similarly, subtract equation 1 from equation 3:",
        "Similarly, subtract equation 1 from equation 4:",
    ]
    assert threads[-1].endswith("r = (12 - k)/10")


NEXT = """Next, b = {b}.

The root of {b} rounded up is {low}, so k runs from {low} to {high}, since k stays below {b}.

For k = {high} we have k^2 - k = {value}, and {value} divided by {high} leaves {rest}.

So only k = {high} works, giving 1 beautiful number for b = {b}.

"""


def test_a_line_that_names_the_next_object_opens_its_thread():
    cases = "".join(NEXT.format(b=b, low=2 + (b > 4), high=b - 1, value=(b - 1) * (b - 2), rest=0) for b in range(3, 8))
    chain = "Let me go through small bases and count the numbers for each of them.\n\n" + cases + ENDING
    [threads] = threads_of("How many numbers are beautiful for small b?", chain)
    assert len(threads) >= 3
    for text in threads:
        assert text.startswith("Next, b = ") and text.count("Next, ") == 1
        assert text.endswith(f"for {text.split('.')[0][6:]}.")


STEPS_ALIKE = {
    "each step takes up the figure of the one before": "".join(
        f"1.005^{k} = {1.005 ** (k - 1):.9f} * 1.005, which comes to {1.005**k:.9f} when it is rounded.\n\n"
        for k in range(3, 13)
    ),
    "each step takes up the name of the one before": "".join(
        f"a{k} = a{k - 1} + log({3 * k + 2}/{3 * k - 1}) = log({3 * k + 2}), and {3 * k + 2} is no power of the base 5 at all.\n\n"
        for k in range(3, 13)
    ),
    "entries of a list too short to be parts": "".join(
        f"r={k}:{40 - k}<={49 - k} {'yes' if k % 2 else 'no'}\n" for k in range(40)
    ),
}


@pytest.mark.parametrize("name", STEPS_ALIKE)
def test_steps_of_one_computation_are_not_threads_however_alike(name):
    chain = (
        "Let me compute these one by one.\n\n"
        + STEPS_ALIKE[name]
        + "\nIn total this is the result.\n\nSo it is found.\n"
    )
    assert threads_of("Find the value.", chain) == []


def test_a_sum_of_a_case_of_its_own_parts_does_not_end_the_case():
    summed = CASES.replace(
        "That means n = 4m for some whole m",
        "There are 7 of one kind and 8 of the other.\n\nAdding them up: 7 + 8 = 15.\n\nThat means n = 4m for some whole m",
    )
    [[one, two]] = threads_of(PROBLEM, INTRO + summed + ENDING)
    assert "Adding them up" in one and one.endswith("ten of the fifteen.") and two.startswith("Case 2")


CASES_OF_FIVE = [
    "Case 1: n = 7k + 1. Then n^2 = 49k^2 + 14k + 1, which leaves 1. So this case works, and it is met by 13 values up to 90.",
    "Case 2: n = 7k + 2. Then n^2 = 49k^2 + 28k + 4, which leaves 4. So this case fails.",
    "Case 3: n = 7k + 3. Then n^2 = 49k^2 + 42k + 9, which leaves 2. "
    + "The remainder 2 is no solution here, as one sees from 2 * 2 = 4 at once. " * 3
    + "So this case fails.",
    "Case 4: n = 7k + 4. Then n^2 = 49k^2 + 56k + 16, and 16 - 14 = 2 is left. So this case fails.",
    "Case 5: n = 7k + 5. Then n^2 = 49k^2 + 70k + 25, and 25 - 21 = 4 is what it leaves. So this case fails.",
]


def test_cases_of_unequal_length_stay_threads_of_their_own():
    cases = "".join(case + "\n\n" for case in CASES_OF_FIVE)
    [threads] = threads_of("Which squares leave 1?", "There are a few cases to go through.\n\n" + cases + ENDING)
    assert len(threads) >= 4
    assert [text[:6] for text in threads] == [f"Case {k}" for k in range(1, len(threads) + 1)]


def test_something_shaped_like_a_tag_stays_outside_blocks():
    assert threads_of(PROBLEM, CHAIN.replace("for some whole m", "for some <m>")) == []


def test_a_chain_that_only_repeats_itself_has_no_block():
    assert threads_of(PROBLEM, INTRO + CASES * 6 + ENDING) == []


def test_the_last_lines_of_a_chain_are_not_a_thread():
    assert threads_of(PROBLEM, INTRO + CASES.strip() + "\n") == []


LINES = st.sampled_from(
    [
        "",
        " ",
        "\t",
        "Case 1: n is even.",
        "Case 2: n is odd.",
        "Alternatively, we can count.",
        "So n = 4.",
        "**Part:** x",
        "1. One",
        "- x: y",
        "If $k=3$, then $k^2=9$.",
        "Similarly, for B.",
        "Wait, no.",
        "<n>",
        "(L3-L9) \u2028 x",
        "a\rb",
        "\\[ x",
        "$5 and $7",
        "Let m = 2.",
        "x" * 130,
    ]
)


@given(st.lists(LINES, max_size=40).map("\n".join))
@settings(max_examples=200, deadline=None)
def test_every_line_with_text_is_in_one_step_in_order(thinking):
    noted, lines = read(PROBLEM, thinking)
    assert noted.defects == ()
    covered = [number for step in noted.steps for number in range(step.lines.first, step.lines.last + 1)]
    assert covered == sorted(set(covered))
    assert {number for number, line in enumerate(lines, 1) if line.strip()} <= set(covered)
    for block in noted.blocks:
        assert len(block.threads) >= 2
        for note in block.threads:
            assert lines[note.lines.first - 1].strip() and lines[note.lines.last - 1].strip()
        for one, two in zip(block.threads, block.threads[1:], strict=False):
            assert not any(line.strip() for line in lines[one.lines.last : two.lines.first - 1])


def test_the_same_text_gives_the_same_annotation():
    assert annotate_steps(PROBLEM, CHAIN) == annotate_steps(PROBLEM, CHAIN)


EDITS = {
    "Alternatively, we can count squares.": "We can count squares.",
    "Alternatively we can count squares.": "We can count squares.",
    "Another way: count the squares.": "One way: count the squares.",
    "Let me try another approach: count.": "Let me try an approach: count.",
    "But wait, let me think about another way of counting.": "Let me think about a way of counting.",
    "Similarly, the even ones sum to 40.": "The even ones sum to 40.",
    "Likewise, $x = 4$ holds.": "$x = 4$ holds.",
    "Case 2 similarly: n is odd.": "Case 2: n is odd.",
    "**Case 2:** n is odd.": None,
    "Case 2: n is odd.": None,
    "Similarly to the tens place, count.": None,
    "So, the sum is 40.": None,
    "Now consider the squares.": None,
    "2. Next, the tens place.": "2. The tens place.",
}


@pytest.mark.parametrize("thread", EDITS)
def test_edits_of_a_beginning(thread):
    rest = "\nThen the count goes on, and alternatively it may stop.\nSimilarly, all is well: another way is shut."
    edits = propose_edits("", ["The first way."], thread + rest)
    if EDITS[thread] is None:
        assert edits == []
        return
    [(src, dest)] = edits
    assert (thread + rest).count(src) == 1
    assert (thread + rest).replace(src, dest) == EDITS[thread] + rest


def test_an_edit_takes_more_words_until_it_is_the_only_one_of_its_kind():
    thread = "Similarly, the odd ones.\nSimilarly, the even ones."
    [(src, dest)] = propose_edits("", [], thread)
    assert thread.count(src) == 1 and thread.replace(src, dest).startswith("The odd ones.\nSimilarly")


@given(st.text(alphabet="Alterntivy, SimAcoh$x=4\\(1).\n ", max_size=60))
@settings(max_examples=200, deadline=None)
def test_an_edit_never_touches_mathematics(thread):
    for src, dest in propose_edits("", [], thread):
        assert thread.count(src) == 1
        assert re.sub(r"[A-Za-z\s,.:']", "", dest) in re.sub(r"[A-Za-z\s,.:']", "", src)
        assert not re.search(r"[$\\=\d]", src) or re.findall(r"[$\\=\d]", src) == re.findall(r"[$\\=\d]", dest)


def test_outlines_announce_the_plan_and_not_the_result():
    threads = threads_of(PROBLEM, CHAIN)[0]
    assert propose_outlines(PROBLEM, INTRO, threads) == ["Case 1: n is even", "Case 2: n is odd"]


OUTLINES = {
    "Alternatively, maybe we can use the discriminant of the cubic. It is 49.": "Use the discriminant of the cubic",
    "Let me check the result by substituting it back.": "Check the result by substituting it back",
    "**Tens place:** the digit 4 appears 50 times.": "Treat the tens place on its own",
    "**Tens place.** There is nothing to it.": "Treat the tens place on its own",
    "If $k=12$, then $k^2 = 144$.": "Work out what follows for k=12",
    "Another way is to count the complement first.": "Count the complement first",
    "Looking at all the factors of the number, we see 7.": "Look at all the factors of the number",
}


@pytest.mark.parametrize("thread", OUTLINES)
def test_outline_of_an_opening(thread):
    assert propose_outlines(PROBLEM, "", [thread])[0] == OUTLINES[thread]


def test_a_value_that_is_not_known_before_is_left_out():
    [text] = propose_outlines("Find p.", "", ["Case 3: $p = 17$. Then nothing works."])
    assert "17" not in text and text.startswith("Case 3")
    [text] = propose_outlines("Find p below 17.", "It may be p = 17.", ["Case 3: $p = 17$. Then nothing works."])
    assert "17" in text


def test_siblings_get_different_outlines():
    outlines = propose_outlines("", "", ["Let me count the squares here.", "Let me count the squares here.", "$x$"])
    assert len(set(outlines)) == 3


@given(st.lists(st.lists(LINES, min_size=1, max_size=4).map("\n".join), min_size=2, max_size=4))
@settings(max_examples=150, deadline=None)
def test_outlines_fit_their_bounds(threads):
    outlines = propose_outlines(PROBLEM, INTRO, threads)
    assert describe_unfit(outlines, len(threads)) is None
    for text in outlines:
        assert 4 <= len(text.split()) <= 25 and "\n" not in text
        assert not markup.TAG_SHAPED.search(text)
