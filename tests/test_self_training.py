"""Self-training: what is adopted of a fork-join run, and the dataset that becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

import project
from generating import TRAJECTORY as WITH_PLACEHOLDERS
from generating import rows, write
from test_evaluation import TAGGED
from test_round_trip import trajectories
from threadweaver.generation import evaluation
from threadweaver.generation.outputs import Unread
from threadweaver.generation.problems import Problem
from threadweaver.runs.folder import read_account
from threadweaver.stages import adopting
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory import edits, markup

TRAJECTORY = WITH_PLACEHOLDERS
for word, plan in {"x": "Try the first number", "y and z": "List the names", "size": "Look at the size"}.items():
    TRAJECTORY = TRAJECTORY.replace(f": {word}</Outline>", f": {plan}</Outline>")
PROBLEM = Problem("How many are there?", "12")
TELLS = TRAJECTORY.replace("1: by cases</Outline>", "1: Count by cases, to find n = 64</Outline>").replace(
    "1: Count $a_1$ by cases: 3.", "1: Count by cases. " + "We go on. " * 30 + "So n = 64."
)
LEANS = TRAJECTORY.replace("1: x = 1", "1: The sum is 1250 + 1263 = 2513.").replace(
    "3: Größe über 7", "3: Subtract 2513 from the total of all."
)


def adopted(*texts: str, problem: Problem = PROBLEM) -> list[adopting.Candidate]:
    outputs = [Unread(0, number, text) for number, text in enumerate(texts)]
    scored = list(evaluation.score(outputs, [problem], TAGGED, 1))
    return list(adopting.candidates(outputs, scored, [problem], "run"))


@given(trajectories())
def test_the_sequence_of_a_trajectory_is_what_its_lineage_gives_back(text):
    trajectory = markup.parse(text)
    chain, blocks = adopting.as_chain(trajectory)
    lineage = edits.Lineage(0, "u", "", "", None, edits.fingerprint(chain), len(chain), 1, blocks)
    assert edits.restore(trajectory, lineage) == chain
    for block, origin in zip(trajectory.blocks, blocks, strict=True):
        for thread, of in zip(block.threads, origin.threads, strict=True):
            assert "\n".join(chain.split("\n")[of.first - 1 : of.last]).find(thread.body) >= 0
    assert all(thread.body in chain for block in trajectory.blocks for thread in block.threads)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TRAJECTORY, None),
        (TRAJECTORY.replace("boxed{12}", "boxed{13}"), "wrong"),
        (TRAJECTORY.replace("</Thread><Thread>", "</Thread>\n<Thread>"), "not_canonical"),
        ("<think>\nNo blocks.\n</think>\n\n\\boxed{12}", "no_block"),
        ("<think>\nNever closed", "not_closed"),
        (TRAJECTORY + "\n<Parallel>", "stray_text"),
    ],
)
def test_strict_format_and_a_right_answer_are_needed(text, reason):
    [candidate] = adopted(text)
    assert (candidate.reason == reason) or (reason == "stray_text" and candidate.reason), candidate.reason
    assert adopting.adopt(adopting.to_task(candidate)).outcome == ("rejected" if reason else "ok")


def test_the_first_sound_sample_of_a_problem_has_its_name_and_further_ones_their_number():
    found = adopted(TRAJECTORY.replace("boxed{12}", "boxed{13}"), TRAJECTORY, TRAJECTORY)
    assert [candidate.id for candidate in found] == ["0.0", "0", "0.2"]
    assert [candidate.sample.uuid for candidate in found[1:]] == ["run-0", "run-0.2"]


def test_a_problem_without_reference_answer_teaches_nothing():
    [candidate] = adopted(TRAJECTORY, problem=Problem("How many?", None))
    assert candidate.reason == "no_reference"


@pytest.mark.parametrize(("text", "block", "code"), [(TELLS, 1, "gives_result"), (LEANS, 2, "leak")])
def test_a_block_that_is_given_away_or_leans_becomes_sequential(text, block, code):
    [candidate] = adopted(text)
    result = adopting.adopt(adopting.to_task(candidate))
    assert result.facts["unused"] == [code] and result.facts["blocks"] == 1
    written = result.files["0.txt"].removesuffix("\n")
    trajectory = markup.parse(written)
    kept = markup.parse(candidate.trajectory).blocks[2 - block]
    assert len(trajectory.blocks) == 1 and trajectory.blocks[0].threads[0].body == kept.threads[0].body
    lineage = edits.Lineage.from_json(result.files["trace/0.json"])
    assert [item.number for item in lineage.unused] == [block]
    assert edits.restore(trajectory, lineage) == candidate.sample.thinking


def test_one_command_makes_the_dataset_of_a_fork_join_run(tmp_path):
    place = project.InProcess(tmp_path / "project")
    run = place.root / "data" / "model_next" / "few_2.json"
    write(place.root / "data" / "few.parquet", rows([("How many are there?", "12"), ("And here?", "13")]))
    run.parent.mkdir(parents=True)
    run.write_text(json.dumps([[TRAJECTORY, TRAJECTORY + " Or \\boxed{9}"], [TRAJECTORY, None]]))
    settings = {"SELF_TRAIN": "1", "DATASET_PATH": str(run), "TOKENIZER": "data/sample/tokenizer"}
    planned = place.run("bash", "run.sh", PLAN="1", **settings)
    assert planned.returncode == 0 and "nothing to plan" in planned.stdout, planned.stderr
    done = place.run("bash", "run.sh", **settings)
    assert done.returncode == 0, done.stderr[-600:]
    assert (
        "strict format 56.4% before, 77.0% after" in done.stdout and "--data-type data/few.parquet -n 2" in done.stdout
    )
    folder = place.root / "data" / "few_2_1000samples"
    assert {entry.id: entry.reason for entry in read_account(folder)} == {
        "0": None,
        "0.1": "wrong",
        "1.0": "wrong",
        "1.1": "no_output",
    }
    traced = read_traced(place.root / "data" / "few_2_1000samples_step5_v1_v1_v1" / "0.txt")
    assert f"<think>\n{traced.text}\n</think>" in TRAJECTORY
    assert list((place.root / "dataset" / "few_2_1000samples_v111").glob("sample_1/train.parquet"))
    figures = json.loads((folder / "evaluation.json").read_text())
    assert (figures["samples"], figures["format_correct"]) == (4, 0.75)


def test_without_its_problems_self_training_says_what_to_name(tmp_path):
    place = project.InProcess(tmp_path / "project")
    Path(place.root / "run_1.json").write_text("[]")
    done = place.run("bash", "run.sh", SELF_TRAIN="1", DATASET_PATH="run_1.json", TOKENIZER="data/sample/tokenizer")
    assert done.returncode == 2 and "PROBLEMS" in done.stderr and done.stderr.count("\n") == 1
    done = place.run("bash", "run.sh", SELF_TRAIN="1", TOKENIZER="data/sample/tokenizer")
    assert done.returncode == 2 and "DATASET_PATH" in done.stderr and done.stderr.count("\n") == 1
    shard = {"SELF_TRAIN": "1", "SHARD": "0/2", "DATASET_PATH": "run_1.json", "PROBLEMS": "some.parquet"}
    done = place.run("bash", "run.sh", TOKENIZER="data/sample/tokenizer", **shard)
    assert done.returncode == 2 and "no shards" in done.stderr and done.stderr.count("\n") == 1
