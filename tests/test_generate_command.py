"""generate_trajectories: the published flags, what is written, the checks before, a server of its own."""

from __future__ import annotations

import shutil
import stat
import sys
import textwrap
from pathlib import Path

import pytest

from children import free_port
from fake_engine import Script
from generating import (
    MODEL,
    PROBLEMS,
    TOKENIZER,
    TRAJECTORY,
    command,
    engine,
    facts_of,
    final,
    folder,
    generate,
    journal,
    project_in,
    rows,
    write,
)
from project import ROOT
from threadweaver.corpus import chat
from threadweaver.errors import UserError
from threadweaver.generation import sampler
from threadweaver.generation.problems import Problem, find_data
from threadweaver.trajectory import markup


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    return project_in(tmp_path, monkeypatch)


@pytest.mark.parametrize("mode", ["autoregressive", "branching"])
def test_a_run_of_either_mode(mode, capsys):
    with engine() as served:
        assert generate(served.url, n=3, suffix="run", **{mode: True}) == 0
    texts = final("few_3", "_run")
    assert [len(samples) for samples in texts] == [3, 3, 3, 3]
    assert (
        sorted(map(tuple, map(dict.keys, journal("few_3", "_run")))) == [("message_idx", "sample_idx", "result")] * 12
    )
    assert all(texts[row["message_idx"]][row["sample_idx"]] == row["result"] for row in journal("few_3", "_run"))
    assert any(markup.parse(text).blocks for samples in texts for text in samples)
    printed = capsys.readouterr().out
    assert "pass@1 0." in printed and "pass@3 0." in printed and "finished 12" in printed
    assert ("critical path" in printed) == (mode == "branching")


def test_with_branching_the_sequential_and_the_parallel_text_are_made_of_the_same_contexts():
    """A script knows only the contexts of training: any other is refused."""
    known = Script(TOKENIZER)
    known.add(TOKENIZER.ids(sampler.prompt_of(Problem(PROBLEMS[0][0]), TOKENIZER)), TRAJECTORY)
    with engine(model=known) as served:
        assert generate(served.url, branching=True, limit=1) == 0
        assert generate(served.url, autoregressive=True, limit=1, suffix="seq") == 0
    assert final("few_1") == final("few_1", "_seq") == [[TRAJECTORY]]
    facts = facts_of("few_1")[-1]
    assert (facts["reason"], facts["blocks"], facts["threads"], facts["exact"]) == ("finished", 2, 5, True)
    assert facts["critical_path"] < facts["tokens"] == len(TOKENIZER.ids(TRAJECTORY))


def test_prompts_are_the_template_and_the_instruction_exactly_once():
    with engine() as served:
        generate(served.url)
    prompts = [TOKENIZER.hf.decode(body["prompt"]) for body in served.requests]
    assert len(prompts) == 4
    for text, _ in PROBLEMS:
        [prompt] = [prompt for prompt in prompts if text in prompt]
        assert prompt == f"<|im_start|>user\n{chat.user_turn(text)}<|im_end|>\n<|im_start|>assistant\n"
        assert prompt.count(chat.INSTRUCTION) == 1


def test_what_the_server_is_asked_for():
    with engine() as served:
        generate(
            served.url,
            temperature=0.25,
            **{"top-p": 0.5, "max-context-length": 900, "no-stop-at-eos": True, "limit": 1},
        )
    [body] = served.requests
    assert body["max_tokens"] == 900 - len(body["prompt"])
    assert (body["temperature"], body["top_p"], body["ignore_eos"]) == (0.25, 0.5, True)
    assert body["no_stop_trim"] and body["include_stop_str_in_output"] and body["return_token_ids"]
    assert body["skip_special_tokens"] is False, "tags that a tokenizer calls special would vanish"


def test_the_published_flags_are_all_accepted(capsys):
    words = (
        "--model_name Qwen/Qwen3-8B --launch_server --verbose --timeout 60 --port 30001 --template-type model --suffix x "
        "--no-stop-at-eos --skip-model-check --skip-system-prompt-check --tp 2 --dp 4 --bfloat16 --data-type "
        "polaris-data-53K -n 1 --autoregressive --debug --no-terminate-on-exit --skip-actual-launch --use-os-system "
        "--temperature 0.7 --top-p 0.9 --wait-before-health-check 5 --n-workers 8 --total-splits 4 --current-split 3 "
        "--max-context-length 8192 --strip-comma-from-answer --overwrite --no-conclusion"
    )
    args = command.flags().parse_args(words.split())
    assert (args.n_samples, args.tp, args.wait_before_health_check, args.current_split) == (1, 2, 5.0, 3)
    assert capsys.readouterr().err.count("no effect") == 1
    assert command.flags().parse_args(words.replace("-n 1", "--n_samples 4").split()).n_samples == 4
    assert command.stem_of(args, "polaris-data-53K") == Path("data/Qwen3-8B_x/polaris-data-53K_1_split3_of_4")


def test_splits_number_their_own_rows_and_give_the_samples_of_the_whole():
    with engine() as served:
        for split in (0, 1):
            assert generate(served.url, **{"total-splits": 2, "current-split": split}) == 0
        assert generate(served.url) == 0
    assert {row["message_idx"] for row in journal("few_1_split1_of_2")} == {0, 1}
    assert final("few_1_split0_of_2") + final("few_1_split1_of_2") == final("few_1")
    with pytest.raises(UserError, match="splits count from 0 to 1"):
        generate(served.url, **{"total-splits": 2, "current-split": 2})


# ---- checks before anything is started


