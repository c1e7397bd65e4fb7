"""Step annotations: the documented form, every deviation that annotators are known to write, every defect by its code."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from threadweaver.trajectory import annotation
from threadweaver.trajectory.annotation import Code, Range, parse, read_range

CHAIN = [f"line {n}" for n in range(1, 41)]

DOCUMENTED = """S1: Understand the problem (L1-L9)
    S1.1: Restate it (L1-L4)
    S1.2: Note what is asked (L5-L9)
S2: Choose what to do (L10-L15)
<parallel>[Parallel reason: two methods that do not need each other]
<thread>
S4: By algebra (L16-L22)
</thread> (range: L16-L22, check passed: uses only L1-L15)
<thread>
S5: By counting (L23-L30)
S6: And its check (L31-L34)
</thread> (range: L23-L34, check passed: uses only L1-L15)
</parallel> (range: L16-L34)
S7: Conclude (L35-L40)
"""


def codes(text: str, chain=CHAIN) -> list[str]:
    return [str(defect.code) for defect in parse(text, chain).defects]


def escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


def spans(text: str, chain=CHAIN) -> list[list[str]]:
    """The ranges of every block's threads."""
    return [[str(thread.lines) for thread in block.threads] for block in parse(text, chain).blocks]


def block(*ranges: str, end: str = "") -> str:
    """A block of threads whose closing tags carry these notes."""
    threads = "".join(f"<thread>\nS{n}: a step\n</thread> {note}\n" for n, note in enumerate(ranges, 1))
    return f"<parallel>\n{threads}</parallel>{end}\n"


def test_the_documented_form():
    found = parse(DOCUMENTED, CHAIN)
    assert found.defects == ()
    assert [step.number for step in found.steps] == ["1", "1.1", "1.2", "2", "4", "5", "6", "7"]
    assert found.steps[1].description == "Restate it" and found.steps[1].lines == Range(1, 4)
    (only,) = found.blocks
    assert only.reason == "two methods that do not need each other"
    assert only.lines == Range(16, 34) and only.number == 1
    assert [thread.lines for thread in only.threads] == [Range(16, 22), Range(23, 34)]
    assert [thread.passed for thread in only.threads] == [True, True]
    assert [step.number for step in only.threads[1].steps] == ["5", "6"]


