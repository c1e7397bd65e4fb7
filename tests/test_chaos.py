"""Step 1 killed repeatedly, with a failing server: the short form of tests/bench/chaos.py."""

from __future__ import annotations

import random
import shutil
import time

import pytest

import fake_answers
from bench.chaos import KEYS, MODES, Chaos
from fake_openai import FakeOpenAI
from project import InProcess

COUNT = 4
STEP1 = f"data/sample_{COUNT}samples_step1_v1"


class OneStep(Chaos):
    """Step 1 alone, with a prompt of six turns, without calls that hang and with short waits. It is killed when some of
    its replies are made, which no load of the machine changes."""

    script = "step1.sh"
    modes = tuple(mode for mode in MODES if mode != "hang")
    timeout = 300
    polling = 0.1
    lost_seconds = float("inf")  # here replies are counted: at most one per sample is on its way at a kill

    def prepare(self, root):
        project = InProcess(root)
        (root / "prompt/step1-prompt_v1.txt").write_text(fake_answers.SIX_TURNS)
        folder = f"data/sample_{COUNT}samples"
        flags = ("--dataset_path", "data/sample/chains.jsonl", "--max_samples", str(COUNT), "--output_path", folder)
        collected = project.call("src/collect_trajectories.py", *flags)
        assert collected.returncode == 0, collected.stderr
        return project

    def reset(self, fault_rate, seed):
        super().reset(fault_rate, seed)
        self.server.slow_seconds, self.server.desk.delay = 0.3, 0.2
        self.dice = random.Random(f"moments {seed}")

    def is_at_work(self, process, patience):
        enough = self.server.counts["answered"] + self.dice.randint(3, 7)
        while process.poll() is None and self.server.counts["answered"] < enough:
            time.sleep(0.005)
        time.sleep(self.dice.uniform(0, 0.1))
        return process.poll() is None

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
    assert trial.twice <= (0 if batch else trial.kills * COUNT), trial.line()


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
    assert trial.twice == 6 * COUNT and trial.unexplained and not trial.sound
