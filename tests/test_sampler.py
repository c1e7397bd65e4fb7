"""Many samples at once: retries, failures, grading, progress, the summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_engine import Script
from generating import PROBLEMS, TOKENIZER, engine, facts_of, folder, generate, journal, project_in, rows, write
from threadweaver.errors import UserError
from threadweaver.generation import sampler
from threadweaver.generation.problems import Problem


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    return project_in(tmp_path, monkeypatch)


def test_what_fails_is_listed_and_the_rest_is_kept(capsys):
    with engine(faults=[400]) as served:
        assert generate(served.url, **{"n-workers": 1}) == 1
        assert len(journal("few_1")) == 3
        assert not (folder() / "few_1.json").exists()
        assert "1 of 4 samples are missing (0/0: HTTP 400" in capsys.readouterr().err
        assert generate(served.url) == 0, "the same command does the missing one"


def test_an_empty_reply_is_not_a_sample(capsys):
    silent = engine(model=lambda prompt, seed: iter([TOKENIZER.hf.eos_token_id]))
    with silent as served:
        assert generate(served.url, limit=1) == 1
    assert "the reply is empty" in capsys.readouterr().err
    assert len({body["seed"] for body in silent.requests}) == sampler.TRIES, "the same seed would give the same again"


def test_a_hopeless_run_is_given_up(project):
    write(project / "data" / "many.parquet", rows([(f"Problem {k}", 1) for k in range(200)]))
    with engine(faults=[400] * 200) as served, pytest.raises(UserError, match="20 samples failed one after the other"):
        generate(served.url, **{"data-type": "many", "n-workers": 4})
    assert len(served.requests) < 40


def test_a_prompt_longer_than_the_context_is_reported_without_asking(capsys):
    with engine() as served:
        assert generate(served.url, limit=1, **{"max-context-length": 10}) == 1
        assert served.requests == []
    assert "leaves no room" in capsys.readouterr().err


def test_answers_are_graded_against_their_own_problem(project):
    replies = {
        text: f"a chain\n</think>\n\n\\boxed{{{answer}}}"
        for (text, _), answer in zip(PROBLEMS, ("2", "3", "2", "5"), strict=True)
    }
    known = Script(TOKENIZER)
    for text, reply in replies.items():
        known.add(TOKENIZER.ids(sampler.prompt_of(Problem(text), TOKENIZER)), reply)
    truths = [("2", None), ("3", None), (["1", "2"], None), (None, None)]
    write(
        project / "data" / "few.parquet",
        [
            {
                "prompt": [{"role": "user", "content": text}],
                "reward_model": {"ground_truth": truth if isinstance(truth, list) else [truth] if truth else []},
            }
            for (text, _), (truth, _) in zip(PROBLEMS, truths, strict=True)
        ],
    )
    with engine(model=known) as served:
        assert generate(served.url) == 0
    facts = {row["message_idx"]: row for row in facts_of("few_1")}
    assert [facts[m]["verdict"] for m in range(4)] == ["correct", "correct", "correct", "undecided"]
    assert facts[0]["answer"] == "2" and facts[0]["correct_rl"] is True


def test_a_fault_of_the_grader_loses_no_trajectory(monkeypatch, capsys):
    def broken(self, result, reference):
        raise RuntimeError("the pool is broken")

    with engine() as served:
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the pool is broken"):
            patch.setattr(sampler.Sampler, "_grade", broken)
            generate(served.url, **{"n-workers": 1})
        assert len(journal("few_1")) == 1
        assert generate(served.url) == 0
        assert len(served.requests) == 4
    assert "of 4 samples correct" in capsys.readouterr().out
    assert all("verdict" in row for row in {row["message_idx"]: row for row in facts_of("few_1")}.values())


def test_progress_is_reported_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sampler, "LINE_SECONDS", 0.0)
    with engine() as served:
        generate(served.url)
    lines = [line for line in capsys.readouterr().err.split("\n") if line.startswith("generate: ")]
    assert lines[-1].startswith("generate: 4 of 4 samples, ") and lines[-1].endswith("% correct, 0 min left")
    assert "tokens/s" in lines[-1]


def test_pass_at_one_and_pass_at_n():
    verdicts = {(0, 0): "correct", (0, 1): "wrong", (1, 0): "wrong", (1, 1): "undecided"}
    line = sampler.accuracy({key: {"verdict": verdict} for key, verdict in verdicts.items()}, 2)
    assert line == "pass@1 0.2500, pass@2 0.5000 (1 of 4 samples correct, 1 undecided)"
