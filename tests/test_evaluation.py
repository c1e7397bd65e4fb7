"""Evaluation: what counts as right and as strict format, the figures of a run, and the comparison of two."""

from __future__ import annotations

import importlib
import json
import os
import signal
from pathlib import Path

import pytest

from generating import MODEL, PROBLEMS, TOKENIZER, TRAJECTORY, rows, write
from threadweaver.errors import UserError
from threadweaver.generation import evaluation
from threadweaver.generation.evaluation import Run, Scored
from threadweaver.generation.outputs import Unread
from threadweaver.generation.problems import Problem
from threadweaver.grading import workers
from threadweaver.runs import pool
from threadweaver.trajectory import markup

command = importlib.import_module("evaluate_trajectories")
TAGGED = TOKENIZER.with_tags(markup.TAGS)
PLAIN = "<think>\nOne and one.\n</think>\n\n\\boxed{2}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLAIN, ""),
        (TRAJECTORY, ""),
        (TRAJECTORY.removeprefix("<think>\n"), ""),  # the template opened it
        ("", "no_output"),
        ("<think>\nIt goes on", "not_closed"),
        ("No thinking at all: \\boxed{2}", "no_think_tags"),
        (TRAJECTORY.replace("</Thread><Thread>", "</Thread>\n<Thread>"), "not_canonical"),
        (TRAJECTORY.replace("2: the rest", "3: the rest"), "numbering"),
        (TRAJECTORY.replace("</Parallel>\n\nSo", "\n\nSo"), "stray_text"),
    ],
)
def test_a_format_is_strict_or_has_a_fault_and_is_measured_as_one_sequence(text, fault):
    found = evaluation.shape(text, TAGGED)
    assert found.fault == fault, found
    assert found.total == len(TAGGED.ids(text))
    assert (found.critical < found.total) == bool(found.threads) == (not fault and "<Parallel>" in text)


def test_processes_and_batches_of_algebra_change_nothing_and_one_that_dies_ends_it(monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
    monkeypatch.setattr(workers, "BATCH", 3)
    problems = [Problem("What?", "(x+1)^2" if row % 3 == 1 else str(row)) for row in range(13)]
    answers = ["x^2+2x+1" if row % 3 == 1 else str(row + (row % 4 == 2)) for row in range(13)]
    outputs = [Unread(row, 0, f"{PLAIN.partition('boxed')[0]}boxed{{{answer}}}") for row, answer in enumerate(answers)]
    one, two = (list(evaluation.score(outputs, problems, TAGGED, jobs)) for jobs in (1, 2))
    assert one == two and [scored.row for scored in one] == list(range(13))
    assert [scored.row for scored in one if not scored.correct] == [2, 6]
    measured, here = evaluation.shape, os.getpid()

    def killed(text, tokenizer):
        if "boxed{5}" in text and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return measured(text, tokenizer)

    monkeypatch.setattr(evaluation, "shape", killed)
    with pytest.raises(UserError, match=r"output 5-0 cannot be measured: .* SIGKILL.*: run with --jobs 1"):
        list(evaluation.score(outputs, problems, TAGGED, 2))


def sample(
    row: int, correct: bool, *, at: int = 0, total: int = 100, critical: int = 100, threads=(), fault=""
) -> Scored:
    return Scored(row, at, correct, "correct" if correct else "wrong", fault, total, critical, threads)


def test_figures_count_every_sample_and_an_accuracy_is_the_mean_over_problems():
    run = Run(
        "parallel",
        (
            sample(0, True, total=200, critical=100, threads=(2, 4)),
            sample(0, False, at=1),
            sample(1, True, threads=(3,), critical=50),
            sample(2, False, fault="not_closed", total=400, critical=400),
        ),
    )
    found = evaluation.figures(run)
    assert (found["problems"], found["samples"], found["accuracy"], found["solved"]) == (3, 4, 0.5, 2 / 3)
    assert (found["format_correct"], found["format_faults"]) == (0.75, {"not_closed": 1})
    assert (found["branching"], found["blocks"], found["threads_per_block"]) == (0.5, 0.75, 3.0)
    assert found["speedup"] == pytest.approx(800 / 650) and found["speedup_max"] == 2.0
    assert found["speedup_mean"] == pytest.approx((2 + 1 + 2 + 1) / 4)
    assert [(group["blocks"], group["samples"], group["accuracy"]) for group in found["by_blocks"]] == [
        (0, 2, 0.0),
        (1, 1, 1.0),
        (2, 1, 1.0),
    ]
    low, high = found["accuracy_interval"]
    assert low == 0.0 and high == 1.0  # three problems say little


def test_an_interval_is_that_of_the_mean_and_the_same_every_time():
    low, high = evaluation.interval([1.0] * 60 + [0.0] * 40)
    assert (low, high) == evaluation.interval([1.0] * 60 + [0.0] * 40)
    assert low == pytest.approx(0.6 - 1.96 * 0.049, abs=0.011) and high == pytest.approx(0.6 + 1.96 * 0.049, abs=0.011)
    assert evaluation.interval([0.5]) == (0.5, 0.5)


def test_two_runs_are_compared_on_the_problems_that_both_have():
    first = Run("sequential", (sample(0, True), sample(1, False), sample(7, True)))
    second = Run("parallel", (sample(0, True, critical=50, threads=(2,)), sample(1, True, critical=30, threads=(2,))))
    found = evaluation.compare(first, second)
    assert (found["problems"], found["accuracy_difference"]) == (2, 0.5)
    assert found["critical_path_speedup"] == pytest.approx(200 / 80)


def evaluate(*flags: object) -> int:
    return command.main(["--polaris-parquet", "few.parquet", "--tokenizer", MODEL, *map(str, flags)])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "few.parquet", rows([*PROBLEMS[:2], PROBLEMS[0]]))
    lists = [[PLAIN, PLAIN.replace("2", "3")], [PLAIN.replace("2", "3")] * 2, [PLAIN] * 2]
    Path("seq.json").write_text(json.dumps(lists))
    lines = [{"message_idx": n, "sample_idx": 0, "result": TRAJECTORY} for n in range(3)]
    Path("par.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = [{**line, "reason": "finished", "seconds": 2.0 + n} for n, line in enumerate(lines)]
    Path("par.facts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in facts))
    return tmp_path


def test_the_command_prints_and_writes_the_table(here, capsys):
    assert evaluate("--sequential", "seq.json", "--parallel", "par.jsonl", "--output", "out") == 0
    said = capsys.readouterr().out
    assert "83.3%" in said and "by blocks" in said and "seconds per sample" in said
    found = json.loads(Path("out/evaluation.json").read_text())
    assert found["runs"]["sequential"]["accuracy"] == pytest.approx(5 / 6)
    parallel = found["runs"]["parallel"]
    assert (parallel["as_inference_builds_them"], parallel["blocks"], parallel["seconds"]) == (1.0, 2.0, 3.0)
    assert parallel["units"] == 3 * 8  # two lists of outlines, five threads, the end
    assert found["comparison"]["problems"] == 3
    assert said.startswith(Path("out/evaluation.txt").read_text())
    assert Path("out/evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_one_run_is_enough_and_none_is_an_error(here, capsys):
    assert evaluate("--sequential", "seq.json") == 0
    assert "by blocks" not in capsys.readouterr().out
    with pytest.raises(UserError, match="--sequential, with --parallel"):
        evaluate()
    with pytest.raises(UserError, match="not found"):
        evaluate("--parallel", "none.json")
