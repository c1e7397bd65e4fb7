"""Replies as models and gateways really write them: JSON that is not strict, outlines with remarks, odd characters."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.annotators.llm import validation
from threadweaver.outlines.parse import UnreadableOutlines, parse_outlines
from threadweaver.trajectory.edits import Replacement, UnreadableReply, parse_reply
from threadweaver.trajectory.loose_json import MAX_DEPTH, find_values, readings
from threadweaver.trajectory.questions import EditQuestion, OutlineQuestion
from threadweaver.trajectory.reply_text import without_fence

# ---- edits

PASSAGE = "Similarly, f'(x) = 2 here, as above, with x < 3 and \\frac{1}{2} \\neq \\nu; it's so.\nThen we stop."
PAIR = [Replacement("as above", "as given")]
SRC, DEST = '"src": "as above"', '"dest": "as given"'


@pytest.mark.parametrize(
    "text",
    [
        f"[{{{SRC}, {DEST}}},]",
        f"[{{{SRC}, {DEST},}}]",
        f"{{{SRC}, {DEST}}}",
        f"Here is the JSON:\n```json\n{{{SRC}, {DEST}}}\n```\nLet me know [if] you {{need}} more.",
        f"[\n  // its opening\n  {{{SRC}, {DEST}}} # the only one\n  /* [ */\n]",
        f'{{"replacements": [{{{SRC}, {DEST}}}]}}',
        f'{{"thread": 2, "edits": [{{{SRC}, {DEST}}}], "reason": "it points back"}}',
        f'{{"2": {{{SRC}, {DEST}}}}}',
        f'{{"Thread 2": [{{{SRC}, {DEST}}}], "thread_3": []}}',
        f'{{"edits": {{"2": [{{{SRC}, {DEST}}}]}}, "reason": "it points back"}}',
        f'{{"2": {{"replacements": [{{{SRC}, {DEST}}}]}}}}',
        f'[{{"thread": "Thread 2", {SRC}, {DEST}}}]',
        f'[{{"2": [{{{SRC}, {DEST}}}]}}, {{"3": []}}]',
        f'{{"2": [{{{SRC}, {DEST}}}]}}\n{{"3": []}}',
        f'{{"threads": [{{"thread": 2, "edits": [{{{SRC}, {DEST}}}]}}, {{"thread": 3, "edits": []}}]}}',
        f'{{"2": [{{{SRC}, {DEST}}}]}}',
        "[{'src': 'as above', 'dest': 'as given'}]",
        "[{src: 'as above', dest: 'as given'}]",
        "[{“src”: “as above”, “dest”: “as given”}]",
        "[{&quot;src&quot;: &quot;as above&quot;, &quot;dest&quot;: &quot;as given&quot;}]",
        f"\ufeff[{{{SRC}, {DEST}}}]",
        f"［[{{{SRC}， {DEST}}}]",
        f"<answer>[{{{SRC}, {DEST}}}]</answer>",
        f"The set {{1, 2}} and \\{{x: x > 0\\}} on [0, 1) stay. [{{{SRC}, {DEST}}}] See [1] and {{y : y < 2}}.",
        f'He wrote: "and so [1" as {{"if". [{{{SRC}, {DEST}}}]',
        f'[{{{SRC}, {DEST}, "why": null, "sure": True, "at": 003}}]',
    ],
)
def test_an_edit_is_read_in_every_way_it_is_written(text):
    assert parse_reply(text, {2: PASSAGE}) == {2: PAIR}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{{{SRC}, {DEST}}}\n{{"src": "Similarly, ", "dest": ""}}', [*PAIR, Replacement("Similarly, ", "")]),
        (f'[{{{SRC}, {DEST}}}\n{{"src": "Similarly, ", "dest": ""}}]', [*PAIR, Replacement("Similarly, ", "")]),
        ("[{'src': \"f'(x) = 2\", 'dest': \"g'(x)\"}]", [Replacement("f'(x) = 2", "g'(x)")]),
        ("[{'src': 'it\\'s so', 'dest': 'a \"b\"'}]", [Replacement("it's so", 'a "b"')]),
        ('[{"src": "it\'s so.\nThen", "dest": "it is so.\nThen"}]', [Replacement("it's so.\nThen", "it is so.\nThen")]),
        ('[{"src": "x &lt; 3", "dest": "x &lt; 4"}]', [Replacement("x < 3", "x < 4")]),
        ("{\"src\": \"\\frac{1}{2} \\neq \\nu\", 'dest': 'so'}", [Replacement("\\frac{1}{2} \\neq \\nu", "so")]),
        ("[{'src': '\\\\frac{1}{2}', 'dest': '\\\\times'}]", [Replacement("\\frac{1}{2}", "\\times")]),
        ('{"replacements": []}', []),
        ("{}", []),
        ('{"1": [], "2": []}', []),
        ('{"2": null}', []),
        ("The thread is fine.\n```json\n[]\n```\n", []),
    ],
)
def test_what_is_unambiguous_is_read_as_meant(text, expected):
    assert parse_reply(text, {2: PASSAGE}) == ({2: expected} if expected else {})


@pytest.mark.parametrize(
    "text",
    [
        "[{'src': 'f'(x) = 2', 'dest': 'g'}]",
        "[{'src': 'it's so', 'dest': 'so'}]",
        '[{"src": "the "other" root", "dest": "a root"}]',
        '[{"src": "as above", "dest": "as given"',
        "[{'src': 'as above'",
        '[{"src": "as above" "dest": "as given"}]',
        '[{"old": "as above", "new": "as given"}]',
        "src: as above\ndest: as given",
        "- as above -> as given",
        '{"note": "none"}',
        '{"2": "none"}',
        '{"3": [{"src": "as above", "dest": "as given"}]}',
        '{"2": [{"src": "as above"}]}',
        "[" * 5000 + "]" * 5000,
        '[{"src": ' + "[" * 5000 + "]" * 5000 + ', "dest": "x"}]',
        '{"src":' * 5000,
        "[{" * 8000,
        '[{"' + '\\"' * 16_000,
    ],
)
def test_what_is_ambiguous_or_broken_is_asked_for_again(text):
    with pytest.raises(UnreadableReply):
        parse_reply(text, {2: PASSAGE})


THREADS = {1: "Similarly, it is 3.", 2: "As above, it is 3.", 3: "Again we get $\\frac{1}{2}$, as above."}
GOOD = '"1": [{"src": "Similarly, ", "dest": ""}]'
FIRST = [Replacement("Similarly, ", "")]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (f'{{{GOOD}, "2": "none"}}', ["Thread 2: an element is not an object"]),
        (f'{{{GOOD}, "2": [{{"src": "As above, "}}]}}', ["Thread 2: an element is not an object"]),
        (f'{{{GOOD}, "2": [{{"src": "As "above", "dest": "x"}}]}}', ["Thread 2: its JSON cannot be read"]),
        (f'{{"3": [{{"src": "again", "dest": b}}], {GOOD}}}', ["Thread 3: its JSON cannot be read"]),
        (f'{{{GOOD}, "9": [{{"src": "x", "dest": "y"}}]}}', ["Thread 9: it is not one of the threads asked for (1, 2, 3)"]),
        ('[{"src": "Similarly, ", "dest": ""}, {"src": "it is 3", "dest": ""}]', ['The replacement of "it is 3" names no']),
        (f'{{{GOOD}, "2": [{{"edits": [], "others": []}}]}}', ["Thread 2: an object has neither"]),
    ],
)  # fmt: skip
def test_what_is_unreadable_about_one_thread_loses_nothing_of_the_others(text, faults):
    with pytest.raises(UnreadableReply) as caught:
        parse_reply(text, THREADS)
    assert caught.value.read == {1: FIRST}
    for fault, begins in zip(caught.value.faults, faults, strict=True):
        assert fault.startswith(begins) and fault.endswith(".")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Draft: {{{GOOD}}} Better:\n{{}}", {}),
        (f'{{"2": [{{"src": "nowhere", "dest": ""}}]}}\n\nBetter:\n{{{GOOD}}}', {1: FIRST}),
        (f'{{{GOOD}}}\n{{"1": []}}', {}),
        ('[{"src": "Similarly, ", "dest": ""}]', {1: FIRST}),
        (r'{"3": [{"src": "get $\frac{1}{2}$", "dest": "have $\frac12$"}]}', {3: [Replacement(r"get $\frac{1}{2}$", r"have $\frac12$")]}),
    ],
)  # fmt: skip
def test_of_several_objects_the_last_one_counts_and_items_find_their_thread(text, expected):
    assert parse_reply(text, THREADS) == expected


MARKS = [
    "[{",
    "[",
    '["',
    "['",
    "[“",
    "[/*",
    "[//",
    "[#",
    '[{"a":[',
    '["x",',
    "[]",
    "{1:",
    '["\\"',
    "['\\",
    "\n",
    "&lt;",
    "1: a\n",
]


@pytest.mark.parametrize("mark", MARKS)
def test_reading_takes_linear_time(mark):
    """A scan that begins again at every bracket takes seconds to minutes for this; now it is 0.1 s at most."""
    text, begun = mark * (20_000 // len(mark)), time.process_time()
    for read in (lambda text: parse_reply(text, {1: "one", 2: "two"}), lambda text: parse_outlines(text, [1, 2, 3])):
        with contextlib.suppress(UnreadableReply, UnreadableOutlines):
            assert not read(text)
    assert time.process_time() - begun < 5


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_values.filter(lambda value: isinstance(value, list | dict)), st.sampled_from([None, 1]))
def test_strict_json_is_read_as_json(value, indent):
    (found,) = find_values(f"Here: {json.dumps(value, indent=indent)}\n```")
    assert readings(found.value)[0] == value


@given(st.text(alphabet="[]{}\"'“”:,\\/*#ab1 \n&"))
def test_any_brackets_end_and_are_bounded(text):
    for found in find_values(text):
        assert 0 <= found.start < found.end <= len(text)
        assert depth(found.value) <= MAX_DEPTH
        readings(found.value)


def depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


# ---- outlines

TWO = ["Count the pairs.", "Try $x < 3$."]


@pytest.mark.parametrize(
    "text",
    [
        "1: Count the pairs.\n2: Try $x < 3$.\nThese outlines give no result away.",
        "Here are the 2 outlines:\n1: Count the pairs.\n2: Try $x < 3$.\n\nI hope this helps: it is 5.",
        "1: Count the pairs.\n2: Try $x < 3$.\n**Note:** none of them says what comes of it.",
        "1: Count the pairs.\n2: Try $x < 3$.\n(Both stand alone.)",
        "1：Count the pairs.\n2：Try $x < 3$.",
        "1．Count the pairs.\n2．Try $x < 3$.",
        "（1）: Count the pairs.\n（2）: Try $x < 3$.",
        "`1: Count the pairs.`\n`2: Try $x < 3$.`",
        '1: "Count the pairs."\n2: “Try $x < 3$.”',
        "1: Count\nthe pairs.\n2: Try\n$x < 3$.\nNone of them says what comes of it.",
        "<Outlines><Outline>1: Count the pairs.</Outline><Outline>2: Try $x < 3$.</Outline></Outlines> Done.",
        "&lt;Outline&gt;1: Count the pairs.&lt;/Outline&gt;\n&lt;Outline&gt;2: Try $x &lt; 3$.&lt;/Outline&gt;\nDone: all.",
        "Outline 1: Count the pairs.\nOutline 2: Try $x < 3$.\n---\nBoth are plans.",
        "**Outline 1:** Count the pairs.\n\n**Outline 2:** Try $x < 3$.",
        '["Count the pairs.", "Try $x < 3$."]',
        'Here is the JSON:\n```json\n["1: Count the pairs.", "2: Try $x < 3$.",]\n```',
        '{"1": "Count the pairs.", "2": "Try $x < 3$."}',
        '{"outlines": ["Count the pairs.", "Try $x < 3$."]}',
        '{"outlines": {"1": "Count the pairs.", "2": "Try $x < 3$."}}',
        '[{"thread": 1, "outline": "Count the pairs."}, {"thread": 2, "outline": "Try $x < 3$."}]',
        '{"thread": 1, "outline": "Count the pairs."}\n{"thread": 2, "outline": "Try $x < 3$."}',
        '[{"1": "Count the pairs."}, {"2": "Try $x < 3$."}]',
        "{'outline_1': 'Count the pairs.', 'outline_2': 'Try $x < 3$.'}",
        '["A draft", "of them"]\nBetter:\n["Count the pairs.", "Try $x < 3$."]',
    ],
)
def test_outlines_are_read_in_every_way_they_are_written_without_remarks(text):
    assert parse_outlines(text, [1, 2]) == TWO


def test_outlines_without_full_stops_end_before_a_sentence():
    text = "1: Count the pairs\n2: Try the rest\nThese outlines give no result away."
    assert parse_outlines(text, [1, 2]) == ["Count the pairs", "Try the rest"]


def test_latex_in_a_json_list_is_read_like_that_of_an_edit():
    assert parse_outlines(r'["Count $\frac{a}{b}$", "Take $x \neq 1$"]', [1, 2]) == [
        r"Count $\frac{a}{b}$",
        r"Take $x \neq 1$",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1: Count the pairs.\n2: Try it\nEuler's way.",  # a rest of the sentence, or a remark?
        "1: Count the pairs.\n2: Try it, i.e.\nby cases.",
        "1: Count the pairs.\n2: Try it.\nok, done.",
        "1: 数える\n次の行\n2: Try it",
        '["one"]',
        '["one", "two", "three"]',
        '["one", 2]',
        '{"1": "one", "3": "three"}',
        '[["one"], ["two"]]',
        '["one", "two"',
        "[" * 5000 + '"one", "two"' + "]" * 5000,
    ],
)
def test_outlines_that_are_unclear_or_incomplete_are_asked_for_again(text):
    with pytest.raises(UnreadableOutlines):
        parse_outlines(text, [1, 2])


# ---- characters that no text may hold

EDITS = EditQuestion(0, "p", "c", ("sibling", PASSAGE), (2,), ("", ""))
OUTLINES = OutlineQuestion(0, "p", "c", ("x", "y"), (1, 2))
ODD = ["\0", "\x07", "\x0c", "\x1b[31m", "\x7f", "\x85", "\ud83d", "\udc00"]


@pytest.mark.parametrize("odd", ODD)
def test_a_reply_with_a_control_character_is_asked_for_again_and_quoted_readably(odd):
    edit = [{"src": "as above", "dest": f"as {odd} given"}]
    found = [
        validation.validate_text(f"S1: x {odd}", ""),
        validation.validate_annotation(["a", "b"], f"S1: x {odd} (L1-L2)", ""),
        validation.validate_outlines(OUTLINES, f"1: Count {odd} pairs\n2: Try it", ""),
        validation.validate_outlines(OUTLINES, json.dumps([f"Count {odd} pairs", "Try it"]), ""),
        validation.validate_edits(EDITS, json.dumps(edit), ""),
        validation.validate_edits(EDITS, json.dumps(edit, ensure_ascii=False), ""),
        validation.validate_edits(EDITS, f"No {odd} idea", ""),
    ]
    assert [item.faults[0].code for item in found] == [*["control_character"] * 6, "unreadable_edits"]
    for fault in (fault for item in found for fault in item.faults):
        fault.sentence.encode()
        assert fault.sentence.isprintable()


@pytest.mark.parametrize("form", ["[parallel]", "{{parallel}}", "(parallel)"])
def test_tags_in_a_form_that_is_not_read_are_asked_for_again(form):
    closing = form.replace("parallel", "/parallel")
    found = validation.validate_annotation(["a"] * 4, f"S1: x (L1-L2)\n{form}\nS2: y (L3-L4)\n{closing}", "")
    assert [fault.code for fault in found.faults] == ["unread_tags"] and found.value


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("```\nS1: a (L1-L2)\n```", "S1: a (L1-L2)"),
        ("```text\nS1: a (L1-L2)\n```\n", "S1: a (L1-L2)"),
        ("S1: a (L1-L2)", "S1: a (L1-L2)"),
        ("```\nS1: a\n```\nand\n```\nS2: b\n```", "```\nS1: a\n```\nand\n```\nS2: b\n```"),
    ],
)
def test_a_fence_around_the_whole_reply_is_not_part_of_it(text, bare):
    assert without_fence(text) == bare
