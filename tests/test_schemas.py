"""Schemas of source rows: uuids, reference answers, marks, conversations, and what is missing in a malformed row."""

from __future__ import annotations

import pytest

from source_rows import chat, row
from threadweaver.corpus.readers import SourceRow
from threadweaver.corpus.sources import to_sample


@pytest.mark.parametrize(
    ("given", "index", "uuid", "source"),
    [
        ("set-7", 7, "set-7", None),
        ("set-17", 7, "x-7", "set-17"),
        ("7", 7, "x-7", "7"),
        ("../set-7", 7, "x-7", "../set-7"),
        (7, 7, "x-7", "7"),
        ("a/b-7", 7, "x-7", "a/b-7"),
        ("-7", 7, "x-7", "-7"),
        ("s" * 300 + "-7", 7, "x-7", "s" * 300 + "-7"),
        ("ä-7", 7, "x-7", "ä-7"),
        (None, 7, "x-7", None),
        ("a b-7", 7, "x-7", "a b-7"),
        ("set-7\n", 7, "x-7", "set-7\n"),
        ("math-500", 0, "x-0", "math-500"),
    ],
)
def test_a_uuid_names_its_row_and_a_file_or_becomes_the_source_uuid(given, index, uuid, source):
    sample = to_sample(SourceRow(index, "x", row(0, uuid=given)), "x")
    assert (sample.uuid, sample.index, sample.extra.get("source_uuid")) == (uuid, index, source)


@pytest.mark.parametrize("solution", ["5", 5, 2.5, ["5", "five"], 0, ""])
def test_the_reference_answer_is_kept_as_it_is(solution):
    assert to_sample(SourceRow(0, "x", row(0, solution=solution)), "x").solution == solution


def test_the_reference_answer_is_found_where_polaris_keeps_it():
    fields = row(0, reward_model={"ground_truth": ["1", "one"]}, difficulty="7/8")
    del fields["solution"]
    sample = to_sample(SourceRow(0, "x", fields), "x")
    assert sample.solution == ["1", "one"] and sample.extra["difficulty"] == "7/8"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0.0, False),
        ("True", True),
        ("false", False),
        (None, None),
        (float("nan"), None),
    ],
)
def test_marks_of_correct_and_wrong(given, read):
    assert to_sample(SourceRow(0, "x", row(0, correctness=given)), "x").correctness is read


def test_of_a_long_conversation_the_last_question_goes_with_the_last_answer():
    turns = [*chat(1)["messages"], *chat(2)["messages"][1:]]
    sample = to_sample(SourceRow(0, "x", {"messages": turns}), "x")
    assert sample.problem == "problem 2" and sample.thinking.endswith("This was 2.")


@pytest.mark.parametrize(
    ("content", "thinking", "output"),
    [
        ("<think>\na\n\nb\n</think>\n\nc", "a\n\nb", "c"),
        ("a\n</think>\nc", "a", "c"),  # the chat template wrote the opening tag into the prompt
        (" <think>\n\n  a\n\n</think>  c\n", "  a", "c\n"),  # blank lines at the edges are of the template
        ("<think>a</think>", "a", ""),
    ],
)
def test_the_thinking_of_a_conversation_is_cut(content, thinking, output):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]
    sample = to_sample(SourceRow(0, "x", {"messages": turns}), "x")
    assert (sample.problem, sample.thinking, sample.output) == ("q", thinking, output)


def test_an_answer_in_which_the_thinking_ends_twice_is_refused_with_the_reason():
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>a</think>b</think>c"}]
    with pytest.raises(ValueError, match=r"no chain.*ambiguous_cut \(2 closing tags\)"):
        to_sample(SourceRow(0, "x", {"messages": turns}), "x")


@pytest.mark.parametrize(
    ("fields", "reference"),
    [
        ({"solution": "We see that it is 5.", "answer": "5"}, "5"),
        ({"solution": "We see that it is 5.", "gold": ["5"]}, ["5"]),
        ({"solution": "5", "answer": "We see that it is 5.", "output": "o", "correctness": None}, "5"),  # collected
        ({"solution": "5"}, "5"),
    ],
)
def test_a_short_answer_is_the_reference_before_a_worked_solution(fields, reference):
    sample = to_sample(SourceRow(0, "x", {"problem": "p", "thinking": "t", **fields}), "x")
    assert sample.solution == reference


@pytest.mark.parametrize(("given", "chain"), [("<think>\na\n\nb\n</think>", "a\n\nb"), ("<think>a</think>\n", "a")])
def test_think_tags_around_a_whole_chain_are_a_wrapper(given, chain):
    assert to_sample(SourceRow(0, "x", {"problem": "p", "thinking": given}), "x").thinking == chain


MALFORMED = {
    "no chain": {"problem": "p"},
    "no problem": {"thinking": "t"},
    "an empty problem": {"problem": " ", "thinking": "t"},
    "a chain that is not a text": {"problem": "p", "thinking": [5]},
    "a chain that is never closed": {"problem": "p", "thinking": "<think>a"},
    "an empty chain": {"problem": "p", "response": "<think>\n\n</think>\n\nc"},
    "nothing": {},
    "messages without an answer": {"messages": [{"role": "user", "content": "q"}]},
    "messages without a think block": {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    },
    "messages with null": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None}]},
    "messages in parts": {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"text": "a"}]}]
    },
    "messages that are none": {"messages": "hello"},
    "messages that are null": {"messages": None},
    "a mark that is none": {"problem": "p", "thinking": "t", "correctness": "partly"},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_row_says_what_is_missing(name):
    with pytest.raises(ValueError, match=r"no problem|no chain|does not mark"):
        to_sample(SourceRow(0, "x", MALFORMED[name]), "x")