DEVIATIONS = {
    "indented": "\n".join("      " + line for line in DOCUMENTED.split("\n")),
    "list items": "\n".join("- " + line for line in DOCUMENTED.split("\n") if line),
    "upper-case tags": DOCUMENTED.replace("parallel>", "PARALLEL>").replace("thread>", "Thread>"),
    "code fence": f"```text\n{DOCUMENTED}```\n",
    "prose around it": f"Here is the annotation you asked for:\n\n{DOCUMENTED}\nI hope this helps.",
    "CRLF": DOCUMENTED.replace("\n", "\r\n"),
    "range in square brackets": DOCUMENTED.replace(
        "(range: L16-L22, check passed: uses only L1-L15)", "[range: L16-L22]"
    ),
    "steps without ranges": DOCUMENTED.replace("S4: By algebra (L16-L22)", "S4: By algebra"),
    "no range of the block": DOCUMENTED.replace("</parallel> (range: L16-L34)", "</parallel>"),
    "no range of a thread": DOCUMENTED.replace("(range: L23-L34, check passed: uses only L1-L15)", ""),
    "swapped bounds": DOCUMENTED.replace("range: L16-L22", "range: L22-L16"),
    "en dash": DOCUMENTED.replace("range: L16-L22", "range: L16–L22"),
    "em dash": DOCUMENTED.replace("range: L16-L22", "range: L16 — L22"),
    "to": DOCUMENTED.replace("range: L16-L22", "range: L16 to L22"),
    "second bound without L": DOCUMENTED.replace("range: L16-L22", "range: L16-22"),
    "bare numbers": DOCUMENTED.replace("range: L16-L22", "range: 16-22"),
    "tags on one line": DOCUMENTED.replace("L1-L15)\n<thread>", "L1-L15)<thread>").replace("]\n<thread>", "]<thread>"),
    "the end of a block on its thread's line": DOCUMENTED.replace("L1-L15)\n</parallel>", "L1-L15) </parallel>"),
    "a tag in a note": DOCUMENTED.replace(
        "check passed: uses only L1-L15", "check passed: unlike <thread> 2, uses L1-L15"
    ),
    "lines": DOCUMENTED.replace("range: L16-L22", "range: lines 16-22"),
    "bold steps": DOCUMENTED.replace("S4:", "**S4**:").replace("S5:", "**S5:**"),
    "one mention in prose": DOCUMENTED.replace("By algebra", "By algebra, as said in </parallel> and <thread>"),
    "a line of prose with a tag": DOCUMENTED.replace("S2:", "Nothing after </parallel> counts.\nS2:"),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviations_are_read_like_the_documented_form(name):
    found = parse(DEVIATIONS[name], CHAIN)
    assert spans(DEVIATIONS[name]) == [["L16-L22", "L23-L34"]]
    assert found.defects == ()
    assert [step.number for step in found.steps] == ["1", "1.1", "1.2", "2", "4", "5", "6", "7"]
    assert found.blocks[0].reason == "two methods that do not need each other"


def test_an_end_beyond_the_file_is_clipped():
    text = block("(range: L16-L22)", "(range: L23-L99)")
    assert spans(text) == [["L16-L22", "L23-L40"]]
    assert codes(text) == []


def test_a_single_line_is_a_thread():
    assert spans(block("(range: L3)", "(L4)")) == [["L3-L3", "L4-L4"]]


DEFECTS = {
    "gap between threads": (block("(range: L1-L5)", "(range: L8-L9)"), ["gap"]),
    "gap inside the block's range": (block("(range: L3-L5)", "(range: L6-L9)", end=" (range: L1-L12)"), ["gap", "gap"]),
    "overlap of threads": (block("(range: L1-L5)", "(range: L5-L9)"), ["overlap"]),
    "a thread inside another": (block("(range: L1-L9)", "(range: L2-L3)"), ["overlap"]),
    "out of the file": (block("(range: L1-L5)", "(range: L41-L50)"), ["out_of_file", "gap"]),
    "line 0": (block("(range: L0)", "(range: L1-L5)"), ["out_of_file"]),
    "out of order": (block("(range: L6-L9)", "(range: L1-L5)"), ["out_of_order"]),
    "check failed": (block("(range: L1-L5)", "(range: L6-L9, check failed: uses x)"), ["check_failed"]),
    "single thread": (block("(range: L1-L5)"), ["single_thread"]),
    "no thread": ("<parallel>\n</parallel>\n", ["single_thread"]),
    "no readable range": (block("(range: L1-L5)", "(range: the rest)"), ["missing_range"]),
    "never closed": ("<parallel>\n<thread>\n</thread> (L1-L2)\n", ["unbalanced_tag"]),
    "thread never closed": ("<parallel>\n<thread>\nS1: a (L1)\n</parallel>\n", ["unbalanced_tag"]),
    "thread outside a block": ("<thread>\n</thread> (L1)\n", ["unbalanced_tag", "unbalanced_tag"]),
    "closed twice": (block("(L1)", "(L2)") + "</parallel>\n", ["unbalanced_tag"]),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_has_its_code(name):
    text, expected = DEFECTS[name]
    found = parse(text, CHAIN)
    assert [str(defect.code) for defect in found.defects if defect.code != Code.GAP or "gap" in expected] == expected


def test_blank_lines_between_threads_are_not_a_gap():
    assert codes(block("(range: L1-L5)", "(range: L8-L9)"), [*CHAIN[:5], "", " \r", *CHAIN[7:]]) == []


def test_threads_out_of_order_are_put_in_the_order_of_the_text():
    assert spans(block("(range: L6-L9)", "(range: L1-L5)")) == [["L1-L5", "L6-L9"]]


def test_a_malformed_block_does_not_affect_the_next_one():
    broken = "<parallel>\n<thread>\nS1: a (L1-L2)\n</parallel>\n"
    found = parse(broken + block("(L5-L6)", "(L7-L8)"), CHAIN)
    assert [(item.number, len(item.threads), item.has(Code.UNBALANCED_TAG)) for item in found.blocks] == [
        (1, 0, True),
        (2, 2, False),
    ]


def test_a_block_that_is_opened_twice_loses_only_the_first():
    found = parse("<parallel>\n<thread>\n</thread> (L1-L2)\n" + block("(L5-L6)", "(L7-L8)"), CHAIN)
    assert [item.has(Code.UNBALANCED_TAG) for item in found.blocks] == [True, False]


def test_nested_and_overlapping_blocks_are_candidates_of_their_own():
    inner = block("(L1)", "(L2)")
    nested = f"<parallel>\n<thread>\nS1: a (L1-L5)\n{inner}</thread> (L1-L5)\n<thread>\n</thread> (L6)\n</parallel>\n"
    assert spans(nested) == [["L1-L5", "L6-L6"], ["L1-L1", "L2-L2"]] and codes(nested) == []
    beside = block("(L1-L5)", "(L6-L9)") + block("(L9-L12)", "(L13-L15)")
    assert spans(beside) == [["L1-L5", "L6-L9"], ["L9-L12", "L13-L15"]] and codes(beside) == []


def test_a_fault_in_a_nested_block_loses_the_blocks_around_it_and_says_so():
    broken = "<parallel>\n<thread>\n<parallel>\n<thread>\n<thread>\n"
    found = parse(broken + block("(L5)", "(L6)"), CHAIN)
    assert [item.has(Code.UNBALANCED_TAG) for item in found.blocks] == [True, True, False]
    assert found.blocks[-1].lines == Range(5, 6)


SECOND_FORM = """<parallel>[cases; new work; two cases that share only L12; both short]
<thread>
S3: n is even (L16-L20)
</thread> (range: L16-L20, takes from siblings: nothing, check passed)
<thread>
S4: n is odd (L21-L27)
</thread> (range: L21-L27, takes from siblings: "m = 4" of L18, check failed)
</parallel> (range: L16-L27)
"""


def test_the_second_form_names_kind_novelty_and_what_is_taken():
    [found] = parse(SECOND_FORM, CHAIN).blocks
    assert (found.kind, found.novelty, found.reason) == (
        "cases",
        "new work",
        "two cases that share only L12; both short",
    )
    assert [(str(note.lines), note.takes, note.passed) for note in found.threads] == [
        ("L16-L20", "nothing", True),
        ("L21-L27", '"m = 4" of L18', False),
    ]


@pytest.mark.parametrize(
    ("opening", "nature"),
    [
        ("[checks; re-check; why]", ("checks", "re-check", "why")),
        ("[Check; RECHECK; why]", ("checks", "re-check", "why")),
        ("[methods; restatement]", ("methods", "restatement", "")),
        ("[attempts; two ideas]", ("attempts", "", "two ideas")),
        ("[Parallel reason: cases; both]", ("cases", "", "both")),
        ("[two cases; both short]", ("", "", "two cases; both short")),
        ("", ("", "", "")),
    ],
)
def test_kind_and_novelty_are_read_where_they_are_named(opening, nature):
    [found] = parse(block("(L1)", "(L2)").replace("<parallel>", f"<parallel>{opening}"), CHAIN).blocks
    assert (found.kind, found.novelty, found.reason) == nature


@pytest.mark.parametrize(
    ("note", "passed"),
    [
        ("(range: L1-L2, check passed: yes)", True),
        ("(range: L1-L2, CHECK FAILED)", False),
        ("(range: L1-L2, check: failed, uses S3)", False),
        ("(range: L1-L2, check fail: no)", False),
        ("(range: L1-L2, check not passed)", False),
        ("(range: L1-L2, check did not pass)", False),
        ("(range: L1-L2, check: NOT PASSED)", False),
        ("(check passed: uses only L9, range: L1-L2)", True),
        ("(range: L1-L2, check passed (L9))", True),
        ("(range: L1-L2)", None),
        ("(range: L1-L2) check pass", True),
    ],
)
def test_the_annotators_own_check_is_read(note, passed):
    thread = parse(block(note, "(L3)"), CHAIN).blocks[0].threads[0]
    assert (thread.passed, thread.lines) == (passed, Range(1, 2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(L45-L67)", Range(45, 67)),
        ("as in (L1-L2), which gives (L45–L67)", Range(45, 67)),
        ("(L7)", Range(7, 7)),
        ("(L9-L3)", Range(3, 9)),
        ("L4…L6", Range(4, 6)),
        ("L4 through L6", Range(4, 6)),
        ("Line 4", Range(4, 4)),
        ("no range, 4-6 of XL5", None),
        ("", None),
    ],
)
def test_ranges(text, expected):
    assert read_range(text) == expected


def test_only_a_line_feed_ends_a_line():
    chain = "a\r\nb\x0cc\u2028d\x85e\x1cf\rg\n\nh"
    assert annotation.lines(chain) == ["a\r", "b\x0cc\u2028d\x85e\x1cf\rg", "", "h"]
    assert annotation.number_lines(chain) == "L1 [2]: a\r\nL2 [11]: b\x0cc\u2028d\x85e\x1cf\rg\nL4 [1]: h"
    assert "\n".join(annotation.lines(chain)) == chain


_fragments = st.sampled_from(
    (
        "<parallel>",
        "</parallel>",
        "<thread>",
        "</thread>",
        "S1:",
        " (L1-L2)",
        "\n",
        " check failed",
        "[",
        "(",
        "range:",
        "L",
        "9" * 12,
        " ",
    )
)


@given(st.one_of(st.text(), st.lists(_fragments).map("".join)), st.integers(0, 5))
def test_any_text_is_read_without_an_exception(text, n_lines):
    found = parse(text, ["x"] * n_lines)
    for item in found.blocks:
        assert item.has(Code.UNBALANCED_TAG) or item.lines is None or item.threads


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), strategies.annotations(n))))
def test_a_damaged_annotation_is_read_and_its_defects_belong_to_its_blocks(case):
    n_lines, text = case
    found = parse(text, CHAIN[:n_lines])
    numbers = {item.number for item in found.blocks}
    assert {defect.block for defect in found.defects} <= {*numbers, None}
    for item in found.blocks:
        if not item.defects:
            assert len(item.threads) >= 2
            ranges = [thread.lines for thread in item.threads]
            assert all(1 <= span.first <= span.last <= n_lines for span in ranges)
            assert all(one.last < two.first for one, two in pairwise(ranges))


