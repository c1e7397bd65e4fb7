"""Several runs in one viewer: which a folder holds, each as if alone, and two of them side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from browser.chromium import Command
from browser.fixture import Run, other_run
from threadweaver.errors import UserError
from threadweaver.viewer import comparing, runs, several
from viewing import COMMAND, ask

Sample = namedtuple("Sample", "at id uuid place")


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, Path]:
    parent = tmp_path_factory.mktemp("two")
    for name in ("a", "b"):
        (parent / name).mkdir()
    return Run(parent / "a").write(), other_run(parent / "b")


@pytest.fixture(scope="module")
def served(two):
    with Command(two[0], "--root", str(two[1])) as command:
        command.indexed(0, 1)
        yield command


def status(served, path: str, **options) -> int:
    return ask(int(served.base.rpartition(":")[2]), path, **options)[0]


def ids(page) -> list[tuple]:
    return [tuple(row[side] and row[side]["id"] for side in ("one", "two")) for row in page["rows"]]


def test_a_folder_stands_for_the_ends_of_its_runs(two):
    parent = two[0].parent
    assert [run.root for run in runs.find_all([parent])] == [two[0]]
    assert [run.root for run in runs.find_all([two[0], two[1], two[0]])] == [*two]
    with pytest.raises(UserError, match="nowhere not found"):
        runs.find_all([Path("nowhere")])


def test_the_sets_of_a_dataset_are_shown_one_by_one(tmp_path):
    """A training set, its copy with repeated rows and the validation set are never mixed."""
    for name, number in (("sample_2", 2), ("sample_2_8x", 16), ("val_1", 1)):
        (tmp_path / name).mkdir()
        rows = {"uuid": [f"{name}-{at % 2}" for at in range(number)], "response_reasoning": ["x\ny"] * number}
        parquet.write_table(pyarrow.table(rows), tmp_path / name / "train.parquet")
    found = runs.find_all([tmp_path])
    assert [run.root.name for run in found] == ["sample_2", "sample_2_8x", "val_1"]
    assert {run.kind for run in found} == {runs.DATASET}


def test_pairs_are_made_by_uuid_or_else_by_id():
    one = [
        Sample(1, "0", "u0", "0"),
        Sample(2, "1", "twice", "1"),
        Sample(3, "2", "twice", "2"),
        Sample(4, "3", "", "3"),
    ]
    two = [Sample(7, "9", "u0", "9"), Sample(8, "2", "twice", "2"), Sample(9, "3", "", "3"), Sample(10, "5", "u5", "5")]
    found = {(first, second) for _, first, second in comparing.paired(one, two)}
    assert found == {(1, 7), (2, None), (3, 8), (4, 9), (None, 10)}


def test_each_run_is_served_as_if_alone(served):
    about = served.json("/api/run")
    assert (about["kind"], [run["folder"] for run in about["runs"]]) == ("runs", ["a", "b"])
    assert [run["settings"] for run in about["runs"]] == [{"steps: annotator": name} for name in ("fixture", "another")]
    assert served.json("/run/0/api/list")["count"] == 8 and served.json("/run/1/api/list")["count"] == 6
    assert served.json("/run/1/api/sample/0")["measures"]["parallel_count"] == 1
    assert served.json("/run/0/api/run")["beside"] == 2


def test_the_joined_list_has_differences(served):
    page = served.json("/api/compare/0/1?measure=parallel_count")
    assert ids(page) == [(id, None if id in "26" else id) for id in "01234567"]
    assert dict(page["facets"]["where"]) == {"both": 6, "one": 2}
    assert dict(page["facets"]["change"]) == {"same": 4, "lower": 1}
    assert page["rows"][0]["change"] == -1
    assert [page["figures"][side]["kept"] for side in ("one", "two")] == [4, 2]
    assert page["figures"]["one"]["means"] == served.json("/run/0/api/list")["totals"]["means"]
    assert page["figures"]["two"]["speedup"] == served.json("/run/1/api/list")["totals"]["speedup"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("where=one", "26"),
        ("where=both&change=lower", "0"),
        ("measure=parallel_count&sort=size&dir=desc&limit=1", "0"),
        ("outcomes=ok+%E2%86%92+%E2%80%93", "26"),
        ("q=seat+guests", "4"),
        ("q=fixture-7", "7"),
        ("q=%22%28*", ""),
    ],
)
def test_pairs_are_filtered_sorted_and_searched(served, query, expected):
    assert "".join(one for one, _ in ids(served.json(f"/api/compare/0/1?{query}"))) == expected


def test_distributions_of_both_have_the_same_bins(served):
    measures = {item["name"]: item for item in served.json("/api/compare/0/1/statistics")["measures"]}
    blocks = measures["parallel_count"]
    assert blocks["counts"] == {"one": [0, 4], "two": [1, 1]} and blocks["means"] == {"one": 2, "two": 1.5}


def test_neighbours_of_a_pair_follow_the_selection(served):
    found = served.json("/api/compare/0/1/neighbours?where=one&a=2&b=")
    assert found == {"place": 1, "count": 2, "previous": None, "next": ["6", None]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/2/", 404),
        ("/run/-1/", 404),
        ("/run/..%2f0/", 404),
        ("/api/compare/0/0", 404),
        ("/api/compare/0/9", 404),
        ("/api/compare/0/1?measure=rowid", 400),
        ("/api/compare/0/1?sort=x", 400),
        ("/api/compare/0/1?offset=x", 400),
        ("/api/compare/0/1?where=');drop", 200),
        ("/run/0/static/../../secret", 404),
        ("/api/list", 404),
    ],
)
def test_hostile_addresses_get_a_plain_refusal(served, path, expected):
    assert status(served, path) == expected


def test_reviews_go_to_their_own_run(served, two):
    assert status(served, "/run/1/api/review/1", method="PUT", body=json.dumps({"verdict": "reject"})) == 200
    assert (two[1] / "review.jsonl").is_file() and not (two[0] / "review.jsonl").exists()
    assert ids(served.json("/api/compare/0/1?reviews=none+%E2%86%92+reject")) == [("1", "1")]


def test_settings_that_differ_are_named(two):
    found = several.differences(runs.find_all(two))
    assert found == [{"steps: annotator": "fixture"}, {"steps: annotator": "another"}]


def test_one_run_is_needed_for_an_export(two, tmp_path):
    command = [sys.executable, COMMAND, "--root", two[0], "--root", two[1], "--export", tmp_path / "x.html"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "are for one run" in done.stderr and done.stderr.count("\n") == 1