def test_another_model_is_refused_unless_it_is_accepted():
    with engine(name="other/model") as served:
        with pytest.raises(UserError, match=r"serves other/model, not .*--skip-model-check"):
            generate(served.url)
        assert generate(served.url, **{"skip-model-check": True}) == 0
        assert served.requests[0]["model"] == "other/model"


def test_a_shorter_context_is_refused():
    with (
        engine(context=2048) as served,
        pytest.raises(UserError, match="context of 2048 tokens, less than --max-context-length"),
    ):
        generate(served.url)


@pytest.mark.parametrize(
    ("made", "column"),
    [
        ([{"reward_model": {"ground_truth": "1"}}], "prompt"),
        ([{"prompt": [{"role": "user", "content": "x"}]}], "reward_model.ground_truth"),
        (
            [{"prompt": [{"role": "user", "content": "x"}], "reward_model": {"style": "rule"}}],
            "reward_model.ground_truth",
        ),
        (rows([("fine", 1), ("  ", 2)]), "prompt"),
        ([{"prompt": [], "reward_model": {"ground_truth": "1"}}], "prompt"),
    ],
)
def test_a_bad_parquet_is_refused_by_its_column_before_a_server_is_started(project, made, column):
    write(project / "data" / "bad.parquet", made)
    with pytest.raises(UserError) as refused:
        generate(**{"data-type": "bad", "launch_server": True, "engine-python": "/nowhere/python"})
    assert column in str(refused.value) and "\n" not in str(refused.value)
    assert not folder().exists()


def test_where_problems_are_looked_for(project):
    write(project / "data" / "set" / "val.parquet", rows(PROBLEMS))
    write(project / "elsewhere" / "mine.parquet", rows(PROBLEMS))
    data = Path("data")
    assert find_data("few", data) == (data / "few.parquet", "few")
    assert find_data("set", data) == (data / "set" / "val.parquet", "set")
    assert find_data("data/set", data) == (data / "set" / "val.parquet", "set")
    assert find_data("elsewhere/mine.parquet", data) == (Path("elsewhere/mine.parquet"), "mine")
    assert find_data(str(project / "data" / "few.parquet"), data)[1] == "few"
    with pytest.raises(UserError, match=r"no problems 'polaris-data-53K'.*POLARIS repository"):
        find_data("polaris-data-53K", data)


def test_a_template_with_a_system_prompt_is_refused(project, capsys):

    model = project / "model"
    shutil.copytree(MODEL, model)
    template = model / "chat_template.jinja"
    template.write_text("{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}" + template.read_text())
    with engine(name="model") as served:
        with pytest.raises(UserError, match=r"system prompt .*You are helpful"):
            generate(served.url, tokenizer=model)
        assert (
            generate(served.url, tokenizer=model, **{"skip-system-prompt-check": True, "skip-model-check": True}) == 0
        )


@pytest.mark.parametrize(
    "flags",
    [
        {"n": 0},
        {"n-workers": 0},
        {"temperature": -1},
        {"temperature": "nan"},
        {"top-p": 0},
        {"top-p": 1.5},
        {"limit": 0},
    ],
)
def test_impossible_values_are_refused(flags):
    with pytest.raises(UserError, match="must"):
        generate("http://127.0.0.1:9/v1", **flags)


def test_commas_are_stripped_from_an_answer_when_asked():
    args = command.flags().parse_args(["--model_name", "x", "--data-type", "y", "--strip-comma-from-answer"])
    cut = command.answer_of(args)
    assert cut("</think> \\boxed{1,234,567}") == "1234567"
    assert cut("</think> \\boxed{(1,2)}") == "(1,2)"
    args.strip_comma_from_answer = False
    assert command.answer_of(args)("</think> \\boxed{1,234}") == "1,234"


# ---- a server of its own


@pytest.fixture
def engine_python(tmp_path) -> Path:
    """Return a Python that runs the fake engine in place of a real one."""
    path = tmp_path / "python"
    path.write_text(
        textwrap.dedent(f"""\
        #!/bin/sh
        exec {sys.executable} {ROOT / "tests" / "fake_engine.py"} "$@"
    """)
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_published_command_starts_a_server_and_ends_it(engine_python, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    port = free_port()
    assert generate(launch_server=True, autoregressive=True, n=1, port=port, **{"engine-python": engine_python}) == 0
    assert len(final("few_1")) == 4
    assert "sglang.launch_server --model-path" in (folder() / "logs" / f"server_{port}.log").read_text()
    with pytest.raises(UserError, match="no server is left"):
        generate(f"http://127.0.0.1:{port}/v1", suffix="after")


def test_a_server_that_cannot_start_is_reported_with_its_log(engine_python, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_FAULT", "exit")
    with pytest.raises(UserError, match=r"did not start: .*exit code 1.*no kernel image is available"):
        generate(launch_server=True, port=free_port(), **{"engine-python": engine_python})


def test_a_server_that_dies_in_the_middle_is_reported_with_its_log(engine_python, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_FAULT", "dies")
    with pytest.raises(UserError, match=r"no server is left .*exit code 7; the end of .*RuntimeError: out of memory"):
        generate(launch_server=True, port=free_port(), **{"engine-python": engine_python, "n-workers": 1})
    assert len(journal("few_1")) == 2


def test_without_the_engine_one_line_says_what_to_install(engine_python, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_FAULT", "missing")
    with pytest.raises(UserError, match=r"pip install -r requirements-serve\.txt"):
        generate(launch_server=True, **{"engine-python": engine_python})


def test_skip_actual_launch_uses_the_server_on_the_port():
    with engine() as served:
        assert generate(launch_server=True, port=served.port, **{"skip-actual-launch": True}) == 0
