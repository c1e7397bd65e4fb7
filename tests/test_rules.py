"""The rules annotator: the steps it writes, the edits and outlines it proposes."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.annotators.rules.heads import head_of
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


def test_the_written_form_is_what_the_reader_expects():
    text = annotate_steps(PROBLEM, CHAIN)
    noted, _ = read(PROBLEM, CHAIN)
    assert noted.defects == ()
    [block] = noted.blocks
    assert (block.kind, block.novelty) == ("cases", "new work")
    assert all(note.passed and note.takes == "nothing" for note in block.threads)
    assert re.search(r"^<parallel>\[cases; new work; .+\]$", text, re.M)
    assert [step.number for step in noted.steps] == [str(number) for number in range(1, len(noted.steps) + 1)]


METHODS = CHAIN.replace("Case 1: n is even. Then", "Method 1: take even n. Then").replace(
    "Case 2: n is odd. Then", "Method 2: take odd n. Then"
)
PLACES = (
    CHAIN.replace("Since n and", "I count the values of n separately. Since n and")
    .replace("Case 1: n is even. Then", "**Even places:** then")
    .replace("Case 2: n is odd. Then", "**Odd places:** then")
    .replace("places:", "place:")
)
VALUES = CHAIN.replace("Since n and", "So the parity of n matters. Since n and").replace(
    "Case 1: n is even. Then", "If n is even, then"
)
VALUES = VALUES.replace("Case 2: n is odd. Then", "If n is odd, then")
SERIES = {
    "methods": (METHODS, "methods", ["Use method 1: take even n", "Use method 2: take odd n"]),
    "titles": (
        PLACES,
        "quantities",
        ["Count the values of n in the even place", "Count the values of n in the odd place"],
    ),
    "values": (VALUES, "cases", ["Work out the case that n is even", "Work out the case that n is odd"]),
    "cases": (CHAIN, "cases", ["Work out case 1: n is even", "Work out case 2: n is odd"]),
    "cases by number word": (
        CHAIN.replace("Case 1:", "First case:").replace("Case 2:", "Second case:"),
        "cases",
        ["Work out the first case: n is even", "Work out the second case: n is odd"],
    ),
    "options": (
        CHAIN.replace("Case 1: n", "Option A: n").replace("Case 2: n", "Option B: n"),
        "candidates",
        ["Check option A: n is even", "Check option B: n is odd"],
    ),
    "a heading of its own line": (
        CHAIN.replace("Case 1: n is even. Then", "### Case 1: n is even\n\nThen"),
        "cases",
        ["Work out case 1: n is even", "Work out case 2: n is odd"],
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_every_kind_of_series_becomes_a_block_with_the_outlines_of_its_headings(name):
    chain, kind, outlines = SERIES[name]
    assert [block.kind for block in read(PROBLEM, chain)[0].blocks] == [kind]
    [threads] = threads_of(PROBLEM, chain)
    assert propose_outlines(PROBLEM, chain.partition(threads[0])[0], threads) == outlines


NO_BLOCK = {
    "uses a symbol of the other case": [
        ("That means n = 4m for some whole m", "Let w denote the count of such n"),
        ("So n + 1 = 4m for some whole m", "So 4w of them are here"),
    ],
    "uses a number of the other case": [
        ("which leaves ten", "so 15.375 of them, which leaves ten"),
        ("Again two of every three", "Multiply 15.375 by two: again two of every three"),
    ],
    "speaks of the other case": [("Again two of every three", "By the same logic as in case 1 two of every three")],
    "the last part gathers": [("Again two of every three", "In both cases two of every three")],
    "the first part is missing": [("Case 1: n", "Case 3: n")],
    "a part is left outside": [("I can look at the two", "there are three cases, as I can look at the two")],
    "what follows finishes the last part": [("In total there are", "Wait, for n = 59 that fails. In total there are")],
    "a heading that says nothing": [
        ("Case 1: n is even. Then", "Case 1. So"),
        ("Case 2: n is odd. Then", "Case 2. So"),
    ],
    "a part that only concludes": [
        ("Case 1: n is even", "Way 1: the conclusion"),
        ("Case 2: n is odd", "Way 2: total"),
    ],
    "after the answer": [("First I restate", "The answer is \\boxed{20}. First I restate")],
    "what follows goes on with the last part": [
        ("In total there are 10 + 10 = 20", "$n = 59$ is one more, so there are 20")
    ],
    "the last part says which one is left": [
        ("Again two of every three", "So only case 2 is left: two of every three")
    ],
    "all is known before": [("First I restate", "As 4 * 15 = 60 and 60 - 1 = 59, I am done. First I restate")],
    "it is a check": [("apart from each other.", "apart from each other. Let me double-check.")],
    "a list that begins with its second item": [
        ("Since n and", "I count the values of n separately. Since n and"),
        ("Case 1: n is even. Then", "2. **Even place:** then"),
        ("Case 2: n is odd. Then", "3. **Odd place:** then"),
    ],
    "a value whose task nobody states": [
        ("Case 1: n is even. Then", "If n = 4, then"),
        ("Case 2: n is odd. Then", "If n = 5, then"),
    ],
    "a chain that repeats itself": [
        ("First I restate", f"{'The count of all of them is found at once.' + chr(10) * 2}" * 9)
    ],
}


@pytest.mark.parametrize("name", NO_BLOCK)
def test_no_block_where_a_series_is_not_complete_and_independent(name):
    chain = CHAIN
    for old, new in NO_BLOCK[name]:
        assert old in chain
        chain = chain.replace(old, new, 1)
    assert threads_of(PROBLEM, chain) == []


def test_the_last_part_ends_before_a_line_that_speaks_of_all():
    chain = CHAIN.replace(f"fifteen.\n\n{ENDING}", f"fifteen.\nThe possible counts are ten and ten.\n\n{ENDING}")
    [[_, two]] = threads_of(PROBLEM, chain)
    assert two.endswith("leaves ten of the fifteen.")


def test_the_last_part_ends_before_a_sum_of_what_the_others_have_found():
    part = "Part {0}: the numbers from {1} up.\n\nThere are {2} of them that count, as I can see from the list of the even and of the odd ones.\n\n"
    parts = [part.format(*row) for row in (("A", 1, 14), ("B", 20, 11), ("C", 40, 17))]
    chain = INTRO + "".join(parts) + "14 + 11 + 17 = 42, so that is the number.\n\nIs it right? I think so.\n"
    [threads] = threads_of(PROBLEM, chain)
    assert threads == [part.strip() for part in parts]


WANDERING = "Wait, 60 is one of them, so I have to see whether it counts. It does, as it is even.\n\n"


@pytest.mark.parametrize("first_wanders", [True, False])
def test_the_last_case_wanders_only_where_another_one_does(first_wanders):
    cases = CASES.replace("fifteen.\n\nCase 2", f"fifteen.\n\n{WANDERING}Case 2") if first_wanders else CASES
    blocks = threads_of(PROBLEM, INTRO + cases + WANDERING + ENDING)
    assert [two.strip().endswith(WANDERING.strip()) for _, two in blocks] == [True] * first_wanders


@pytest.mark.parametrize("last", ["So there is nothing for n = 3.", "So there is nothing."])
def test_a_last_case_that_concludes_by_its_name_ends_there(last):
    case = "**Case n = {}.** The product n(n + 1) is {} here, and 12 does not divide it.\n\nNor does 12 divide {} of it, as {} is less than 12 and more than nothing at all. So the two prime powers 4 and 3 are not both there, as the one or the other is missing.\n\n"
    chain = (
        INTRO
        + "There are two cases.\n\n"
        + case.format(2, "2 * 3 = 6", "5 * 6 = 30", 6)
        + case.format(3, "3 * 4", "7", 7)
    )
    chain += f"{last}\n\nNow I look at the bound.\n\n{ENDING}"
    assert [threads[1].endswith(last) for threads in threads_of(PROBLEM, chain)] == [True] * ("n = 3" in last)


def test_the_next_series_keeps_its_introduction():
    again = CASES.replace("n is", "m is").replace("n ", "m ").replace("4m", "4k")
    chain = f"{INTRO}{CASES}Now the same numbers for m:\n\n{again}{ENDING}"
    assert threads_of(PROBLEM, chain)[0][1].endswith("leaves ten of the fifteen.")


def test_a_sequence_of_computed_values_is_not_a_block():
    steps = "".join(
        f"n = {k}: S({k}) = S({k - 1}) + {k * k}, which gives a longer and longer sum each time.\n\n"
        for k in range(2, 9)
    )
    assert threads_of("Find S(8).", "S(1) = 1 to begin with.\n\n" + steps + "So the sum is found.\n") == []


def test_a_part_of_parts_is_a_candidate_beside_the_whole():
    inner = CASES.replace("Case 1:", "Subcase 1:").replace("Case 2:", "Subcase 2:")
    second = CASES[CASES.index("Case 2") :].replace("n is odd", "n is negative")
    blocks = read(PROBLEM, f"{INTRO}Case 1: n is positive.\n\n{inner}{second}{ENDING}")[0].blocks
    assert [str(block.lines) for block in blocks] == ["L5-L17", "L7-L13"]


HEADS = {
    "Case 2: n is odd": "Case 2",
    "**Case 2.1:** the rest": "Case 2.1",
    "Let's consider Case II: x < 0": "Case II",
    "Now, let me check option (B): 12": "Option B",
    "Second case: n is odd.": "Second case",
    "Then, the first sum: 4": "First sum",
    "First, distance AD: 16": "distance AD",
    "1. **Units place (ones place):** 40": "Units place",
    "- If $n = 3$, then": "n = 3",
    "For x = -1/2 we get 4": "x = -1/2",
    "3. **Tens place:** 40": "Tens place",
    "## Real part": "Real part",
    "Left side: 4 + 4": "Left side",
    "If n ≡ 2 mod 5, then": "n ≡ 2 mod 5",
}
NO_HEADS = [
    "Case 1 gives 5.",
    "In Case 1, we found 5.",
    "x = 3.",
    "So x = 3: done",
    "Then: 4",
    "Step 2: add",
    "If so, stop",
    "",
]


@pytest.mark.parametrize("line", HEADS)
def test_headings_are_read_by_their_name(line):
    assert head_of(line).label == HEADS[line]


@pytest.mark.parametrize("line", NO_HEADS)
def test_what_only_mentions_a_case_or_a_value_heads_nothing(line):
    assert head_of(line) is None


@given(st.lists(LINES, max_size=40).map("\n".join))
@settings(max_examples=150, deadline=None)
def test_every_line_with_text_is_in_a_step_and_in_order(thinking):
    noted, lines = read(PROBLEM, thinking)
    assert noted.defects == ()
    covered = {number for step in noted.steps for number in range(step.lines.first, step.lines.last + 1)}
    assert {number for number, line in enumerate(lines, 1) if line.strip()} <= covered
    for block in noted.blocks:
        assert len(block.threads) >= 2
        for note in block.threads:
            assert lines[note.lines.first - 1].strip() and lines[note.lines.last - 1].strip()
        for one, two in zip(block.threads, block.threads[1:], strict=False):
            assert not any(line.strip() for line in lines[one.lines.last : two.lines.first - 1])


@pytest.mark.parametrize("run", ["\n", " ", "\t", "$", "Case 1: ", "*", "#", "(", "if n = 1 ", "**a** "])
def test_a_chain_is_annotated_in_linear_time_whatever_repeats(run):
    def seconds(count: int) -> float:
        began = time.process_time()
        annotate_steps(PROBLEM, f"Case 1: n is even.{run * count}y\n\nCase 2: n is odd.{run * count}\n\nIn total.")
        return time.process_time() - began

    assert seconds(4000) < 8 * seconds(1000) + 0.2  # in quadratic time: 16


def test_the_same_text_gives_the_same_annotation():
    assert annotate_steps(PROBLEM, CHAIN) == annotate_steps(PROBLEM, CHAIN)


EDITS = {
    "Alternatively, we can count squares.": "We can count squares.",
    "Alternatively we can count squares.": "We can count squares.",
    "But again, we can count squares.": "We can count squares.",
    "Similarly, the even ones sum to 40.": "The even ones sum to 40.",
    "Likewise, $x = 4$ holds.": "$x = 4$ holds.",
    "**Case 2:** n is odd.": "**Case 2:** n is odd.",
    "Similarly to the tens place, count.": "Similarly to the tens place, count.",
    "So, the sum is 40.": "So, the sum is 40.",
    "Now consider the squares.": "Now consider the squares.",
    "2. Next, the tens place.": "2. The tens place.",
    "Similarly, a must be 2.": "a must be 2.",
    "Similarly labeled boxes are one case.": "Similarly labeled boxes are one case.",
    "Case 2: x = 2 works. Similarly, x = -2 works.": "Case 2: x = 2 works. Similarly, x = -2 works.",
    "Case 2: again and again.": "Case 2: again and again.",
}


@pytest.mark.parametrize("thread", EDITS)
def test_words_that_refer_to_a_sibling_are_taken_away(thread):
    rest = "\nThen the count goes on, and similarly it may stop. That is similar, likewise."
    edited = thread + rest
    for src, dest in propose_edits(thread + rest):
        assert (thread + rest).count(src) == 1
        edited = edited.replace(src, dest)
    assert edited == EDITS[thread] + rest


def test_an_edit_that_would_fit_twice_is_none():
    assert propose_edits("Similarly, the odd ones.\nSimilarly, the even ones.") == []


@given(st.text(alphabet="Alterntivy, SimAcoh$x=4\\(1).\n ", max_size=60))
@settings(max_examples=200, deadline=None)
def test_an_edit_never_touches_mathematics(thread):
    for src, dest in propose_edits(thread):
        assert thread.count(src) == 1
        assert re.sub(r"[A-Za-z\s,.:']", "", dest) in re.sub(r"[A-Za-z\s,.:']", "", src)
        assert not re.search(r"[$\\=\d]", src) or re.findall(r"[$\\=\d]", src) == re.findall(r"[$\\=\d]", dest)


OUTLINES = {
    "Case 3: $p = 17$. Then nothing works.": "Work out case 3: $p = 17$",
    "Case 3: $p \\ge 17 \\implies q = 2$": "Work out case 3: $p \\ge 17$",
    "**Method 2: power of the point $A$.** So": "Use method 2: power of the point $A$",
    "Option B: the number 12.": "Check option B: the number 12",
    "Case 1: x > 0\nok.\nCase 2: x < 0\nok.": "Work out case 1: x > 0; then work out case 2: x < 0",
}


@pytest.mark.parametrize("thread", OUTLINES)
def test_outline_of_a_heading(thread):
    assert propose_outlines("", "", [thread]) == [OUTLINES[thread]]


TASKS = {
    "each, by its variable": ("Compute L_i(8) for each i:", ["For i=2: x", "For i=3: x"], "Compute L_i(8) for i = 2"),
    "each, by its noun": ("Compute each sum separately.", ["First sum: x", "Second sum: y"], "Compute the first sum"),
    "each of another noun": (
        "Calculating each term:",
        ["For m = 0: 1", "For m = 1: 6"],
        "Calculate the term for m = 0",
    ),
    "each, by the subject": (
        "I check each robot for 25.",
        ["Case 1: robot A", "Case 2: robot B"],
        "Check robot A for 25",
    ),
    "in the passive": ("The jars are worked out one by one.", ["**Jar a**", "**Jar b**"], "Work out jar a"),
    "all": ("Let's check both cases.", ["Case 1: b = 0", "Case 2: b = 7"], "Check case 1, b = 0"),
    "all, with a verb": (
        "Check if these numbers satisfy it.",
        ["If N = 52, x", "If N = 56, x"],
        "Check if N = 52 satisfies it",
    ),
    "a list of names": (
        "We find the remainder mod 7, mod 11 and mod 13. None divides it.",
        ["**Mod 7.** 4", "**Mod 11.** 3", "**Mod 13.** 2"],
        "Find the remainder mod 7",
    ),
    "a list of words": (
        "I'll count the 8's in units and tens places.",
        ["1. **Units place:** 5", "2. **Tens place:** 4"],
        "Count the 8's in the units place",
    ),
    "a list of values": (
        "We need to find the sets of size 2 or 3.\nLet S be one.",
        ["Case 1: |S| = 2", "Case 2: |S| = 3"],
        "Case 1, |S| = 2: find the sets of size 2",
    ),
    "of cases": ("So, for both, let's compute P4:", ["Case 1: L = A", "Case 2: L = B"], "Case 1, L = A: compute P4"),
    "of places": ("**Counting 4's:**", ["**Units place:** 5", "**Tens place:** 4"], "Count 4's in the units place"),
    "stale": (
        "We compute P4. It is 5. So P5 is 6. Good.",
        ["Case 1: L = A", "Case 2: L = B"],
        "Work out case 1: L = A",
    ),
    "of something else": ("Compute the left side:", ["If x = 1, a", "If x = 2, b"], None),
    "none, of values": ("So k is 3 or 4.", ["For k = 3: 9", "For k = 4: 16"], None),
    "none, of titles": ("So there are two.", ["**Tens place:** 4", "**Units place:** 5"], None),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_task_of_the_context_is_that_of_each_thread(name):
    context, threads, first = TASKS[name]
    outlines = propose_outlines("", context, threads)
    assert (outlines[0] if outlines else None) == first and len(outlines) in (0, len(threads))


VOID = ["Case 1.\nSo it is 5.", "$x$", "Case 1: so x = 5", "We count them.", "Case 1: n is even\nCase 2.\nDone."]


@pytest.mark.parametrize("thread", VOID)
def test_no_outline_rather_than_a_void_one(thread):
    assert propose_outlines("", "", ["Case 3: n is odd.", thread]) == []


def test_siblings_with_the_same_heading_have_no_outlines():
    assert propose_outlines("", "", ["Case 3: n is odd.", "Case 3: n is odd."]) == []


@given(st.lists(st.lists(LINES, min_size=1, max_size=4).map("\n".join), min_size=2, max_size=4))
@settings(max_examples=100, deadline=None)
def test_outlines_are_fit_or_there_are_none(threads):
    outlines = propose_outlines(PROBLEM, INTRO, threads)
    assert outlines == [] or describe_unfit(outlines, len(threads)) is None
    assert not any("\n" in text or markup.TAG_SHAPED.search(text) for text in outlines)
