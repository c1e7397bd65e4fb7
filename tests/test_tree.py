"""The tree of contexts: every trained token sees exactly what fork-join inference shows it, and is trained once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test_training_units import BEGIN, PROMPT, ROW, letters
from threadweaver.corpus.training_units import Unit, UnitError, as_ids
from threadweaver.exports import tree
from threadweaver.exports.shipped import tree_reader
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

LETTERS = letters()


def requests(units: list[Unit[list[int]]]) -> Counter:
    """Each token that a model decodes, with all tokens before it, as the separate requests have them."""
    return Counter(
        tuple((unit.context + unit.continuation)[: at + 1])
        for unit in units
        for at in range(len(unit.context), len(unit.context) + len(unit.continuation))
    )


def trained(row: dict) -> Counter:
    """The same of a packed row: each trained token with the tokens it sees, in the order of their positions."""
    mask, ids = tree_reader.visible(row), np.array(row["input_ids"])
    positions, found = np.array(row["position_ids"]), Counter()
    for at, label in enumerate(row["labels"]):
        if label == tree_reader.IGNORED:
            continue
        seen = np.flatnonzero(mask[at])
        assert label == ids[at] and list(positions[seen]) == list(range(len(seen)))
        assert set(np.flatnonzero(mask[at - 1])) == set(seen) - {at}, "the token before it in the row predicts it"
        found[tuple(int(id) for id in ids[seen])] += 1
    return found


def packed(text: str = ROW, begin: int = BEGIN, tokenizer=LETTERS) -> tuple[list[Unit[list[int]]], dict]:
    units = as_ids(text, begin, tokenizer)
    return units, tree.columns(tree.build(units))


def test_every_decoded_token_is_trained_once_with_the_tokens_that_its_request_holds(tokenizer):
    for of in (LETTERS, tokenizer):
        units, row = packed(tokenizer=of)
        assert trained(row) == requests(units)


@st.composite
def turns(draw) -> str:
    """An assistant's turn with blocks of two to eleven threads, some with a conclusion, next to each other or apart."""
    words = st.sampled_from(("x = 1", "so 2", "1: y", "2:", "a\nb", "11"))
    text = draw(st.sampled_from(("", "We begin.\n")))
    for _ in range(draw(st.integers(0, 3))):
        count = draw(st.sampled_from((2, 2, 3, 11)))
        bodies, plans = (draw(st.lists(words, min_size=count, max_size=count)) for _ in range(2))
        block = markup.write_block(bodies, plans, draw(st.sampled_from((None, "Both."))))
        text += f"{block}\n{draw(st.sampled_from(('', 'Then' + chr(10))))}"
    return f"{text}The end."


@settings(max_examples=25)
@given(turns())
def test_it_holds_for_any_trajectory(turn):
    units, row = packed(PROMPT + turn)
    assert trained(row) == requests(units)
    seen, own = tree_reader.intervals(row)
    token = np.arange(len(seen))
    by_intervals = (token < seen[:, None]) | ((token >= own[:, None]) & (token <= token[:, None]))
    assert (by_intervals == tree_reader.visible(row)).all()


def test_the_length_is_the_training_length_less_what_siblings_share():
    units, row = packed()
    extra = sum(unit.thread > 1 for unit in units)
    length = measure(markup.parse(ROW), LETTERS.starts(ROW)).training_length
    assert len(row["input_ids"]) == length - 2 * extra  # <Thread> and a newline


def wrong(row: dict) -> dict[str, dict]:
    """Rows as a mistaken trainer would read them."""
    plain = {"segment_start": [0], "segment_end": [len(row["input_ids"])], "segment_parent": [-1], "segment_fork": [0]}
    return {
        "a causal mask": row | plain,
        "positions of the packed row": row | {"position_ids": list(range(len(row["input_ids"])))},
        "branches from one token later": row | {"segment_fork": [fork + (fork > 0) for fork in row["segment_fork"]]},
    }


@pytest.mark.parametrize("name", wrong(packed()[1]))
def test_a_wrong_mask_or_position_is_noticed(name):
    units, row = packed()
    with pytest.raises(AssertionError):  # other tokens, gaps in the positions, or another token that predicts
        assert trained(wrong(row)[name]) == requests(units)


def test_threads_that_token_ids_do_not_tell_apart_are_refused():
    first = Unit("thread", 1, 1, [1, 2], [3])
    with pytest.raises(UnitError, match="the same number"):
        tree.build([first, Unit("thread", 1, 2, [1, 2], [4]), Unit("end", 0, 0, [1, 2, 3], [5])])


def test_a_batch_is_padded_with_tokens_that_nobody_sees_and_nobody_trains():
    rows = [packed()[1], packed(f"{PROMPT}a chain")[1]]
    arrays = tree_reader.batch(rows)
    length = len(rows[1]["input_ids"])
    assert {array.shape for array in arrays.values()} == {(2, len(rows[0]["input_ids"]))}
    assert list(arrays["input_ids"][1, :length]) == rows[1]["input_ids"]
    assert set(arrays["labels"][1, length:]) == {tree_reader.IGNORED}
    assert list(arrays["own"][1, length:]) == list(range(length, arrays["own"].shape[1]))
    assert not arrays["seen"][1].any()


def test_a_branch_of_a_branch_has_a_mask_but_no_two_intervals():
    names = ("segment_start", "segment_end", "segment_parent", "segment_fork")
    row = dict(zip(names, ([0, 3, 5], [3, 5, 7], [-1, 0, 1], [0, 2, 4]), strict=True)) | {"input_ids": [0] * 7}
    assert [list(np.flatnonzero(line)) for line in tree_reader.visible(row)[3:]] == [
        [0, 1, 3],
        [0, 1, 3, 4],
        [0, 1, 3, 5],
        [0, 1, 3, 5, 6],
    ]
    with pytest.raises(ValueError, match="branch of a branch"):
        tree_reader.intervals(row)
