"""generate_trajectories: the published flags, the journal, resume after any end, several servers, the checks
before."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from fake_engine import FakeEngine, Improviser, Script
from test_forkjoin import TRAJECTORY
from test_server import alive, free_port
from threadweaver.corpus import chat
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.errors import UserError
from threadweaver.generation import sampler
from threadweaver.generation.engine import Endpoint, Pool, Sampling
from threadweaver.generation.journal import Journal
from threadweaver.generation.problems import Problem, find_data
from threadweaver.trajectory import markup

ROOT = Path(__file__).parents[1]
MODEL = str(ROOT / "data" / "sample" / "tokenizer")
command = importlib.import_module("generate_trajectories")
TOKENIZER = load_tokenizer(MODEL)

PROBLEMS = [
    ("What is 1 + 1?", "2"),
    ("What is 3? Let's think step by step and output the final answer within \\boxed{}.", 3.0),
    ("Name a small number.", ["1", "2"]),
    ("No reference here.", ""),
]


def rows(problems) -> list[dict]:
    return [
        {"prompt": [{"role": "user", "content": text}], "reward_model": {"ground_truth": str(truth), "style": "rule"}}
        for text, truth in problems
    ]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    """An empty project with the problems as data/few.parquet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("threadweaver.generation.engine.PROBES", (0.05, 0.1))
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "few.parquet", rows(PROBLEMS))
    return tmp_path


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def engine(**options) -> FakeEngine:
    return FakeEngine(options.pop("model", None) or Improviser(TOKENIZER), TOKENIZER, **({"name": MODEL} | options))


def generate(*urls: str, **flags) -> int:
    """Run the command; `flags` by name, True for those without a value."""
    words = ["--model_name", MODEL, "--data-type", "few", *(word for url in urls for word in ("--base-url", url))]
    for name, value in flags.items():
        words += [f"--{name}" if len(name) > 1 else f"-{name}", *([] if value is True else [str(value)])]
    return command.main(words)


def folder(suffix: str = "") -> Path:
    return Path("data") / f"tokenizer{suffix}"


def journal(stem: str, suffix: str = "") -> list[dict]:
    return [json.loads(line) for line in (folder(suffix) / f"{stem}.jsonl").read_text().split("\n")[:-1]]


def facts_of(stem: str) -> list[dict]:
    """Every line; the last one of a sample counts."""
    return [json.loads(line) for line in (folder() / f"{stem}.facts.jsonl").read_text().split("\n")[:-1]]


def final(stem: str, suffix: str = "") -> list[list[str]]:
    return json.loads((folder(suffix) / f"{stem}.json").read_text())


# ---------------------------------------------------------------------------------------------------------------
# what is written


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
    said = capsys.readouterr().out
    assert "pass@1 0." in said and "pass@3 0." in said and "finished 12" in said
    assert ("critical path" in said) == (mode == "branching")


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


def test_what_is_asked_of_the_server():
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


def test_the_published_flags_are_all_taken(capsys):
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


# ---------------------------------------------------------------------------------------------------------------
# going on


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
            deadline = time.monotonic() + 20
            while slow.completed < done + some and alive(pid) and time.monotonic() < deadline:
                time.sleep(0.005)
            in_the_middle += alive(pid)
            os.kill(pid, signal.SIGKILL)
            while alive(pid):
                time.sleep(0.005)
            kept.append(len((folder() / "few_6.jsonl").read_text().split("\n")) - 1)
        nursery.stdin.close()
    assert in_the_middle == 4, "every run has to be killed in the middle"
    assert kept == sorted(kept) and 0 < kept[-1] < 24, "each run goes on where the one before was killed"
    with engine() as served:
        assert generate(served.url, n=6, branching=True) == 0
    assert (folder() / "few_6.json").read_bytes() == (folder("_whole") / "few_6.json").read_bytes()


# ---------------------------------------------------------------------------------------------------------------
# faults


def test_faults_that_pass_are_retried(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.01)
    with engine(faults=[500, 503, 0, 429]) as served:
        assert generate(served.url) == 0
    assert len(served.requests) == 4 + 4


def test_what_fails_is_listed_and_the_rest_is_kept(capsys):
    with engine(faults=[400]) as served:
        assert generate(served.url, **{"n-workers": 1}) == 1
        assert len(journal("few_1")) == 3
        assert not (folder() / "few_1.json").exists()
        assert "1 of 4 samples are missing (0/0: HTTP 400" in capsys.readouterr().err
        assert generate(served.url) == 0, "the same command does the missing one"


