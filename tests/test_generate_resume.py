"""generate_trajectories again after any end: what is finished is kept, and only the rest is generated."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from children import alive
from generating import MODEL, PROBLEMS, engine, final, folder, generate, journal, project_in, rows, write
from project import ROOT
from threadweaver.errors import UserError
from threadweaver.generation.journal import Journal


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    return project_in(tmp_path, monkeypatch)


def test_a_half_line_is_generated_again():
    with engine() as served:
        generate(served.url, n=2)
        path = folder() / "few_2.jsonl"
        whole, before = final("few_2"), len(served.requests)
        path.write_bytes(path.read_bytes()[:-25])
        (folder() / "few_2.json").unlink()
        assert generate(served.url, n=2) == 0
        assert len(served.requests) == before + 1
    assert final("few_2") == whole
    assert len(journal("few_2")) == 8


def test_a_complete_run_asks_nothing():
    with engine() as served:
        generate(served.url)
    assert generate(served.url) == 0, "the server is not needed any more"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"temperature": 0.1}, "temperature"),
        ({"seed": 3}, "seed"),
        ({"branching": True}, "mode"),
        ({"max-context-length": 99}, "max_context"),
    ],
)
def test_other_settings_are_refused(flags, named):
    with engine() as served:
        generate(served.url)
        with pytest.raises(UserError, match=f"other settings .*{named}.*--overwrite"):
            generate(served.url, **flags)
        assert generate(served.url, overwrite=True, **{"temperature": 0.1}) == 0


def test_other_problems_are_refused(project):
    with engine() as served:
        generate(served.url)
        write(project / "data" / "few.parquet", rows([*PROBLEMS[:3], ("Another", "1")]))
        with pytest.raises(UserError, match="problems_sha256"):
            generate(served.url)


def test_a_journal_without_settings_is_refused():
    folder().mkdir()
    (folder() / "few_1.jsonl").write_text('{"message_idx":0,"sample_idx":0,"result":"x"}\n')
    with pytest.raises(UserError, match="says what made it"):
        generate("http://127.0.0.1:1/v1")


def test_a_pilot_grows_into_the_whole():
    with engine() as served:
        generate(served.url, limit=2)
        assert len(final("few_1")) == 2
        generate(served.url)
        assert (len(final("few_1")), len(served.requests)) == (4, 4)
        generate(served.url, limit=1)
        assert len(final("few_1")) == 4, "a smaller limit must not cut what is there"


def test_two_runs_at_once_are_refused():
    with Journal(folder() / "few_1", {}), pytest.raises(UserError, match="another run"):
        generate("http://127.0.0.1:1/v1")


def test_a_server_that_dies_in_the_middle_loses_no_finished_trajectory():
    with engine() as served:
        generate(served.url, n=3, branching=True, suffix="whole")
    with (
        engine(dies_after=20) as served,
        pytest.raises(UserError, match=r"no server is left .*what is finished is kept"),
    ):
        generate(served.url, n=3, branching=True, **{"n-workers": 2})
    kept = journal("few_3")
    assert 0 < len(kept) < 12
    assert not (folder() / "few_3.json").exists()
    with engine() as served:
        assert generate(served.url, n=3, branching=True) == 0
    assert final("few_3") == final("few_3", "_whole")
    assert journal("few_3")[: len(kept)] == kept


NURSERY = """
import importlib, os, sys
command = importlib.import_module("generate_trajectories")
import openai
command.load_tokenizer(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:  # a command line each: forked, because importing takes seconds
    pid = os.fork()
    if not pid:
        command.run_command(lambda argv: command.main(line.split()))
    print(pid, flush=True)
"""


def test_killed_at_random_and_restarted_gives_what_an_uninterrupted_run_gives():
    with engine() as served:
        generate(served.url, n=6, branching=True, suffix="whole")
    draw, in_the_middle, kept = random.Random(11), 0, [0]
    with (
        engine(a_token=0.002) as slow,
        subprocess.Popen(
            [sys.executable, "-c", NURSERY, MODEL],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        ) as nursery,
    ):
        assert nursery.stdout.readline() == "ready\n"
        for _ in range(4):
            done, some = slow.completed, draw.randint(15, 50)
            nursery.stdin.write(
                f"--model_name {MODEL} --data-type few -n 6 --branching --n-workers 3 --base-url {slow.url}\n"
            )
            pid = int(nursery.stdout.readline())
            deadline = time.monotonic() + 300
            while slow.completed < done + some and alive(pid) and time.monotonic() < deadline:
                time.sleep(0.005)
            in_the_middle += alive(pid)
            os.kill(pid, signal.SIGKILL)
            while alive(pid):
                time.sleep(0.005)
            kept.append(len((folder() / "few_6.jsonl").read_text().split("\n")) - 1)
        nursery.stdin.close()
    assert in_the_middle == 4, "every run has to be killed in the middle"
    assert kept == sorted(kept) and 0 < kept[-1] < 24, "each run continues where the one before was killed"
    with engine() as served:
        assert generate(served.url, n=6, branching=True) == 0
    assert (folder() / "few_6.json").read_bytes() == (folder("_whole") / "few_6.json").read_bytes()
