"""Separating thinking and answer: one cut in every convention, or the reason why it is impossible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.corpus.thinking import (
    TAGS,
    FailedCut,
    after_thinking,
    answer_part,
    cut,
    cut_turn,
    opened_by,
    read_turn,
    trim,
    unwrap,
)

HARMONY = "<|channel|>analysis<|message|>A\n\nB<|end|><|start|>assistant<|channel|>final<|message|>C<|return|>"


def said(result):
    return result.reason if isinstance(result, FailedCut) else tuple(map(trim, result))


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
        ("<think>A[/THINK]B", "ambiguous_cut"),
        (HARMONY, ("A\n\nB", "C")),
        (f"<|start|>assistant{HARMONY}", ("A\n\nB", "C")),
        (HARMONY.removesuffix("<|return|>"), ("A\n\nB", "C")),  # the last token is not always decoded
        (HARMONY.partition("<|end|>")[0], "not_closed"),
        (f"<|channel|>analysis<|message|>Z<|end|>{HARMONY}", ("Z\n\nA\n\nB", "C")),
        (f"<|channel|>commentary to=f <|constrain|>json<|message|>{{}}<|call|>{HARMONY}", "ambiguous_cut"),
        (f"{HARMONY}<|channel|>final<|message|>D", "ambiguous_cut"),
        ("<|channel|>final<|message|>C", ("", "C")),
        ("analysisA\n\nBassistantfinalC", ("A\n\nB", "C")),
        ("analysis of the problem", "no_think_tags"),
    ],
)
def test_the_cut(text, expected):
    assert said(cut(text)) == expected


@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_every_pair_of_tags_is_cut_alike(opening, closing):
    assert said(cut(f"{opening}\nA\n{closing}\n\nC")) == said(cut(f"A{closing}C")) == ("A", "C")
    assert said(cut(f"{opening}A")) == "not_closed"
    assert said(cut(f"A{closing}B{closing}C")) == "ambiguous_cut"
    assert after_thinking(f"x{closing}C") == after_thinking(f"{opening}x{closing}C") == "C"
    assert after_thinking(f"{opening}C") is None


def test_pairs_of_ones_own_are_read_like_the_usual_ones_and_do_not_mix():
    pairs = [TAGS[0], ("<|a|>", "<|b|>")]
    assert cut("<|a|>x<|b|>y", pairs) == cut("<think>x</think>y", pairs) == ("x", "y")
    assert cut("<think>x<|b|>y", pairs).reason == "ambiguous_cut"
    assert cut("<|a|>x<|b|>y").reason == "no_think_tags"


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("R", "R"),
        ("<think>draft</think>R", "R"),
        ("draft</think>R", "R"),
        ("<think>a</think>b</think>R", "R"),
        ("Sure. <think>draft</think>R", "Sure. R"),
        ("R <think>an afterthought", "R "),
        ("<think>draft", None),
        ("<think>draft</think>", ""),
        (HARMONY, "C"),
        (HARMONY.partition("<|end|>")[0], None),
        ("analysisWe need []assistantfinalR", "R"),
        ("analysis of the matter", "analysis of the matter"),
        ("<think>a</think>" * 20_000 + "<think>" * 20_000 + "</think>R", "R"),
        ("</think>R" + "<think>" * 20_000, "R"),
    ],
)
def test_a_reply_is_what_is_not_thinking(text, reply):
    assert after_thinking(text) == reply


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("x<｜Assistant｜><think>\n", "<think>\n"),
        ("[/INST][THINK]", "[THINK]"),
        ("<think></think>\n", ""),
        ("a <think> b", ""),
        ("plain\n", ""),
        ("", ""),
    ],
)
def test_a_think_tag_of_the_template_belongs_to_the_turn(prompt, opened):
    assert opened_by(prompt) == opened


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>1</think>2", "2"),
        ("[THINK]1[/THINK]2", "2"),
        (HARMONY, "C"),
        ("<think>1", "<think>1"),
        ("<think>1</think>", ""),
        ("1", "1"),
    ],
)
def test_the_part_in_which_an_answer_is_looked_for(text, answer):
    assert answer_part(text) == answer


PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "A"}]}, {"type": "text", "text": "C"}]


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ({"content": "<think>A</think>C"}, ("A", "C")),
        ({"value": "<think>A</think>C"}, ("A", "C")),
        ({"content": "C", "reasoning_content": "A"}, ("A", "C")),
        ({"content": "C", "reasoning": "A", "reasoning_content": None}, ("A", "C")),
        ({"content": "C", "thinking": "A"}, ("A", "C")),
        ({"content": None, "thinking": "A"}, ("A", "")),
        ({"content": "C", "reasoning_details": [{"type": "reasoning.text", "text": "A"}]}, ("A", "C")),
        ({"content": "<think>A</think>C", "info": {"think_content": "A", "answer_content": "C"}}, ("A", "C")),
        ({"content": "C", "info": {"think_content": "A"}}, ("A", "C")),
        ({"content": "<think>B</think>C", "thinking": "A"}, "ambiguous_cut"),
        ({"content": "<think></think>C", "thinking": "A"}, ("A", "C")),
        ({"content": "<think>B", "thinking": "A"}, "not_closed"),
        ({"content": PARTS}, ("A", "C")),
        ({"content": [{"type": "thinking", "thinking": "A"}, "C"]}, ("A", "C")),
        ({"content": [{"type": "text", "text": "<think>A</think>C"}]}, ("A", "C")),
        ({"content": [{"type": "text", "text": "C"}]}, "no_think_tags"),
        ({"content": "C", "reasoning": {"effort": "high"}}, "no_think_tags"),
        ({"content": None}, "no_think_tags"),
    ],
)
def test_the_cut_of_a_turn(turn, expected):
    assert said(cut_turn(turn)) == expected


def test_parts_that_are_no_text_are_named_and_other_contents_are_refused():
    assert read_turn({"content": [{"type": "image_url"}, {"type": "text", "text": "q"}]}).others == ("image_url",)
    for content in (5, [5], b"x"):
        with pytest.raises(TypeError, match="of type"):
            read_turn({"content": content})


@pytest.mark.parametrize(
    ("answer", "bare"),
    [
        ("<answer>5</answer>", "5"),
        ("\n<|begin_of_solution|>\n\n5\n<|end_of_solution|>\n", "5"),
        ("<answer>5", "5"),
        ("<answer>5</answer> and more", "<answer>5</answer> and more"),
        ("<answer>5</answer><answer>6</answer>", "<answer>5</answer><answer>6</answer>"),
        ("It is 5", "It is 5"),
    ],
)
def test_tags_around_the_answer_are_removed(answer, bare):
    assert unwrap(answer) == bare


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
