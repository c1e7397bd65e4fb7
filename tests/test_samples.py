"""Samples: their order, and what collected.jsonl must hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from threadweaver.errors import UserError
from threadweaver.samples import Sample, list_samples, read_collected, sample_key

SETTINGS = {"stage": "test", "input": "../in", "threshold": 200}


def test_samples_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("10.txt", "2.txt", "0.txt", "11.txt", "1.txt", ".3.txt.x.part", "notes.md"):
        (tmp_path / name).write_text("")
    (tmp_path / "5.txt").mkdir()
    assert [path.name for path in list_samples(tmp_path)] == ["0.txt", "1.txt", "2.txt", "10.txt", "11.txt"]
    assert list_samples(tmp_path / "2.txt") == [tmp_path / "2.txt"]


@pytest.mark.parametrize(
    ("ids", "ordered"),
    [
        (["b-10", "b-9", "a-11"], ["a-11", "b-9", "b-10"]),
        (["x", "1²2", "1"], ["1", "1²2", "x"]),
        (["", "0"], ["", "0"]),
    ],
)
def test_ids_are_ordered_by_the_numbers_in_them(ids, ordered):
    assert sorted(ids, key=sample_key) == ordered


@pytest.mark.parametrize(
    ("pattern", "says"), [("*.txt", "holds no samples"), ("/abs/*.txt", "not a pattern"), ("", "not a pattern")]
)
def test_a_folder_without_samples_is_an_error_and_not_a_stage_that_did_nothing(tmp_path, pattern, says):
    with pytest.raises(UserError, match=says):
        list_samples(tmp_path, pattern)
    with pytest.raises(UserError, match="not found"):
        list_samples(tmp_path / "nowhere", pattern)


def collected(path: Path, *rows: dict) -> list[Sample]:
    (path / "collected.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_collected(path)


def row(uuid: str, **extra) -> dict:
    return {"uuid": uuid, "problem": "p", "thinking": "t", **extra}


def test_a_sample_comes_back_with_everything_it_had(tmp_path):
    full = row("set-7", solution=["1", 2.5], correctness=False, output="so", difficulty=3, extra_info={"a": [1]})
    (sample,) = collected(tmp_path, full)
    assert (sample.index, sample.solution, sample.correctness, sample.extra) == (
        7,
        ["1", 2.5],
        False,
        {"difficulty": 3, "extra_info": {"a": [1]}},
    )
    assert sample.to_row() == full


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("a-0"), {"uuid": "a-1", "problem": "p"}], "line 2"),
        ([row("a-0"), row("a-0")], "a-0 appears twice"),
        ([row("a-1"), row("b-1")], "index 1 appears twice"),
        ([row("a-1"), row("b")], "index 1 appears twice"),
        ([{**row("a-0"), "uuid": 5}], "line 1"),
        ([row("../../out-0")], "line 1"),
        ([{**row("a-0"), "thinking": None}], "line 1"),
        ([["uuid"]], "line 1"),
        ([row("/tmp/x-0")], "line 1"),
    ],
)
def test_samples_that_could_be_mixed_up_are_refused(tmp_path, rows, says):
    with pytest.raises(UserError, match=says):
        collected(tmp_path, *rows)
