"""Edits: what a reply asks for, what is applied, that all of it can be undone, and the lineage that records it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from threadweaver.trajectory import edits, markup
from threadweaver.trajectory.edits import (
    BlockLineage,
    ConservationError,
    Edit,
    Lineage,
    Replacement,
    Skipped,
    ThreadLineage,
    UnreadableReply,
    Unused,
    apply,
    parse_reply,
    undo,
)


def read(text: str, passage: str) -> list[Replacement]:
    """Return the replacements of a reply about one thread."""
    return parse_reply(text, {1: passage}).get(1, [])


def reply(src: str, dest: str) -> str:
    """A reply with these strings exactly as a model typed them between the quotes."""
    return f'[{{"src": "{src}", "dest": "{dest}"}}]'


# ---- reading a reply

PASSAGE = r"So \frac{1}{2} \times \rho and \neq, the gradient of \theta is known as above."
LATEX = (
    r"\frac{1}{2}",
    r"\times 3",
    r"\neq 0",
    r"\beta",
    r"\nabla f",
    r"\rho^2",
    r"\theta",
    r"\underline{x}",
    r"\text{so}",
    r"\boxed{5}",
    r"\sqrt{2}",
    r"\not\in S",
    r"x \ne y",
    r"$\nu$",
    r"\bar{a} \right) \to \infty",
    r"\{1, 2\}",
    r"\left[0, 1\right)",
    r"\nolimits_{k}",
    r"\uparrow",
    r"a \nexists b",
)


@pytest.mark.parametrize("latex", LATEX)
@pytest.mark.parametrize("doubled", [False, True], ids=["single", "doubled"])
def test_mathematics_survives_json_in_the_new_text(latex, doubled):
    typed = latex.replace("\\", "\\\\") if doubled else latex
    assert read(reply("the gradient", typed), PASSAGE) == [Replacement("the gradient", latex)]


@pytest.mark.parametrize("latex", LATEX)
@pytest.mark.parametrize("doubled", [False, True], ids=["single", "doubled"])
def test_mathematics_survives_json_in_the_text_sought(latex, doubled):
    typed = latex.replace("\\", "\\\\") if doubled else latex
    assert read(reply(f"since {typed} we", "we"), f"and since {latex} we have") == [
        Replacement(f"since {latex} we", "we")
    ]


@pytest.mark.parametrize(
    "words", ["The next", "so", "nothing", "u = 3", "else", "i.e. that", "less than 5", "equal", "Next"]
)
def test_a_line_break_before_a_word_is_a_line_break(words):
    assert read(reply("above.", rf"above.\n{words}"), "as above.") == [Replacement("above.", f"above.\n{words}")]


def test_single_and_doubled_backslashes_in_one_reply():
    typed = '[{"src": "\\\\frac{1}{2} \\times", "dest": "\\\\frac12\\n\\nThen \\sqrt{2}"}]'
    assert read(typed, PASSAGE) == [Replacement(r"\frac{1}{2} \times", "\\frac12\n\nThen \\sqrt{2}")]


def test_proper_json_is_read_as_json():
    pairs = [('a "quoted" word', "two\nlines\tTab"), ("C:\\path", "50 € ü 🧵"), ("\\\\ new row", "/ and \\/")]
    text = json.dumps([{"src": src, "dest": dest} for src, dest in pairs])
    assert read(text, " ".join(src for src, _ in pairs)) == [Replacement(*pair) for pair in pairs]


ONE = [Replacement("as above", "as given")]
TYPED = '[{"src": "as above", "dest": "as given"}]'


@pytest.mark.parametrize(
    "text",
    [
        TYPED,
        f"```json\n{TYPED}\n```",
        f"```\n{TYPED}```",
        f"Here is what I would change:\n\n{TYPED}\n\nNothing else depends on it.",
        f"On the half-open interval [0, 1) nothing changes. {TYPED}",
        f'He said "see [1" and then: {TYPED}',
        f"[] would be wrong, so: {TYPED}",
        f"See [thread 2] and \\[ x_{{1}} \\]: {TYPED} (all of it)",
        TYPED.replace("{", '{"reason": "leans [on] it", '),
        TYPED.replace("{", "\n {\n "),
        f'{TYPED[:-1]}]\n\nBefore I thought of [{{"src": "x"}}]',
    ],
)
def test_the_array_is_found_in_any_surrounding_text(text):
    assert read(text, "as above") == ONE


@pytest.mark.parametrize(
    "text", ["[]", "[ ]", "```json\n[]\n```", "Nothing to change: []", "Thread 1 covers [0, 1).\n[\n]"]
)
def test_an_empty_array_means_that_nothing_changes(text):
    assert read(text, "passage") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nothing to change.",
        "[",
        '[{"src": "a", "dest": "b"',
        '[{"src": "a", "dest": b}]',
        '[{"src": "a"}]',
        '[{"src": 1, "dest": "b"}]',
        '["a", "b"]',
        'Return [] if none. [{"src": "a", "dest": b}]',
        "null",
    ],
)
def test_an_unreadable_reply_never_means_that_nothing_changes(text):
    with pytest.raises(UnreadableReply):
        read(text, "a passage")


OTHER = '[{"src": "above", "dest": "now"}]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"First: []. {OTHER}. Better: {TYPED}", ONE),
        (f"```json\n{OTHER}\n```\nThat changes too little.\n```json\n{TYPED}\n```", ONE),
        (f"```json\n{TYPED}\n```\nThe same again:\n```json\n{TYPED}\n```", ONE),
        (f'{TYPED}\nas in the example [{{"src": "Similarly, we get", "dest": "We get"}}]', ONE),  # not in the passage
        (f"One could write {OTHER}, but nothing leans on a sibling:\n\n[]", []),
        (f"{TYPED}\n(and [] elsewhere)", ONE),
    ],
)
def test_of_several_arrays_the_last_one_that_fits_counts(text, expected):
    assert read(text, "as above") == expected


@pytest.mark.parametrize(
    "text",
    [
        f'{TYPED} Or rather: [{{"src": "above", "dest": b}}]',
        f"{TYPED}\n[{{'src': 'f'(x)', 'dest': 'b'}}]",
        '[{"src": "as above", "dest": "x"} oops, {"src": "as above", "dest": "as given"}]',
        '[{"src": "as above", "dest": "x"}, {"src": "above", "de',
    ],
)
def test_an_array_of_which_a_part_cannot_be_read_is_not_read_in_parts(text):
    with pytest.raises(UnreadableReply):
        read(text, "as above")


def test_a_long_reply_is_read_quickly():
    text = json.dumps([{"src": f"piece {n} \\frac", "dest": "x" * 200} for n in range(500)]) + "[" * 5000 + '"' * 5001
    begun = time.process_time()
    assert len(read(text, "passage")) == 500
    assert time.process_time() - begun < 2


@given(st.text(), st.text(max_size=20))
def test_any_reply_is_read_or_unreadable(text, passage):
    for candidate in (text, f'[{{"src": "{text}", "dest": "x"}}]'):
        try:
            found = read(candidate, passage)
        except UnreadableReply:
            continue
        assert all(isinstance(item, Replacement) for item in found)


# control characters are left out: a tab before a small letter is taken for LaTeX (\tan), which it nearly always is
_printed = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@given(st.lists(st.tuples(_printed, _printed), max_size=4))
def test_replacements_written_by_a_program_come_back(pairs):
    text = json.dumps([{"src": src, "dest": dest} for src, dest in pairs])
    assert read(text, "\n".join(src for src, _ in pairs)) == [Replacement(*pair) for pair in pairs]


# ---- applying

TEXT = "We also know that so far x is 12, and (as above) the so-called sum is 12.5 in all."


def one(src: str, dest: str, text: str = TEXT) -> tuple[str, str | None]:
    applied = apply(text, [Replacement(src, dest)])
    return applied.text, applied.skipped[0].code if applied.skipped else None


def test_a_replacement_is_applied_once_where_it_occurs_literally():
    applied = apply(TEXT, [Replacement("(as above) ", "")])
    assert applied.text == TEXT.replace("(as above) ", "")
    assert applied.edits == (Edit(TEXT.index("(as above)"), "(as above) ", ""),)
    assert applied.skipped == ()


SKIPPED = [
    ("nowhere", "x", "not_found"),
    ("As above", "x", "not_found"),
    ("is", "x", "ambiguous"),
    ("so", "x", "ambiguous"),
    ("so-", "x-", None),
    ("lso", "x", "not_found"),
    ("", "x", "empty_src"),
    ("far", "far", "no_change"),
    ("far", "<n>", "tag_in_dest"),
    ("far", "</Thread>", "tag_in_dest"),
    ("far", "a\x0crac", "control_character"),
    ("far", "\theta", "control_character"),
    ("far", "\x08eta", "control_character"),
    ("far", "\rho", "control_character"),
    ("far", "\ud835", "control_character"),
    ("far", "a\nb", None),
    (TEXT, "", "shrinks_thread"),
    (TEXT[: TEXT.index("-called")], "x", "shrinks_thread"),
    (TEXT, " \n ", "shrinks_thread"),
]


@pytest.mark.parametrize(("src", "dest", "code"), SKIPPED)
def test_what_is_skipped_has_a_code_and_changes_nothing(src, dest, code):
    text, skipped = one(src, dest)
    assert skipped == code
    assert (text == TEXT) == (code is not None)


def test_a_short_word_does_not_change_longer_ones():
    assert one("so ", "thus ", "so 2x and also 2x") == ("thus 2x and also 2x", None)
    assert one("all", "both", "overall, all of it")[0] == "overall, both of it"


def test_the_one_whole_word_counts_however_many_words_contain_it():
    many = "banana " * 60
    assert one("a", "b", f"{many}a") == (f"{many}b", None)
    assert one("a", "b", f"{many}a {many}a")[1] == "ambiguous"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("so n < k > m in this case", [(" k ", "k")]),
        ("so n < k > m in this case", [("< k", "<k"), (" > m", "> m")]),
        ("then <x | y> holds", [(" | y", "")]),
    ],
)
def test_edits_that_would_make_a_tag_of_mathematics_are_skipped(text, pairs):
    applied = apply(text, [Replacement(*pair) for pair in pairs])
    assert (applied.text, applied.edits) == (text, ())
    assert {item.code for item in applied.skipped} == {"makes_tag"}


def test_of_two_that_overlap_the_first_is_applied():
    applied = apply("one two three four", [Replacement("two three", "2 3"), Replacement("three four", "3 4")])
    assert applied.text == "one 2 3 four"
    assert [item.code for item in applied.skipped] == ["overlaps"]


def test_neighbours_are_both_applied_in_any_order():
    pairs = [Replacement("three", "3"), Replacement("one ", "1 "), Replacement("two ", "2 ")]
    applied = apply("one two three as it was", pairs)
    assert applied.text == "1 2 3 as it was"
    assert undo(applied.text, applied.edits) == "one two three as it was"


def test_several_that_only_together_shrink_the_thread_are_all_skipped():
    text = "the first third, the second one and the rest"
    applied = apply(text, [Replacement("the first third, ", ""), Replacement("the second one ", "")])
    assert applied.text == text and applied.edits == ()
    assert [item.code for item in applied.skipped] == ["shrinks_thread"] * 2


def test_white_space_left_at_the_edges_is_trimmed_and_recorded():
    applied = apply(
        "So, then it is 5, and we continue with it, as above",
        [Replacement("So, then", ""), Replacement(", as above", "\n")],
    )
    assert applied.text == "it is 5, and we continue with it"
    assert undo(applied.text, applied.edits) == "So, then it is 5, and we continue with it, as above"


def test_undoing_an_edit_that_was_not_applied_is_an_error():
    with pytest.raises(ConservationError):
        undo("another text", [Edit(2, "a", "b")])
    with pytest.raises(ConservationError):
        undo("short", [Edit(20, "a", "b")])


@given(
    strategies.chains(8)
    .filter(str.strip)
    .flatmap(lambda text: st.tuples(st.just(text.strip()), strategies.replacements(text.strip())))
)
def test_undo_reverts_all_that_apply_did(case):
    text, pairs = case
    applied = apply(text, pairs)
    assert undo(applied.text, applied.edits) == text
    trims = 2
    assert len(pairs) <= len(applied.skipped) + len(applied.edits) <= len(pairs) + trims
    assert applied.text == applied.text.strip() and len(applied.text) >= len(text) / 2
    if not markup.TAG_SHAPED.search(text):
        assert not markup.TAG_SHAPED.search(applied.text)


# ---- the lineage

LINEAGE = Lineage(
    7,
    "set-7",
    "problem \u2028",
    ["5", 5.0, "a\x1cb"],
    False,
    "ab" * 32,
    120,
    9,
    (
        BlockLineage(
            2,
            5,
            (
                ThreadLineage(2, 3, "\r\n", "\n\n", plan="counts the even ones"),
                ThreadLineage(4, 5, "", "", (Edit(0, "x\x0c", ""),), (Skipped("q", "<n>", "tag_in_dest"),)),
            ),
            "why",
        ),
    ),
    (Unused(3, None, None, "overlap", "L1-L2"),),
    ({"kind": "annotation", "code": "gap"},),
)


def test_a_lineage_comes_back_from_its_file():
    assert Lineage.from_json(LINEAGE.to_json()) == LINEAGE


def test_a_trace_from_before_threads_had_plans_is_read():
    data = json.loads(LINEAGE.to_json())
    for block in data["blocks"]:
        for thread in block["threads"]:
            del thread["plan"]
    found = Lineage.from_json(json.dumps(data))
    assert [thread.plan for thread in found.blocks[0].threads] == ["", ""]


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "3", "{}", '{"blocks": 3}', '{"blocks": ["x"], "unused": [], "notes": []}']
)
def test_a_damaged_lineage_is_a_one_line_error(text, tmp_path):
    from threadweaver.errors import UserError
    from threadweaver.stages.traced import read_traced

    (tmp_path / "trace").mkdir()
    (tmp_path / "3.txt").write_text("text\n")
    (tmp_path / "trace/3.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        read_traced(tmp_path / "3.txt")


def test_the_description_of_a_lineage_lists_every_edit_and_every_loss():
    description = LINEAGE.describe()
    for piece in ("set-7", "L2-L5", "counts the even ones", "why", r"'x\x0c' → ''", "tag_in_dest", "overlap", '"gap"'):
        assert piece in description


def test_restoring_something_else_is_an_error():
    chain = "a\nb"
    text = markup.write_block(["a", "b"])
    lineage = Lineage(
        0,
        "u",
        "",
        "",
        None,
        edits.fingerprint(chain),
        3,
        2,
        (BlockLineage(1, 2, (ThreadLineage(1, 1, "", "\n"), ThreadLineage(2, 2))),),
    )
    assert edits.restore(markup.parse(text), lineage) == chain
    for other in ("a\nb", text.replace("a", "c"), f"{text}\n{text}", markup.write_block(["a", "b", "c"]), f"{text} "):
        with pytest.raises(ConservationError):
            edits.restore(markup.parse(other), lineage)


def test_a_lone_surrogate_does_not_stop_the_fingerprint():
    assert edits.fingerprint("\ud835") != edits.fingerprint("\ud836")
