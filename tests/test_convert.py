"""The conversion command: its files, reruns, one-line errors, and the sample."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections import Counter

import pyarrow.parquet as parquet
import pytest

from converting import SAMPLE, Run, output
from project import ROOT, InProcess, Project
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.sources import to_sample
from threadweaver.errors import UserError
from threadweaver.generation import conversion
from threadweaver.grading import workers
from threadweaver.runs import pool
from threadweaver.runs.folder import read_account
from threadweaver.samples import read_collected


def test_repeats_and_the_drawn_rows(tmp_path):
    run = Run(tmp_path, [(f"p{k}", str(k)) for k in range(12)], [[output(k)] for k in range(12)])
    run("--sample-size", "5", "--repeats", "3")
    everything, drawn = run.lines(), run.lines("some_data_1_1k_json")
    assert len(everything) == 12 and len(drawn) == 5 == len(run.rows())
    assert run.lines("some_data_1_3x_json") == everything * 3
    assert drawn == [line for line in everything if line in drawn]
    run("--overwrite")
    assert not (tmp_path / "out" / "some_data_1_3x_json" / "train.jsonl").exists()


def test_the_same_inputs_give_the_same_bytes_and_a_rerun_does_nothing(tmp_path, capsys):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run = Run(tmp_path / name, [(f"p{k}", str(k)) for k in range(6)], [[output(k), output(k)] for k in range(6)])
        run("--per-problem", "1", "--per-problem-rule", "random", "--sample-size", "4")
        files = sorted(path for path in (run.folder / "out").rglob("*") if path.is_file() and path.name != ".lock")
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1] and len(contents[0]) == 6
    capsys.readouterr()
    run("--per-problem", "1", "--per-problem-rule", "random", "--sample-size", "4")
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(UserError, match="per_problem"):
        run("--sample-size", "4")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_batches_and_processes_change_nothing(tmp_path, monkeypatch, jobs):
    answers = ["x^2+2x+1" if k % 3 == 1 else k + (k % 5 == 4) for k in range(23)]  # every third one takes algebra
    problems = [(f"p{k}", "(x+1)^2" if k % 3 == 1 else str(k)) for k in range(23)]
    contents = []
    for size in (200, 4):
        monkeypatch.setattr(workers, "BATCH", size)
        monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
        (tmp_path / str(size)).mkdir()
        run = Run(tmp_path / str(size), problems, [[output(answer)] for answer in answers])
        run("--jobs", jobs)
        assert run.reasons() == {f"{k}-0": "wrong" if k % 5 == 4 and k % 3 != 1 else None for k in range(23)}
        files = sorted(path for path in (run.folder / "out").rglob("*") if path.is_file() and path.name != ".lock")
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_a_journal_of_something_else_and_files_of_another_tool_are_refused(tmp_path):
    run = Run(tmp_path, [("p", "1")], [[output(1)]])
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "a"}\n')
    with pytest.raises(UserError, match="line 1 is not a line of a journal"):
        run(jsons=[other])
    theirs = tmp_path / "out" / "some_data_1_json" / "train.jsonl"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    with pytest.raises(UserError, match="not written by this command"):
        run()
    assert theirs.read_text() == "theirs"
    assert run("--overwrite") == 0


@pytest.mark.parametrize("folder", ["data/processed", "../my data"])
def test_the_sample_is_converted_and_planned_by_the_command_that_is_printed(tmp_path, folder):
    project = InProcess(tmp_path / "a project")
    here = project.root if folder.startswith("data") else tmp_path / "elsewhere"
    here.mkdir(exist_ok=True)

    def run(command: str, project_run=InProcess.run) -> str:
        done = project_run(project, "bash", "-c", f"cd {shlex.quote(str(here))} && {command}")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    script = project.root / "src" / "generated_data_to_training_data_polaris.py"
    flags = ["--dataset-json", SAMPLE / "sample_1.json", "--polaris-parquet", SAMPLE / "problems.parquet"]
    flags += ["--tokenizer", SAMPLE / "tokenizer", "--output-dir", folder, "--workers", "1"]
    printed = run(shlex.join(map(str, [sys.executable, script, *flags])), Project.run)
    assert "36 samples" in printed
    reasons = Counter(entry.reason for entry in read_account(here / folder / "sample_1_account"))
    marked = [row.fields for row in read_rows(SAMPLE / "chains.jsonl")]
    assert reasons[None] == sum(row["correctness"] for row in marked[:35])
    assert reasons == {None: reasons[None], "wrong": 35 - reasons[None], "not_closed": 1}
    [command] = [line.partition(":  ")[2] for line in printed.split("\n") if "run.sh" in line]
    assert "TOKENIZER=" in command and "step 1" in run(command)
    chains = {row["problem"]: row["thinking"] for row in marked}
    run(f"ANNOTATOR=rules {command.replace('PLAN=1 ', '')}")
    collected = read_collected(project.root / "data/sample_1_1k_1000samples")
    assert len(collected) == reasons[None] and all(sample.thinking == chains[sample.problem] for sample in collected)


def test_a_user_error_is_one_line_and_exit_2(tmp_path):
    script = ROOT / "src" / "generated_data_to_training_data_polaris.py"
    flags = ["--dataset-json", str(SAMPLE / "chains.jsonl"), "--polaris-parquet", str(SAMPLE / "problems.parquet")]
    flags += ["--output-dir", str(tmp_path)]
    done = subprocess.run([sys.executable, str(script), *flags], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_next_stage_reads_the_rows(tmp_path):
    run = Run(tmp_path, [("p", "1"), ("q", "2")], [[output(1, "first\n\nsecond")], [output(5)]])
    run("--keep-wrong")
    read = read_rows(tmp_path / "out" / "some_data_1_1k")
    samples = [to_sample(row, "d") for row in read]
    assert [(item.problem, item.solution, item.correctness) for item in samples] == [
        ("p", "1", True),
        ("q", "2", False),
    ]
    assert (samples[0].thinking, samples[0].output) == ("first\n\nsecond", "The answer is \\boxed{1}.")
    columns = set(parquet.read_schema(tmp_path / "out" / "some_data_1_1k" / "train.parquet").names)
    assert not columns & {"prompt", "completion", "messages", "conversations", "input_ids"}


def test_a_reference_that_is_a_json_list_in_a_text_is_the_list(tmp_path):
    run = Run(tmp_path, [("p", '["1", "one"]'), ("q", "[0, 1]")], [[output(1)], [output("[0, 1]")]])
    run()
    assert run.reasons() == {"0-0": None, "1-0": None}


def test_a_sample_whose_process_died_is_done_when_the_same_command_runs_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
    read, here = conversion.read, os.getpid()

    def killed(output, *rest):
        if output.row == 2 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(output, *rest)

    run = Run(tmp_path, [(f"p{k}", str(k)) for k in range(5)], [[output(k)] for k in range(5)])
    monkeypatch.setattr(conversion, "read", killed)
    run("--jobs", "2")
    assert run.reasons()["2-0"] == "worker_died" and len(run.rows()) == 4
    part = run.folder / "out/some_data_1_1k/.train.parquet.0123456789abcdef0123456789abcdef.part"
    part.write_text("of a run that was killed")
    monkeypatch.setattr(conversion, "read", read)
    run("--jobs", "2")
    assert set(run.reasons().values()) == {None} and len(run.rows()) == 5 and not part.exists()
