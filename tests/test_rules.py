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
TITLES = CHAIN.replace("Case 1: n is even. Then", "**Even numbers:** then").replace(
    "Case 2: n is odd. Then", "**Odd numbers:** then"
)
VALUES = CHAIN.replace("Case 1: n is even. Then", "If n is even, then").replace(
    "Case 2: n is odd. Then", "If n is odd, then"
)
SERIES = {
    "methods": (METHODS, "methods", ["Method 1: take even n", "Method 2: take odd n"]),
    "titles": (TITLES, "quantities", ["Work out even numbers", "Work out odd numbers"]),
    "values": (VALUES, "cases", ["Work out the case n is even", "Work out the case n is odd"]),
    "cases": (CHAIN, "cases", ["Case 1: n is even", "Case 2: n is odd"]),
    "options": (
        CHAIN.replace("Case 1: n", "Option A: n").replace("Case 2: n", "Option B: n"),
        "candidates",
        ["Option A: n is even", "Option B: n is odd"],
    ),
    "a heading of its own line": (
        CHAIN.replace("Case 1: n is even. Then", "### Case 1: n is even\n\nThen"),
        "cases",
        ["Case 1: n is even", "Case 2: n is odd"],
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_every_kind_of_series_becomes_a_block_with_the_outlines_of_its_headings(name):
    chain, kind, outlines = SERIES[name]
    assert [block.kind for block in read(PROBLEM, chain)[0].blocks] == [kind]
    [threads] = threads_of(PROBLEM, chain)
    assert propose_outlines(PROBLEM, INTRO, threads) == outlines


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


OUTLINES = {
    "**Tens place:** the digit 4 appears 50 times.": "Work out the tens place",
    "If $k=12$, then $k^2 = 144$.": "Work out the case k = 12",
    "Case 3: $p = 17$. Then nothing works.": "Case 3: $p = 17$",
    "**Method 2: power of the point $A$.** So": "Method 2: power of the point $A$",
    "Case 2.\n\nSuppose that n is odd, so n = 2k + 1.": "Case 2: n is odd",
    "Option B: the number 12.": "Option B: the number 12",
    "Case 1: x > 0\nok.\nCase 2: x < 0\nok.": "Case 1: x > 0; then Case 2: x < 0",
}


@pytest.mark.parametrize("thread", OUTLINES)
def test_outline_of_a_heading(thread):
    assert propose_outlines("", "", [thread]) == [OUTLINES[thread]]


VOID = ["Case 1.\nSo it is 5.", "$x$", "Case 1: $x", "We count them.", "Case 1: n is even\nCase 2.\nDone."]


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