def test_an_empty_reply_is_no_sample(capsys):
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


def test_a_prompt_longer_than_the_context_is_said_without_asking(capsys):
    with engine() as served:
        assert generate(served.url, limit=1, **{"max-context-length": 10}) == 1
        assert served.requests == []
    assert "leaves no room" in capsys.readouterr().err


def test_a_dead_server_is_left_out_and_said(capsys):
    with engine() as served:
        assert generate("http://127.0.0.1:9/v1", served.url) == 0
    assert "http://127.0.0.1:9/v1 is left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="no server is left"):
        generate("http://127.0.0.1:9/v1", suffix="none")


def test_several_servers_share_the_work_and_one_may_die(capsys):
    with engine() as served:
        generate(served.url, n=4, branching=True, suffix="whole")
    with engine(a_token=0.001) as one, engine(a_token=0.001, dies_after=15) as two:
        assert generate(one.url, two.url, n=4, branching=True, **{"n-workers": 4}) == 0
    assert one.completed > 15 and two.completed == 15
    assert f"{two.url} is left out" in capsys.readouterr().err
    assert final("few_4") == final("few_4", "_whole"), "the text must not depend on who decodes"


def test_a_sample_takes_the_least_busy_server_and_stays_there():
    async def seats() -> list[str]:
        pool = Pool([Endpoint("http://a/v1"), Endpoint("http://b/v1")], TOKENIZER, Sampling(), timeout=1)
        async with pool.seat() as first, pool.seat() as second:
            pool.endpoints[0].busy += 5
            async with pool.seat() as third:
                return [seat.__self__.endpoint.url for seat in (first, second, third)]

    assert asyncio.run(seats()) == ["http://a/v1", "http://b/v1", "http://b/v1"]


def test_a_request_that_takes_too_long_fails_its_sample(capsys):
    with engine(latency=lambda prompt: 1.0) as served:
        assert generate(served.url, limit=1, timeout=0.2) == 1
    assert "no reply within --timeout 0.2 s" in capsys.readouterr().err


def test_a_server_without_token_ids_is_said(capsys):
    with engine(token_ids=False) as served:
        assert generate(served.url, branching=True) == 0
    assert "gave no token ids: 4 samples" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------------
# checks before anything is started


def test_another_model_is_refused_unless_it_is_taken():
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
    import shutil

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
def test_values_that_cannot_be_are_refused(flags):
    with pytest.raises(UserError, match="must"):
        generate("http://127.0.0.1:9/v1", **flags)


# ---------------------------------------------------------------------------------------------------------------
# judging, and what is said


def test_answers_are_graded_against_their_own_problem(project):
    said = {
        text: f"a chain\n</think>\n\n\\boxed{{{answer}}}"
        for (text, _), answer in zip(PROBLEMS, ("2", "3", "2", "5"), strict=True)
    }
    known = Script(TOKENIZER)
    for text, reply in said.items():
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


def test_commas_are_stripped_from_an_answer_when_asked():
    args = command.flags().parse_args(["--model_name", "x", "--data-type", "y", "--strip-comma-from-answer"])
    cut = command.answer_of(args)
    assert cut("</think> \\boxed{1,234,567}") == "1234567"
    assert cut("</think> \\boxed{(1,2)}") == "(1,2)"
    args.strip_comma_from_answer = False
    assert command.answer_of(args)("</think> \\boxed{1,234}") == "1,234"


def test_progress_is_told_where_there_is_no_terminal(monkeypatch, capsys):
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


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [("x<｜Assistant｜><think>\n", "<think>\n"), ("<think></think>\n", ""), ("a <think> b", ""), ("plain", "")],
)
def test_a_think_tag_of_the_template_belongs_to_the_result(prompt, opened):
    assert sampler.opened_thinking(prompt) == opened


# ---------------------------------------------------------------------------------------------------------------
# a server of our own


@pytest.fixture
def engine_python(tmp_path) -> Path:
    """Runs the stand-in engine where an engine's Python is expected."""
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


def test_a_server_that_cannot_start_is_told_with_its_log(engine_python, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_FAULT", "exit")
    with pytest.raises(UserError, match=r"did not start: .*exit code 1.*no kernel image is available"):
        generate(launch_server=True, port=free_port(), **{"engine-python": engine_python})


def test_a_server_that_dies_in_the_middle_is_told_with_its_log(engine_python, monkeypatch):
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
