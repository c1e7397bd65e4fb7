"""The whole pipeline with a model annotator over real HTTP: what is paid, what is replayed, what editing a prompt
costs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import fake_answers
from fake_openai import FakeOpenAI
from project import InProcess, Project
from threadweaver.files import read_jsonl

COUNT = 4
STAGES = [
    f"data/sample_{COUNT}samples{step}"
    for step in ("", "_step1_v1", "_step2_v1", "_step3_v1_v1", "_step4_v1_v1_v1", "_step5_v1_v1_v1")
]


@pytest.fixture(scope="module")
def paid(tmp_path_factory):
    project = InProcess(tmp_path_factory.mktemp("paid"))
    with FakeOpenAI(answer=fake_answers.answer) as server:
        result = run(project, server)
        yield project, server, result


def run(project: Project, server: FakeOpenAI, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return project.sample_run(*flags, count=COUNT, ANNOTATOR="llm", OPENAI_BASE_URL=server.url, **environment)


def test_a_model_runs_through_the_same_stages_and_the_account_reports_its_cost(paid):
    _, server, result = paid
    assert result.returncode == 0, result.stderr
    assert server.stats()["answered_twice"] == 0
    calls = server.stats()["answered"]
    assert f"{calls} model calls" in result.stdout and "per accepted sample" in result.stdout


def test_with_the_ledger_kept_deleted_stages_cost_nothing_and_give_the_same_bytes(paid):
    project, server, _ = paid
    before, sent = project.files(*STAGES, "dataset"), server.stats()["received"]
    for folder in (*STAGES, "dataset"):
        shutil.rmtree(project.root / folder)
    again = run(project, server)
    assert again.returncode == 0, again.stderr
    assert server.stats()["received"] == sent
    assert project.files(*STAGES, "dataset") == before


def test_offline_the_ledger_alone_rebuilds_the_run(paid, tmp_path):
    project, _, _ = paid
    other = InProcess(tmp_path)
    shutil.copy(project.root / "data/ledger.sqlite", other.root / "data/ledger.sqlite")
    rebuilt = other.sample_run(count=COUNT, ANNOTATOR="llm", OFFLINE="1")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert other.files("dataset") == project.files("dataset")


def test_an_edited_prompt_is_refused_until_overwrite_and_pays_its_stage_alone(paid):
    project, server, _ = paid
    prompt = project.root / "prompt/step4-prompt_v1_v1_v1.txt"
    original = prompt.read_text()
    prompt.write_text(original.replace("Write the outlines", "Now write the outlines", 1))
    try:
        refused = run(project, server)
        assert refused.returncode == 2 and "prompt_sha256" in refused.stderr
        sent = server.stats()["received"]
        done = run(project, server, "--overwrite")
        assert done.returncode == 0, done.stderr
        blocks = sum(
            text.count(b"<Parallel>") for name, text in project.files(STAGES[3]).items() if "/trace/" not in name
        )
        assert server.stats()["received"] - sent == blocks > 0
    finally:
        prompt.write_text(original)


def test_ctrl_c_waits_for_calls_under_way_only_says_how_to_continue_and_keeps_what_was_paid(tmp_path):
    project = InProcess(tmp_path)
    (tmp_path / "prompt/step1-prompt_v1.txt").write_text(fake_answers.SIX_TURNS)
    with FakeOpenAI(answer=fake_answers.answer, latency=0.5) as server:
        settings = {"SRC_NAME": "sample", "NUM_SAMPLES": str(COUNT), "OPENAI_BASE_URL": server.url}
        process = subprocess.Popen(
            ["bash", "run.sh"],
            cwd=project.root,
            env=project.environment(ANNOTATOR="llm", **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        until(lambda: server.stats()["answered"] >= COUNT, 300)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=300)
        assert server.stats()["received"] < 6 * COUNT, "no further turn is asked"
        assert process.returncode == 130
        assert "stopped" in errors and "the same command continues" in errors
        went_on = project.run("bash", "step1.sh", **settings)
        assert went_on.returncode == 0, went_on.stderr
        assert server.stats()["answered_twice"] == 0


def until(condition, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


def test_without_a_key_or_an_endpoint_one_line_names_both_options(tmp_path):
    project = InProcess(tmp_path)
    result = project.sample_run(count=3, ANNOTATOR="llm", MODEL="gpt-5-mini")  # there are no recorded answers of it
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "OPENAI_API_KEY" in result.stderr and "ANNOTATOR=rules" in result.stderr


def test_the_recorded_answers_make_the_sample_where_there_is_no_key(tmp_path):
    """The first run of a newcomer: all chains of the sample, each step answered from the file alone."""
    project = InProcess(tmp_path)
    rows = [row for _, row, _ in read_jsonl(project.root / "data/sample/recorded.jsonl")]
    firsts = [row for row in rows if "<chain>" in row["request"]["messages"][0][1]]
    result = project.run("bash", "run.sh", SRC_NAME="sample", ANNOTATOR="llm")
    assert result.returncode == 0, result.stderr
    said = "no API key and no server: the recorded answers in data/sample/recorded.jsonl are used"
    assert result.stdout.count(said) == 1
    assert f"{len(rows)} replies imported" in result.stdout
    assert f"step1: 0 calls, {len(firsts)} from the ledger (all recorded, $0 paid now)" in result.stdout
    assert f"{len(rows)} model calls" in result.stdout and "recorded, $0 paid now" in result.stdout
    texts = [path.read_text() for path in (project.root / "data/sample_36samples_step5_v1_v1_v1").glob("*.txt")]
    assert len(texts) >= 24 and all("<Parallel>" in text for text in texts)
    assert json.loads((project.root / "data/sample_36samples_step2_v1/settings.json").read_text())["min_gain"] == 200
    planned = project.sample_run(count=36, ANNOTATOR="llm", PLAN="1")
    assert calls_of_plan(planned.stdout) == 0 and said not in planned.stdout


def calls_of_plan(table: str) -> int:
    """Return the calls that a printed plan would make."""
    (total,) = [line.split() for line in table.split("\n") if line.startswith("  total")]
    return int(total[1].replace(",", ""))


def test_reaching_the_cap_names_what_is_left_and_a_higher_cap_continues(tmp_path):
    project = InProcess(tmp_path)
    with FakeOpenAI(answer=fake_answers.answer) as server:
        # a call of step 1 may cost 0.70 dollars at worst, at twice the price: it fits, and no more once a few are paid
        capped = run(project, server, MAX_COST="0.72")
        assert capped.returncode == 1
        slow, reached, end = capped.stderr.split("\n")
        assert "--max-cost 0.72 slows this run down" in slow and end == ""
        assert "--max-cost is reached" in reached and "left undone" in reached
        paid = server.stats()["answered"]
        assert 0 < paid < COUNT and not (project.root / STAGES[2]).exists()
        done = project.annotate(count=COUNT, last=1, OPENAI_BASE_URL=server.url, MAX_COST="5")
        assert done.returncode == 0, done.stderr
        assert server.stats()["answered_twice"] == 0


def test_batches_and_flex_go_through_all_steps_at_half_the_price(tmp_path):
    costs = {}
    with FakeOpenAI(answer=fake_answers.answer) as server:
        for name, environment, flags in (
            ("batch", {"BATCH": "1"}, ("--batch-quiet", "0.2", "--batch-poll", "0.2")),
            ("flex", {}, ("--service-tier", "flex")),
        ):
            project = InProcess(tmp_path / name)
            server.prefixes.clear()
            done = project.annotate(*flags, count=COUNT, OPENAI_BASE_URL=server.url, **environment)
            assert done.returncode == 0, done.stderr
            costs[name] = [line for line in done.stdout.split("\n") if line.startswith("step1:")]
            assert ("batch wave 1" in done.stderr) is (name == "batch")
    [batch], [flex] = costs.values()
    assert batch.rpartition("$")[2] == flex.rpartition("$")[2]
