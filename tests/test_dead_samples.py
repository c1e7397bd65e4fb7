"""A sample that fails in one stage: what the stage passed on is what the next one takes, and the account names the loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.damage import load
from project import ROOT
from threadweaver.errors import UserError
from threadweaver.runs import account
from threadweaver.stages import filtering, outlining, parallel, rewriting, steps

SAMPLE = ROOT / "data" / "sample"
COUNT = 12
DEAD = {"steps": "1", "parallel": "2", "rewrite": "4", "outlines": "5", "filter": "0"}
"""One sample per stage that ends in a fault of ours there."""
PLACES = {
    "steps": (steps, "annotate", lambda sample, *_: str(sample.index)),
    "parallel": (parallel, "mark", lambda pair, *_: pair.id),
    "rewrite": (rewriting, "rewrite", lambda traced, *_: traced.id),
    "outlines": (outlining, "outline", lambda traced, *_: traced.id),
    "filter": (filtering.Filter, "__call__", lambda _, task: task.id),
}


@pytest.fixture
def dying(monkeypatch):
    """Make these samples (stage → ids, or all of them) fail with a crash."""

    def make(dead: dict[str, str | None]) -> None:
        for stage, id in dead.items():
            holder, name, id_of = PLACES[stage]
            original = getattr(holder, name)

            def failing(*args, original=original, id=id, id_of=id_of):
                if id is None or id_of(*args) == id:
                    raise RuntimeError("the lights went out")
                return original(*args)

            async def failing_later(*args, failing=failing):
                return await failing(*args)

            asynchronous = stage in ("steps", "rewrite", "outlines")
            monkeypatch.setattr(holder, name, failing_later if asynchronous else failing)

    return make


def run(data: Path, *, max_failed: str = "1") -> list[int]:
    """Run all stages as run.sh does, each with the rules; the exit codes up to the first that is not 0."""
    collected, final = data / "x", data / "x_step5"
    common = ["--max-failed", max_failed]
    annotator = ["--annotator", "rules", *common]
    commands = [
        (
            "collect_trajectories",
            ["--dataset_path", SAMPLE / "chains.jsonl", "--max_samples", COUNT, "--output_path", collected],
        ),
        ("gpt", ["--input", collected, "--output", data / "x_step1", *annotator]),
        ("extract_v1", ["-t", collected, "-a", data / "x_step1", "-o", data / "x_step2", *common]),
        ("rewrite-context_v1", ["--input", data / "x_step2", "--output", data / "x_step3", *annotator]),
        ("generate-outline_v1", ["--input", data / "x_step3", "--output", data / "x_step4", *annotator]),
        (
            "filter-format-correct-and-obtain-stats",
            [
                "--input",
                data / "x_step4",
                "--output",
                final,
                "--tokenizer",
                SAMPLE / "tokenizer",
                "--skip_conclusion_check",
                *common,
            ],
        ),
        (
            "save_dataset",
            [
                "--input",
                collected,
                "--trajectory-glob",
                f"{final}/*.txt",
                "--trajectory-matched-only",
                "--output",
                data / "set",
                "--tokenizer",
                SAMPLE / "tokenizer",
            ],
        ),
    ]
    codes = []
    for name, argv in commands:
        codes.append(load(name).main(list(map(str, argv))))
        if codes[-1]:
            break
    return codes


def test_one_dead_sample_per_stage_ends_no_run_and_is_accounted_for(tmp_path, dying, capsys):
    dying(DEAD)
    assert run(tmp_path) == [0] * 7, capsys.readouterr().err
    done = account.read(tmp_path / "set")
    account.check(done)
    for stage, id in DEAD.items():
        assert [(entry.id, entry.reason) for entry in done.stage(stage).lost if entry.outcome == "failed"] == [
            (id, "crash")
        ]
    before = [stage.entries for stage in done.stages]
    assert [len(entries) for entries in before[1:]] == [len(stage.passed) for stage in done.stages[:-1]]
    out = capsys.readouterr().out
    assert out.count("crash (") == 2 * len(DEAD)  # once where it happened, once in the account


@pytest.mark.parametrize("stage", PLACES)
def test_when_all_are_dead_the_cause_is_one_line_where_it_happened(tmp_path, dying, capsys, monkeypatch, stage):
    monkeypatch.setenv("THREADWEAVER_STARTED_IN", str(tmp_path))  # as run.sh does
    dying({stage: None})
    codes = run(tmp_path, max_failed="100%")
    assert codes == [0] * (1 + list(PLACES).index(stage)) + [1]
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and "no sample is left" in error and "RuntimeError: the lights went out" in error


def test_a_stage_alone_may_be_allowed_to_lose_all_and_the_next_one_has_nothing(tmp_path, dying, capsys, monkeypatch):
    monkeypatch.delenv("THREADWEAVER_STARTED_IN", raising=False)
    dying({"steps": None})
    assert run(tmp_path, max_failed="50%") == [0, 1]
    with pytest.raises(UserError, match="all 12 chains failed there"):
        run(tmp_path, max_failed="100%")
    assert capsys.readouterr().err.count("no sample is left") == 2


def test_a_sample_that_failed_is_done_by_the_next_run_and_reaches_the_dataset(tmp_path, dying, monkeypatch):
    with monkeypatch.context():
        dying({"steps": "0"})
        assert run(tmp_path) == [0] * 7
        assert not (tmp_path / "x_step5" / "0.txt").exists()
    monkeypatch.undo()
    assert run(tmp_path) == [0] * 7
    assert (tmp_path / "x_step5" / "0.txt").exists()
    account.check(account.read(tmp_path / "set"))


def test_a_dataset_whose_writing_was_cut_short_is_completed_by_the_next_run(tmp_path, monkeypatch):
    from threadweaver.corpus import training_rows

    write, written = training_rows.write, []

    def dying_at_the_second(*args, **options):
        if written:
            raise KeyboardInterrupt
        written.append(write(*args, **options))

    with monkeypatch.context() as patched:
        patched.setattr(training_rows, "write", dying_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert len(list((tmp_path / "set").glob("*/*.parquet"))) == 1
    assert run(tmp_path) == [0] * 7
    assert len(list((tmp_path / "set").glob("*/*.parquet"))) == 2
    (repeated,) = (tmp_path / "set").glob("*_8x/train.parquet")
    whole = repeated.read_bytes()
    repeated.write_bytes(whole[:-9])
    assert run(tmp_path) == [0] * 7 and repeated.read_bytes() == whole
    listed = tmp_path / "set" / "files.json"
    expected = listed.read_bytes()
    for damage in (b"", b"[1]", b'{"files": 5}', expected[:20], b"[" * 100_000, b"\xff"):
        listed.write_bytes(damage)
        assert run(tmp_path) == [0] * 7 and listed.read_bytes() == expected


def test_brackets_in_the_name_of_a_folder_are_its_own(tmp_path):
    assert run(tmp_path / "run[1]") == [0] * 7
