"""Choice: of candidates that overlap and nest, the set that saves most, exactly."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.stages.choice import Candidate, choose, first_come, worth_of
from threadweaver.trajectory.annotation import Range


def candidate(number: int, first: int, last: int, value: int) -> Candidate:
    return Candidate(number, (Range(first, first), Range(first + 1, last)), value=value)


CANDIDATES = st.lists(st.tuples(st.integers(1, 24), st.integers(1, 9), st.integers(0, 6)), max_size=9).map(
    lambda rows: [candidate(n, first, first + length, value) for n, (first, length, value) in enumerate(rows, 1)]
)


def disjoint(items) -> bool:
    return not any(one.lines.overlaps(two.lines) for one, two in combinations(items, 2))


@given(CANDIDATES)
@settings(max_examples=300, deadline=None)
def test_the_choice_is_the_best_of_all_sets_and_the_first_by_position(candidates):
    chosen = choose(candidates)
    worthy = sorted((item for item in candidates if item.value), key=lambda item: (item.lines, item.number))
    sets = [items for size in range(len(worthy) + 1) for items in combinations(worthy, size) if disjoint(items)]
    most = max(sum(item.value for item in items) for items in sets)
    places = [[worthy.index(item) for item in items] for items in sets if sum(item.value for item in items) == most]
    assert [worthy.index(item) for item in chosen] == min(places)
    assert sum(item.value for item in first_come(candidates)) <= most


WORTH = {
    "new work": ([500, 400, 300], "new work", False, 340_000),
    "unknown": ([500, 400, 300], "", True, 340_000),
    "a re-check counts half": ([500, 400, 300], "re-check", False, 170_000),
    "so does a restatement before the answer": ([500, 400, 300], "restatement", False, 170_000),
    "a restatement after the answer": ([500, 400, 300], "restatement", True, 0),
    "outlines cost all": ([500, 210], "new work", False, 1_000),
}


@pytest.mark.parametrize("name", WORTH)
def test_worth(name):
    lengths, novelty, after, expected = WORTH[name]
    assert worth_of(lengths, novelty, after_answer=after) == expected


def test_many_candidates_are_chosen_from_at_once():
    many = [candidate(n, n, n + 40, 1 + n % 7) for n in range(1, 20_001)]
    assert disjoint(choose(many)[:200])
