"""Step 1 killed repeatedly, with a failing server: the short form of tests/bench/chaos.py."""

from __future__ import annotations

import shutil

import pytest

import fake_answers
from bench.chaos import KEYS, Chaos
from fake_openai import FakeOpenAI
from project import Project

COUNT = 4
STEP1 = f"data/sample_{COUNT}samples_step1_v1"


class OneStep(Chaos):
    """Step 1 alone: the whole pipeline would take minutes."""

    script = "step1.sh"

    def prepare(self, root):
        project = Project(root)
        collected = project.python(
            "src/collect_trajectories.py",
            "--dataset_path",
            "data/sample/chains.jsonl",
            "--max_samples",
            str(COUNT),
            "--output_path",
            f"data/sample_{COUNT}samples",
        )
        assert collected.returncode == 0, collected.stderr
        return project

    def made(self, project):
        """Leave out the account: it also counts the repairs."""
        return {name: data for name, data in project.files(STEP1).items() if name.endswith("_reasoning.txt")}


@pytest.mark.parametrize("batch", [False, True], ids=["calls", "batches"])
def test_killed_runs_end_in_the_same_bytes_and_pay_nothing_twice(tmp_path, batch):
    with FakeOpenAI(answer=fake_answers.answer, keys=KEYS[:1]) as server:
        chaos = OneStep(server, COUNT, batch, tmp_path)
        clean = chaos.trial("clean", fault_rate=0.0, seed=0, kills=0)
        assert clean.starts == 1 and len(chaos.clean) == COUNT and not clean.twice
        trial = chaos.trial("run", fault_rate=0.2, seed=1, kills=2)
    assert trial.kills == 2 and trial.faults and trial.sound, trial.line()


class Forgetful(OneStep):
    """Loses the ledger, as if by a kill well after the last reply."""

    lost_seconds = 0.0

    def start(self, project, trial, patience):
        if trial.starts == 2:
            shutil.rmtree(project.root / STEP1)
            (project.root / "data" / "ledger.sqlite").unlink()
        ended = super().start(project, trial, None)
        return None if trial.starts == 1 else ended


def test_a_request_paid_twice_for_no_kill_is_seen(tmp_path):
    with FakeOpenAI(answer=fake_answers.answer, keys=KEYS[:1]) as server:
        trial = Forgetful(server, COUNT, False, tmp_path).trial("run", fault_rate=0.0, seed=0, kills=1)
    assert trial.unexplained and not trial.sound