@pytest.mark.parametrize(
    "line",
    [
        "S1: (" + " " * 40_000,
        "<parallel>reason: a" + " " * 40_000 + "b",
        "*" * 40_000,
        "<parallel>\n<thread>\n</thread> check" + " " * 40_000,
        "S1: " + "(L" * 20_000,
        "<parallel>" + "[" * 40_000,
        "S1" + ".1" * 20_000,
        "(range: L1" + " " * 40_000,
    ],
)
def test_no_line_takes_long_to_read(line):
    begun = time.process_time()
    parse(line, CHAIN)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "change",
    [
        escaped,
        lambda text: re.sub(r"^(</?\w+>)", r"`\1`", text, flags=re.M),
        lambda text: re.sub(r"^(</?\w+>)", r"**\1**", text, flags=re.M),
        lambda text: re.sub(r"^(</?\w+>)", r"- `\1`", text, flags=re.M),
        lambda text: text.replace("<", "\\<"),
        lambda text: text.replace("<", "＜").replace(">", "＞"),
        lambda text: text.replace("<thread>", "<thread id=1>").replace("</parallel>", "</ parallel >"),
        lambda text: text.translate(str.maketrans(":()-", "：（）－")),
        lambda text: text.replace("-L", "‑L"),
        lambda text: re.sub(r"^(\s*)(S\d+(?:\.\d+)?)", r"\1`\2`", text, flags=re.M),
        lambda text: re.sub(r"^(\s*S)", r"## \1", text, flags=re.M),
        lambda text: f"\ufeff{text}".replace("\n", "\r\n"),
    ],
)
def test_the_ways_in_which_gateways_and_models_write_tags_and_marks(change):
    text = change(DOCUMENTED)
    assert text != DOCUMENTED
    found, meant = parse(text, CHAIN), parse(DOCUMENTED, CHAIN)
    assert found.defects == ()
    assert [[thread.lines for thread in block.threads] for block in found.blocks] == [[Range(16, 22), Range(23, 34)]]
    assert [[thread.passed for thread in block.threads] for block in found.blocks] == [[True, True]]
    assert [(step.number, step.lines) for step in found.steps] == [(step.number, step.lines) for step in meant.steps]


@pytest.mark.parametrize(
    "mark", ["<parallel>", "<thread>", "</thread> (x)", "`<parallel>`", "<", "(", "*", " ", "&lt;", "L1-"]
)
def test_a_line_of_many_tags_ends_and_takes_linear_time(mark):
    begun = time.process_time()
    parse("S1: a (L1-L2)\n" + mark * (40_000 // len(mark)), CHAIN)
    assert time.process_time() - begun < 3
