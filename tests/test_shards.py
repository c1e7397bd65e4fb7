"""Shards of a run: which rows each takes, what its folders hold, and how a launcher or a cap is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from project import ROOT, InProcess
from threadweaver.client.settings import dollars
from threadweaver.files import to_json
from threadweaver.runs.folder import read_account
from threadweaver.runs.shards import Shard

SHELL = 'stop() { echo "$1" >&2; exit 2; }; source src/shard.sh; echo "$this_shard $shards $shard_suffix ${LEDGER:-}"'


def of_shell(**settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"SHARD": "", "MERGE": "", **settings}
    return subprocess.run(["bash", "-euc", SHELL], cwd=ROOT, env=environment, capture_output=True, text=True)


def array(task: int, first: int, last: int, count: int) -> dict[str, str]:
    names = {"ID": task, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({}, ""),
        ({"SHARD": "0/1"}, "0/1 1 _shard0of1"),
        ({"SHARD": "2/3"}, "2/3 3 _shard2of3"),
        ({"SHARD": "auto", "RANK": "7", "WORLD_SIZE": "8"}, "7/8 8 _shard7of8 data/ledger{shard}.sqlite"),
        ({"SHARD": "auto", **array(8, 1, 8, 8)}, "7/8 8 _shard7of8 data/ledger{shard}.sqlite"),
        ({"SHARD": "auto", **array(0, 0, 7, 8), "LEDGER": "l", "RANK": "3"}, "0/8 8 _shard0of8 l"),
    ],
)
def test_a_shard_is_given_or_read_from_the_launcher(settings, read):
    done = of_shell(**settings)
    assert (done.stdout.strip(), done.stderr) == (read, "")
    if read:
        assert Shard.parse(read.split()[0]).suffix == read.split()[2]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"SHARD": "3/3"}, "i goes from 0 to 2"),
        ({"SHARD": "00/3"}, "not i/k"),
        ({"SHARD": "1"}, "not i/k"),
        ({"SHARD": "auto"}, "neither SLURM_ARRAY_TASK_ID nor RANK and WORLD_SIZE"),
        ({"SHARD": "auto", **array(5, 3, 5, 2)}, "not all shards"),  # --array=3,5, after the others were done
        ({"SHARD": "auto", **array(0, 0, 0, 1)}, "not all shards"),
    ],
)
def test_a_shard_that_cannot_be_meant_is_refused_in_one_line(settings, says):
    done = of_shell(**settings)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr


@pytest.mark.parametrize("text", ["", "1", "3/3", "-1/2", "0/0", "1/2/3", "01/2", "1 /2", "٣/4"])
def test_the_flag_refuses_the_same(text):
    with pytest.raises(ValueError, match="is not a shard"):
        Shard.parse(text)


def test_parts_of_a_cap_are_together_no_more_than_the_cap():
    assert dollars("20") == 20 and dollars("20/8") == 2.5
    for cap, parts in (("1", 3), ("0.7", 7), ("19.99", 64)):
        nano = parts * int(dollars(f"{cap}/{parts}") * 1e9)  # as the ledger counts
        assert -2 * parts < nano - round(float(cap) * 1e9) <= 0


ASKING = 'source src/env.sh; cap_of_shards; echo "${asking[@]}"'


def test_a_cap_is_one_for_a_shared_ledger_and_an_equal_part_for_separate_ones():
    for settings, ledger, cap, says in (
        ({"SHARD": "1/4"}, "data/ledger.sqlite", "20", "is one cap over all shards that share the ledger"),
        ({"SHARD": "1/4", "LEDGER": "/d/l{shard}"}, "/d/l_shard1of4", "20/4", "each has a ledger of its own"),
        ({"SHARD": "auto", "RANK": "1", "WORLD_SIZE": "4"}, "data/ledger_shard1of4.sqlite", "20/4", "an equal part"),
        ({"MERGE": "4", "LEDGER": "/d/l{shard}"}, "/d/l", "20/4", ""),
    ):
        known = {
            "PYTHON": sys.executable,
            "THREADWEAVER_PYTHON": f"requirements.txt {sys.executable}",
            "MAX_COST": "20",
        }
        environment = {"PATH": os.environ["PATH"], **known, **settings}
        done = subprocess.run(
            ["bash", "-c", ASKING], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        *lines, asking = done.stdout.splitlines()
        assert asking == f"--workers 128 --ledger {ledger} --max-cost {cap}"
        assert lines == [line for line in lines if says in line] and len(lines) == bool(says)


# ---- what is collected

TEXT = "We look at the number and see what it does, line after line.\n"


def row(problem: str, answer: str, *, mark: bool | None = None, uuid: str | None = None) -> dict:
    chain = "\n".join(f"{number} {TEXT}" for number in range(20)) + f"\nSo it is \\boxed{{{answer}}}."
    made = {"problem": problem, "thinking": chain, "output": f"\\boxed{{{answer}}}", "solution": "7"}
    return made | ({} if mark is None else {"correctness": mark}) | ({} if uuid is None else {"uuid": uuid})


def corpus() -> list[dict]:
    """Rows whose fate depends on others: repeated uuids, near-duplicates of which only some are collected."""
    asked = "Find the number of integers below 50 that satisfy the equation with {} roots in all"
    problems = [asked.format(number) for number in (3, 4, 3, 5, 4, 3, 9, 5)]
    answers = ["8", "7", "7", "7", "7", "7", "7", "8"]
    rows = [row(*pair, uuid=f"a-{place % 7}") for place, pair in enumerate(zip(problems, answers, strict=True))]
    return [*rows, row("A wrong one", "7", mark=False), {"problem": "p"}, row(asked.format(9), "8", mark=True)]


def collect(project: InProcess, name: str, *flags: str) -> dict[str, Mapping]:
    done = project.call(
        "src/collect_trajectories.py", "--dataset_path", "rows.jsonl", "--output_path", f"data/{name}", *flags
    )
    assert done.returncode == 0, done.stderr
    return {entry.id: entry for entry in read_account(project.root / "data" / name)}


@pytest.mark.parametrize("flags", [(), ("--dedupe",), ("--dedupe", "--keep-wrong"), ("--no-grade",)], ids=str)
def test_shards_collect_what_one_run_collects_and_say_the_same_of_every_row(tmp_path, flags, monkeypatch):
    monkeypatch.setattr("threadweaver.stages.collecting.BATCH", 4)  # the references are judged by the first of them
    project = InProcess(tmp_path)
    (tmp_path / "rows.jsonl").write_text("".join(to_json(item) + "\n" for item in corpus()))
    whole = collect(project, "whole", "--max-failed", "1", *flags)
    shards = [collect(project, f"s{number}", "--shard", f"{number}/3", *flags) for number in range(3)]
    assert [set(map(int, entries)) for entries in shards] == [set(range(number, 11, 3)) for number in range(3)]
    assert {id: entry for entries in shards for id, entry in entries.items()} == whole
    lines = [line for number in range(3) for line in lines_of(tmp_path / f"data/s{number}")]
    assert sorted(lines) == sorted(lines_of(tmp_path / "data/whole"))
    assert len(lines) > 2 and len({entry.reason for entry in whole.values()}) > 2


def lines_of(folder: Path) -> list[str]:
    return (folder / "collected.jsonl").read_text().splitlines()


def test_a_shard_without_rows_or_with_rejected_ones_alone_goes_through_all_stages(tmp_path):
    project = InProcess(tmp_path)
    for shard in ("30/40", "25/40", "5/40"):  # of 26 rows: none, a wrong one, a sound one
        done = project.sample_run(count=26, SHARD=shard)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        suffix = Shard.parse(shard).suffix
        folders = sorted(path.name for path in (tmp_path / "data").glob(f"*{suffix}"))
        assert len(folders) == 6 and not (tmp_path / "dataset").exists()
        counts = [json.loads((tmp_path / "data" / name / "manifest.json").read_text())["samples"] for name in folders]
        assert counts == {"30/40": [0] * 6, "25/40": [1, 0, 0, 0, 0, 0], "5/40": [1] * 6}[shard]


def test_failed_samples_of_a_shard_are_reported_and_do_not_end_its_run(tmp_path):
    project = InProcess(tmp_path)
    good = (tmp_path / "data/sample/chains.jsonl").read_text().splitlines()[:3]
    (tmp_path / "bad.jsonl").write_text("\n".join([good[0], good[1][:-20], good[2]]) + "\n")
    done = project.sample_run(count=3, SHARD="1/3", DATASET_PATH="bad.jsonl")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1 and "1 of 1 samples of this shard failed (1: bad.jsonl, line 2" in done.stderr
