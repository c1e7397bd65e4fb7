"""Datasets on the hub by name: streamed from the endpoint that is set, and one line where there is none."""

from __future__ import annotations

import json
import sys

import pytest

from fake_hub import FakeHub
from project import Project
from source_shapes import asked, chain, openr1
from test_source_shapes import to_parquet
from threadweaver.corpus import hub

NAME = "some-lab/Reasoning-Set"
TRAIN = "data/train-00000-of-00001.parquet"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", ("a/b", None, None)),
        ("a/b:c", ("a/b", "c", None)),
        ("a/b:c/d", ("a/b", "c", "d")),
        ("a/b:/d", ("a/b", None, "d")),
        ("open-r1/OpenR1-Math-220k:default/train", ("open-r1/OpenR1-Math-220k", "default", "train")),
        ("a", None),
        ("a/b/c", None),
        ("a/b.jsonl", None),
        ("/a/b", None),
        ("../b", None),
    ],
)
def test_names(text, expected):
    found = hub.parse(text)
    assert (found and (found.name, found.subset, found.split)) == expected


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def collect(project: Project, name: str, *more: str, **environment: str):
    flags = ("--dataset_path", name, "--output_path", "data/out", "--traces", "all", "--overwrite", *more)
    environment = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", **environment}
    return project.python("src/collect_trajectories.py", *flags, **environment)


def test_a_dataset_is_streamed_from_the_endpoint(project):
    rows = [openr1(n) for n in range(2)]
    with FakeHub(NAME, {TRAIN: to_parquet(rows), "data/test-00000-of-00001.parquet": to_parquet(rows[:1])}) as served:
        done = collect(project, NAME, HF_ENDPOINT=served.url)
        assert done.returncode == 0, (done.stderr[-800:], served.asked)
    lines = (project.root / "data/out/collected.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [row["uuid"] for row in found] == ["Reasoning-Set-0", "Reasoning-Set-1", "Reasoning-Set-1.1"]
    assert [row["trace"] for row in found] == [1, 0, 1]
    assert (found[0]["problem"], found[0]["thinking"]) == (asked(0), chain(0, 1))


def test_offline_and_not_in_the_cache_is_one_line(project):
    """Without offline mode the library asks an endpoint that does not answer for half a minute, then it is one line, too."""
    done = collect(project, "some-lab/Unknown-Set", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 and "some-lab/Unknown-Set is neither a file nor" in done.stderr
    assert "offline mode is on" in done.stderr


CARD = b"""---
configs:
- config_name: short
  data_files:
  - {split: cot, path: short/cot.parquet}
  - {split: tir, path: short/tir.parquet}
- config_name: long
  data_files: long/rows.parquet
---
"""


@pytest.fixture(scope="module")
def served():
    files = {
        path: to_parquet([openr1(n)])
        for n, path in enumerate(("short/cot.parquet", "short/tir.parquet", "long/rows.parquet"))
    }
    with FakeHub(NAME, {"README.md": CARD, **files}) as hub:
        yield hub


@pytest.mark.parametrize(
    ("name", "flags", "row"),
    [(f"{NAME}:short/tir", (), 1), (f"{NAME}:long", (), 2), (NAME, ("--subset", "short", "--split", "cot"), 0)],
)
def test_a_subset_and_a_split_are_read_alone(project, served, name, flags, row):
    done = collect(project, name, *flags, HF_ENDPOINT=served.url)
    assert done.returncode == 0, done.stderr[-800:]
    lines = (project.root / "data/out/collected.jsonl").read_text().splitlines()
    assert {json.loads(line)["problem"] for line in lines} == {asked(row)}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (NAME, "several subsets (short, long): choose one with --subset short"),
        (f"{NAME}:short", "several splits (cot, tir): choose one with --split cot"),
        (f"{NAME}:short/train", "no split 'train' (cot, tir): choose one with --split"),
        (f"{NAME}:wide", "no subset 'wide' (short, long): choose one with --subset"),
    ],
)
def test_which_subset_and_split_is_never_guessed(project, served, name, says):
    done = collect(project, name, HF_ENDPOINT=served.url)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and says in done.stderr, done.stderr[-800:]


def test_offline_a_downloaded_set_is_read_from_the_cache(project, served, tmp_path):
    """As a user prepares it on a node with a network: `load_dataset` into HF_HOME, then offline."""
    home = {"HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    code = f"import datasets; datasets.load_dataset({NAME!r}, 'long')"
    got = project.run(sys.executable, "-c", code, HF_ENDPOINT=served.url, HF_HUB_OFFLINE="0", **home)
    assert got.returncode == 0, got.stderr[-800:]
    asked_before = len(served.asked)
    done = collect(project, f"{NAME}:long", HF_ENDPOINT=served.url, HF_HUB_OFFLINE="1", **home)
    assert done.returncode == 0, done.stderr[-800:]
    assert len(served.asked) == asked_before
    [line, _] = (project.root / "data/out/collected.jsonl").read_text().splitlines()
    assert json.loads(line)["problem"] == asked(2)
