"""The whole pipeline through its shell scripts, on the sample that ships, without a key."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from project import InProcess, Project
from threadweaver.runs.stages import STAGES

RUN_STAGES = [name for name in STAGES if name != "referee"]  # the referee is asked for by REFEREE=1
STEPS = [
    f"data/sample_24samples_{step}"
    for step in ("step1_v1", "step2_v1", "step3_v1_v1", "step4_v1_v1_v1", "step5_v1_v1_v1")
]


def test_one_command_makes_the_dataset_and_prints_the_funnel(finished):
    project, result = finished
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for label in (
        "read",
        "collected",
        "annotated",
        "with parallel blocks",
        "rewritten",
        "outlined",
        "accepted",
        "saved",
    ):
        assert label in result.stdout
    assert len(list((project.root / "dataset/sample_24samples_v111").glob("sample_*/train.parquet"))) == 2
    settings = json.loads((project.root / STEPS[1] / "settings.json").read_text())
    assert settings["min_gain"] == 0  # a model's blocks alone have to gain something


def test_the_dataset_loads_with_the_columns_trainers_read(finished):
    from datasets import load_dataset

    project, _ = finished
    paths = (project.root / "dataset/sample_24samples_v111").glob("sample_*/train.parquet")
    path = next(path for path in paths if not path.parent.name.endswith("x"))
    rows = load_dataset("parquet", data_files=str(path), cache_dir=str(project.root / "cache"))["train"]
    assert rows.num_rows == int(path.parent.name.split("_")[1]) > 0
    assert not {"prompt", "completion", "messages", "conversations", "input_ids"} & set(rows.column_names)
    for row in rows:
        assert "<Parallel>" in row["response_reasoning"] and row["response_reasoning"] in row["qwen_text"]
        assert row["qwen_text"].count("output the final answer within") == 1
        assert row["ground_truth"] and row["raw_messages"][0]["content"].startswith(row["question"])


def test_every_accepted_trajectory_gives_its_chain_back(finished):
    from threadweaver.samples import list_samples, read_collected, read_sample
    from threadweaver.trajectory import edits, markup
    from threadweaver.trajectory.edits import Lineage

    project, _ = finished
    chains = {sample.index: sample.thinking for sample in read_collected(project.root / "data/sample_24samples")}
    folder = project.root / STEPS[-1]
    accepted = list_samples(folder)
    assert accepted
    for path in accepted:
        record = Lineage.from_json((folder / "trace" / f"{path.stem}.json").read_text())
        assert edits.restore(markup.parse(read_sample(path)), record) == chains[int(path.stem)]


def test_the_account_names_every_sample_and_the_page_needs_nothing_else(finished):
    project, result = finished
    report = json.loads((project.root / "data/sample_24samples_report.json").read_text())
    for stage, following in zip(report["funnel"], report["funnel"][1:], strict=False):
        assert stage["in"] == stage["passed"] + sum(loss["count"] for loss in stage["losses"])
        assert stage["passed"] == following["in"]
    page = (project.root / "data/sample_24samples_report.html").read_text()
    assert "no_block" in page and "<svg" in page and "with parallel blocks" in page
    with_blocks = next(stage["with_blocks"] for stage in report["funnel"] if stage["stage"] == "parallel")
    assert re.search(rf"with parallel blocks +{with_blocks}\n", result.stdout)
    assert "http://" not in page and "https://" not in page and "<script" not in page


def test_the_command_that_is_printed_runs_as_it_is_printed(finished, tmp_path):
    project, result = finished
    [command] = [line.split(":  ", 1)[1] for line in result.stdout.split("\n") if line.startswith("Look at it:")]
    shown = Project.run(project, "bash", "-c", f"{command} --export '{tmp_path}/page.html' --limit 1")
    assert shown.returncode == 0 and (tmp_path / "page.html").is_file(), shown.stderr


def test_a_second_run_redoes_nothing_and_reports_it(finished):
    project, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (project.root / "data").rglob("*.txt")}
    again = project.sample_run("--units")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("nothing to do") == len(RUN_STAGES)
    assert before == {path: path.stat().st_mtime_ns for path in (project.root / "data").rglob("*.txt")}


def test_deleted_stages_are_redone_to_the_same_bytes(finished, tmp_path):
    project = finished[0].copy(tmp_path)
    folders = [*STEPS, "dataset"]
    before = project.files(*folders)
    for folder in (*STEPS[2:], "dataset"):
        shutil.rmtree(project.root / folder)
    again = project.sample_run("--units")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("nothing to do") == len(RUN_STAGES) - len(STEPS[2:]) - 1
    assert project.files(*folders) == before


def test_growing_the_run_keeps_what_the_smaller_one_made(finished, tmp_path):
    project = finished[0].copy(tmp_path)
    grown = project.sample_run(count=36)
    assert grown.returncode == 0, grown.stderr
    assert "6  wrong (25, 27, 29, 31, 33, 35)" in grown.stdout
    small, large = project.files(STEPS[4]), project.files("data/sample_36samples_step5_v1_v1_v1")
    texts = {Path(name).name: text for name, text in large.items() if name.endswith(".txt") and "/trace/" not in name}
    for name, text in small.items():
        if name.endswith(".txt") and "/trace/" not in name:
            assert texts[Path(name).name] == text


def test_other_settings_are_refused_until_overwrite(finished):
    project, _ = finished
    other = project.run(
        "bash",
        "step2.sh",
        SRC_NAME="sample",
        ANNOTATOR="rules",
        NUM_SAMPLES="24",
        STEP2_VERSION="v1",
        FILTER_DIFF_THRESHOLD="150",
    )
    assert other.returncode == 2
    assert other.stderr.count("\n") == 1 and "filter_diff_threshold: 200 there, 150 now" in other.stderr
    assert "--overwrite" in other.stderr


def test_each_stage_works_alone_on_a_single_file(finished, tmp_path):
    project, _ = finished
    step4 = project.root / STEPS[3]
    path = next(iter(sorted(step4.glob("*.txt"))))
    alone = project.python(
        "src/filter-format-correct-and-obtain-stats.py",
        "--input",
        str(path),
        "--output",
        str(tmp_path / "one"),
        "--tokenizer",
        "data/sample/tokenizer",
        "--skip_conclusion_check",
    )
    assert alone.returncode == 0, alone.stderr
    assert json.loads((tmp_path / "one/manifest.json").read_text())["samples"] == 1


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"DATASET_PATH": "data/nowhere"}, "data/nowhere not found"),
        ({"DATASET_PATH": "bad.jsonl"}, "bad.jsonl, line 2"),
        ({"TOKENIZER": "no/such-tokenizer"}, "no/such-tokenizer"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path, environment, says):
    project = InProcess(tmp_path)
    good = (project.root / "data/sample/chains.jsonl").read_text().split("\n")[:3]
    (project.root / "bad.jsonl").write_text("\n".join([good[0], good[1][:-20], good[2]]) + "\n")
    result = project.sample_run(**environment)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and says in result.stderr, result.stderr
    if "bad.jsonl" in says:
        kept = project.sample_run("--max-failed", "1", count=3, **environment)
        assert kept.returncode == 0, kept.stderr
        assert "-1  malformed (1)" in kept.stdout


def test_a_stage_out_of_order_or_with_nothing_to_do_names_the_true_cause(tmp_path):
    """Also where every row was left out at the beginning."""
    project = InProcess(tmp_path)
    rows = [{"problem": "p", "thinking": "a\nb\n" * 99, "output": "x", "correctness": False}] * 3
    (project.root / "wrong.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"SRC_NAME": "w", "NUM_SAMPLES": "3", "ANNOTATOR": "rules", "DATASET_PATH": "wrong.jsonl"}
    for step in (1, 2, 3, 5):
        early = project.run("bash", f"step{step}.sh", **settings, TOKENIZER="data/sample/tokenizer")
        assert (early.returncode, early.stderr.count("\n")) == (2, 1)
        assert "not found: run the stage before it, or correct SRC_NAME, INPUT_SUFFIX or NUM_SAMPLES" in early.stderr
    assert sorted(path.name for path in (project.root / "data").iterdir()) == ["sample"]
    whole = project.run("bash", "run.sh", **settings, TOKENIZER="data/sample/tokenizer")
    assert (whole.returncode, whole.stderr) == (1, "no sample is left: all 3 were rejected (wrong 3)\n")
    for step in (1, 2):
        later = project.run("bash", f"step{step}.sh", **settings)
        assert later.returncode == 2 and ("not found" in later.stderr or "all 3 were lost" in later.stderr)
    assert "data/w_3samples holds no samples: all 3 were lost in the stage that wrote it (wrong 3)" in (
        project.run("bash", "step1.sh", **settings).stderr
    )
