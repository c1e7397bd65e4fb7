"""Launching shards by an engine: which ranks run, what is merged, what a killed or failed rank leads to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import threadweaver.runs
from project import ROOT, InProcess, load
from sharding import made, remove
from threadweaver.runs import ranks
from threadweaver.runs.ranks import was_killed

COUNT = 3


class Launching(InProcess):
    """Runs run.sh in this process, also where a rank starts it; `codes` are exit codes to return instead."""

    def prepare(self, monkeypatch) -> Launching:
        self.starts: list[str] = []
        self.codes: dict[str, list[int]] = {}
        scale_out = load("scale_out")
        monkeypatch.setattr(scale_out, "ROOT", self.root)
        for module in (scale_out, ranks):
            monkeypatch.setattr(module, "start", self.start)
        return self

    def start(self, root: Path, flags: tuple[str, ...], settings: dict[str, str], log: Path | None) -> int:
        name = settings.get("SHARD") or ("plan" if "PLAN" in settings else "merge")
        self.starts.append(name)
        if self.codes.get(name):
            return self.codes[name].pop(0)
        done = self.run("bash", "run.sh", *flags, **settings)
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(done.stdout + done.stderr)
        return done.returncode

    def launch(self, *words: str, **settings: str):
        self.starts.clear()
        every = {"SRC_NAME": "sample", "ANNOTATOR": "rules", "NUM_SAMPLES": str(COUNT), **settings}
        return self.call("src/scale_out.py", "--shards", "3", "--at-once", "1", *words, **every)


@pytest.fixture
def launching(tmp_path, monkeypatch) -> Launching:
    return Launching(tmp_path).prepare(monkeypatch)


def test_the_local_engine_makes_the_run_in_one_piece_and_goes_on_after_a_kill(launching):
    launching.codes["1/3"] = [-9, 137]
    done = launching.launch("--engine", "local")
    assert done.returncode == 0, done.stderr
    assert launching.starts == ["plan", "0/3", "1/3", "1/3", "1/3", "2/3", "merge"]
    assert "3 shards are done; data/sample_3samples_ranks_of3/ranks holds" in done.stdout
    merged = made(launching, COUNT)
    remove(launching, COUNT)
    assert launching.sample_run(count=COUNT).returncode == 0
    assert made(launching, COUNT) == merged


def test_ranks_that_are_done_are_skipped_unless_their_folders_are_gone_or_were_made_otherwise(launching):
    launching.codes = {name: [0] * 9 for name in ("plan", "0/3", "1/3", "2/3", "merge")}
    last = [launching.root / f"data/sample_3samples_step5_v1_v1_v1_shard{rank}of3/manifest.json" for rank in range(3)]
    for path in last:
        path.parent.mkdir(parents=True)
        path.touch()
    every = ["0/3", "1/3", "2/3", "merge"]
    for flags, gone, starts in (
        ((), None, every),
        ((), None, ["merge"]),
        ((), 2, ["2/3", "merge"]),
        (("--units",), None, every),
    ):
        if gone is not None:
            last[gone].unlink()
        assert launching.launch("--engine", "local", "--no-plan", "--", *flags).returncode == 0
        assert launching.starts == starts


def test_a_rank_that_fails_leaves_the_others_running_and_is_all_that_is_done_next(launching):
    launching.codes = {"0/3": [2, 0], "1/3": [-9, -9, -9, 0], "2/3": [0], "merge": [0]}
    failed = launching.launch("--engine", "local")
    assert failed.returncode == 1
    assert launching.starts == ["plan", "0/3", *["1/3"] * 3, "2/3"]
    assert (
        "shard 0 is not done" in failed.stderr and "2 shards are not done: the same command does only" in failed.stderr
    )
    (done := launching.root / "data/sample_3samples_step5_v1_v1_v1_shard2of3/manifest.json").parent.mkdir()
    done.touch()
    assert launching.launch("--engine", "local", "--no-plan").returncode == 0
    assert launching.starts == ["0/3", "1/3", "merge"]


def test_a_plan_alone_launches_nothing_and_settings_that_are_wrong_neither(launching):
    assert launching.launch("--engine", "local", PLAN="1").returncode == 0
    assert launching.starts == ["plan"]
    wrong = launching.launch("--engine", "local", NUM_SAMPLES="x")
    assert (wrong.returncode, launching.starts) == (2, ["plan"])
    assert not (launching.root / "data/sample_3samples_ranks_of3").exists()


SBATCH = """#!/usr/bin/env bash
echo "$@" >>"$HOME/submitted"
cat "${@: -1}" >>"$HOME/submitted"
echo "Submitted batch job $(wc -l <"$HOME/submitted")"
"""


def test_slurm_gets_an_array_of_the_ranks_and_a_merge_that_depends_on_all(launching, monkeypatch):
    (launching.root / "bin").mkdir()
    (script := launching.root / "bin/sbatch").write_text(SBATCH)
    script.chmod(0o755)
    words = ("--engine", "slurm", "--partition", "cpu", "--sbatch", "account=mine", "--no-plan")
    monkeypatch.setenv("MAX_COST", "20")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = launching.launch(*words, PATH=f"{launching.root}/bin:{os.environ['PATH']}", OPENAI_API_KEY="sk-secret")
    assert done.returncode == 0, done.stderr
    submitted = (launching.root / "submitted").read_text()
    for line in ("--array=0-2%1", "--partition=cpu", "--account=mine", "--requeue", "--time=24:00:00"):
        assert f"#SBATCH {line}\n" in submitted
    assert "--qos" not in submitted and 'scontrol requeue "$SLURM_JOB_ID"' in submitted
    assert len(re.findall(r"^--export=ALL,RUN_OFFSET=0 --dependency=afterok:\d+ ", submitted, re.M)) == 1
    assert launching.starts == [] and "merge" in done.stdout
    assert "the cap of 20 USD is an equal part of it, 20/3, for each shard's ledger\n" in done.stdout
    kept = b"".join(path.read_bytes() for path in (launching.root / "data").rglob("*ranks_of3/**/*") if path.is_file())
    assert b"ledger{shard}.sqlite" in kept and b"sk-secret" not in kept + submitted.encode()


def test_without_datatrove_one_line_says_what_to_install(launching, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("datatrove")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "threadweaver.runs.engines", raising=False)
    monkeypatch.delattr(threadweaver.runs, "engines", raising=False)
    monkeypatch.setitem(sys.modules, "datatrove", None)
    done = launching.launch("--engine", "local", "--no-plan")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install -r requirements-scale.txt" in done.stderr


@pytest.mark.parametrize(
    ("code", "killed"), [(0, False), (1, False), (2, False), (130, False), (143, False), (137, True), (-9, True)]
)
def test_only_what_nobody_asked_for_is_a_kill(code, killed):
    assert was_killed(code) is killed and was_killed(-2) is was_killed(-15) is False


def test_ranks_get_the_settings_of_run_sh_and_no_secret(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("SHARD", "1/2")
    monkeypatch.setenv("MAX_COST", "7")
    given = ranks.given_settings()
    assert given["MAX_COST"] == "7" and not {"SHARD", "OPENAI_API_KEY"} & given.keys()


# ---- the processes of a rank

SLOW = """#!/usr/bin/env bash
trap 'echo ended orderly >>said; exit 143' TERM
echo $$ >pid
sleep 60 &
wait
"""
START = """
import sys
from pathlib import Path
from threadweaver.runs.ranks import start
start(Path(sys.argv[1]), ("--flag",), {"SHARD": "0/2"}, Path(sys.argv[1]) / "logs/00000.log")
"""


def test_what_a_killed_rank_was_running_ends_and_the_next_one_waits_for_it(tmp_path):
    (tmp_path / "run.sh").write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    rank = subprocess.Popen([sys.executable, "-c", START, tmp_path], env=environment)
    until((tmp_path / "pid").is_file)
    rank.kill()
    rank.wait()
    (tmp_path / "run.sh").write_text("cat said; echo $SHARD $1; exit 3")
    assert ranks.start(tmp_path, ("--flag",), {"SHARD": "1/2"}, tmp_path / "logs/00000.log") == 3
    assert (tmp_path / "logs/00000.log").read_text() == "ended orderly\n1/2 --flag\n"


def until(condition) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)
