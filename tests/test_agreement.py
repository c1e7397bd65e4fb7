"""How far two annotators agree: figures computed by hand on small chains."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from bench.annotators import Marks, agreement, f1, known
from threadweaver.trajectory.edits import BlockLineage, Lineage, ThreadLineage

CHAIN = "a\nb\n\nc\nd\ne\n\nf\ng\nh"  # eight lines that are not blank: places 0 … 7 are lines 1 2 4 5 6 8 9 10


def marks(*blocks: list[tuple[int, int]]) -> Marks:
    """A chain with blocks whose threads have these first and last lines."""
    records = tuple(
        BlockLineage(threads[0][0], threads[-1][1], tuple(ThreadLineage(*thread) for thread in threads))
        for threads in blocks
    )
    return Marks.read(CHAIN, Lineage(0, "u", "", "", None, "", len(CHAIN), 10, records))


def test_an_annotator_is_a_name_of_the_registry_or_a_model_at_an_endpoint():
    for spec in ("rules", "llm", "recorded", "mine:http://localhost:1:m", "other::m"):
        assert known(spec) == spec
    with pytest.raises(ArgumentTypeError, match="'ruels' is not an annotator: rules, llm,"):
        known("ruels")


def test_blank_lines_count_for_nothing():
    assert marks([(2, 4), (5, 6)]) == marks([(2, 4), (5, 7)]) == Marks(8, frozenset({1, 2, 3, 4}), ((1, 4),), (2,))


def test_the_same_marks_agree_wholly_and_no_block_at_all_says_nothing():
    same = marks([(2, 4), (5, 6)])
    assert agreement([(same, same)], 0) == {
        "chains": 1,
        "lines": 1.0,
        "kappa": 1.0,
        "together": 1.0,
        "blocks": 1.0,
        "cuts": 1.0,
    }
    assert agreement([(marks(), marks())], 0) == {
        "chains": 1,
        "lines": None,
        "kappa": None,
        "together": None,
        "blocks": None,
        "cuts": None,
    }


def test_figures_of_an_overlap():
    """Inside 1 … 4 with a cut after 2, and inside 3 … 6 with a cut after 4: two lines in both, six in either."""
    one, two = marks([(2, 4), (5, 6)]), marks([(5, 6), (8, 9)])
    found = agreement([(one, two)], 0)
    assert found["lines"] == pytest.approx(2 / 6)
    assert found["kappa"] == pytest.approx((4 / 8 - 1 / 2) / (1 - 1 / 2))
    assert (found["together"], found["blocks"], found["cuts"]) == (1.0, 0.0, 0.0)
    assert agreement([(one, two)], 2)["blocks"] == 1.0, "each bound is two lines from its counterpart"


def test_a_cut_that_only_one_makes_is_a_disagreement():
    found = agreement([(marks([(1, 2), (4, 6)]), marks([(1, 2), (4, 5), (6, 6)]))], 0)
    assert found["together"] == pytest.approx(3 / 4) and found["cuts"] == pytest.approx(2 * 1 / 3)


@pytest.mark.parametrize(
    ("one", "two", "tolerance", "value"),
    [
        ([1, 9], [2, 3], 1, 0.5),
        ([1, 2], [2, 3], 1, 1.0),
        ([5], [], 1, 0.0),
        ([], [], 1, None),
        ([1, 2, 3], [2], 1, 0.5),
        ([4, 1], [1, 4], 0, 1.0),
    ],
)
def test_positions_are_matched_one_to_one(one, two, tolerance, value):
    assert f1([(one, two)], tolerance) == value
