"""Separating thinking and answer: one cut, or the reason why it is impossible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.corpus.thinking import THINK_TAGS, FailedCut, cut, trim, unwrap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>\nA\n\nB\n</think>\n\nC", ("A\n\nB", "C")),
        ("A\n</think>\nC", ("A", "C")),  # the prompt opened the block
        ("\n <think>A</think>", ("A", "")),
        ("A", "no_think_tags"),
        ("<think>\nA", "not_closed"),
        ("<think></think>C", ("", "C")),
        ("<think>A</think>B</think>C", "ambiguous_cut"),
        ("<think>A <think> B</think>C", "ambiguous_cut"),
        ("A</think>B <think>C", "ambiguous_cut"),
        ("Sure. <think>A</think>B", "ambiguous_cut"),
    ],
)
def test_the_cut(text, expected):
    result = cut(text)
    assert (result.reason if isinstance(result, FailedCut) else tuple(map(trim, result))) == expected


def test_other_tags_are_read_like_the_usual_ones_and_pairs_do_not_mix():
    pairs = [THINK_TAGS, ("<|a|>", "<|b|>")]
    assert cut("<|a|>x<|b|>y", pairs) == cut("<think>x</think>y", pairs) == ("x", "y")
    assert cut("<think>x<|b|>y", pairs).reason == "ambiguous_cut"
    assert cut("<|a|>x<|b|>y").reason == "no_think_tags"


def test_tags_around_the_answer_are_removed():
    assert unwrap("<|s|>\n5\n<|e|>\n", [("<|s|>", "<|e|>")]) == "5"
    assert unwrap("5 <|e|>", [("<|s|>", "<|e|>")]) == "5 <|e|>"


@given(st.text(alphabet=st.sampled_from("ab <>/\n\r\u2028\x85"), min_size=1), st.text(alphabet="c\n \u2028"))
def test_the_cut_loses_nothing_and_trimming_only_blank_lines_at_the_edges(thinking, answer):
    assert cut(f"<think>{thinking}</think>{answer}") == (thinking, answer)
    for before, after in ((text, trim(text)) for text in (thinking, answer)):
        head, found, tail = before.partition(after) if after else (before, "", "")
        assert found == after and not (head + tail).strip()
        assert head == "" or after == "" or head.endswith("\n")
        assert tail == "" or tail.startswith("\n")
        assert all(line.strip() for line in (after.split("\n")[0], after.split("\n")[-1])) or after == ""


def test_white_space_other_than_blank_lines_stays():
    assert (trim("\n \n  A \r\n\n"), trim(" \n\n\tB ")) == ("  A \r", "\tB ")
