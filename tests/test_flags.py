"""Flags: declared once, known to the commands that use them, passed on by run.sh to the stages that know them."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.damage import load
from project import ROOT
from threadweaver.errors import UserError
from threadweaver.runs import parsers, relay
from threadweaver.runs.flags import Flags, positive_int
from threadweaver.runs.stages import STAGES

COMMANDS = sorted(path.name for path in (ROOT / "src").glob("*.py"))


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_a_count_is_at_least_1(text):
    with pytest.raises(argparse.ArgumentTypeError):
        positive_int(text)


def parser() -> Flags:
    flags = Flags("A command.")
    flags.add_argument("--first_rows", type=int)
    flags.add_argument("--keep-first", type=int)
    flags.add_argument("--trajectory", "-t")
    flags.add_obsolete("--chunk-size")
    flags.add_obsolete("--skip_existing", nargs=0)
    flags.add_stage_flags()
    return flags


@pytest.mark.parametrize("mark", "_-")
def test_flags_are_taken_with_underscores_and_with_hyphens(mark):
    args = parser().parse_args([f"--first{mark}rows", "3", f"--keep{mark}first", "4", f"--max{mark}failed", "5"])
    assert (args.first_rows, args.keep_first, args.max_failed) == (3, 4, "5")


def test_flags_without_effect_are_accepted_with_one_notice_each(capsys):
    parser().parse_args(["--chunk_size", "5", "--skip-existing"])
    assert capsys.readouterr().err.count("has no effect any more") == 2


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--keep", "3"], "unknown flag --keep"),
        (["--first-row=3"], "unknown flag --first-row"),
        (["--over"], "unknown flag --over"),
        (["--first-rows", "many"], "invalid int value: 'many'"),
        (["--max-failed", "many"], "a count or a fraction"),
        (["stray"], "unexpected argument 'stray'"),
        (["--val_size", "3"], "--val_size means nothing here, it is a flag of save_dataset.py"),
        (["--ctx_lines=3", "--overwrite"], "it is a flag of generate-outline_v1.py and plan.py"),
    ],
)
def test_a_flag_that_is_unknown_here_is_refused_in_one_line(argv, says, capsys):
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(argv)
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert says in line and line.count("\n") == 1 and "--help" in line


MODEL = (
    "--openai_model m --workers 32 --in_cost_per_million 1 --out_cost_per_million 2 --use_chat_completions --overwrite"
)
PUBLISHED = {
    "generate_trajectories.py": "--model_name m --data-type d --launch_server --verbose 1 -n 8 --bfloat16 --autoregressive",
    "generated_data_to_training_data_polaris.py": "--dataset-json a b --polaris-parquet p --output-dir o --workers 32",
    "collect_trajectories.py": "--dataset_path d --output_path o --max_samples 3 --overwrite",
    "gpt.py": f"--input i --output o --prompt p --chat c --start_idx 0 --end_idx 3 --skip_existing {MODEL}",
    "extract_v1.py": "-t t -a a -o o --encoding utf-8 --dry-run --filter-diff-threshold 0 --overwrite",
    "rewrite-context_v1.py": f"--input i --output o --glob g --trace t --prompt p --effort low --verbosity low {MODEL}",
    "generate-outline_v1.py": f"--input i --output o --glob g --trace t --ctx_lines 3 --max_samples 3 {MODEL}",
    "filter-format-correct-and-obtain-stats.py": "--input i --glob g --split s --text_column c --output o --workers 32 "
    "--chunk-size 4 --executor-type process --no_require_think_end --skip_conclusion_check --summary_name n "
    "--sidecar_dirname d --strip_reasoning --keep_first 1 --keep_last 1",
    "save_dataset.py": "--input i --output o --trajectory-glob g --trajectory-strict --trajectory-matched-only --build-chat "
    "--qwen-model q --instruction i --sample-size 5 --repeat 8 --seed 0 --no-sanitize --overwrite",
    "visualize_trajectories.py": "--root r --host 127.0.0.1 --port 8899",
}


@pytest.mark.parametrize("command", PUBLISHED)
def test_published_command_lines_are_accepted_as_they_are_printed(command):
    for spelled in (str, lambda word: word.replace("_", "-") if word[:2] == "--" else word):
        parsers.parser_of(command).parse_args([spelled(word) for word in PUBLISHED[command].split()])


def declared_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("add_argument", "add"):
            words = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            for word in words:
                if word.startswith("--") or path.name == "settings.py":  # there without the hyphens
                    yield "--" + word.removeprefix("--").replace("_", "-")


def test_each_flag_is_declared_once():
    """Only what differs between commands is added to the shared declaration (`add_shared`)."""
    something_else_in_each = {"--timeout", "--base-url", "--port", "--limit", "--output-dir", "--ledger", "--engine"}
    declared = Counter(flag for path in (ROOT / "src").rglob("*.py") for flag in declared_in(path))
    assert declared["--val-size"] == declared["--max-cost"] == 1
    assert {flag for flag, count in declared.items() if count > 1} == something_else_in_each


def test_stages_that_share_a_flag_give_it_as_many_values():
    """So that run.sh can tell the values of a flag from what follows it."""
    for flag in {
        flag
        for command in relay.COMMANDS.values()
        for action in parsers.parser_of(command).actions()
        for flag in action.option_strings
    }:
        found = filter(None, (parsers.parser_of(command).action_of(flag) for command in relay.COMMANDS.values()))
        assert len({action.nargs for action in found}) == 1, flag


# ---- run.sh


def relayed(*words: str) -> dict[str, list[str]]:
    return {name: own for name, own in relay.relayed(words).items() if own}


ASKING = ("step1", "step3", "step4", "referee")
EVERY = (*(stage.step for stage in STAGES.values()), "merge")


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        ("--val-size 10", ["save"]),
        ("--val_size=10", ["save"]),
        ("--template deepseek", ["save"]),
        ("--seed -1", ["save"]),
        ("--units", ["save"]),
        ("--keep-sequential", ["step5"]),
        ("--max-leak 0.5", ["step3", "step5"]),
        ("--tokenizer t", ["adopt", "step5", "save"]),
        ("--effort high", ASKING),
        ("--batch-quiet 0.2 --extra-body {}", ASKING),
        ("--ledger l", ["ledger", *ASKING, "merge"]),
        ("--overwrite --max-failed 3", [*EVERY, "adopt"]),
        ("--source a --source b", ["save"]),
    ],
)
def test_a_flag_goes_to_the_stages_that_know_it(words, stages):
    assert relayed(*words.split()) == {name: words.split() for name in stages}


def test_flags_of_several_stages_keep_their_order():
    given = relayed("--seed", "1", "--overwrite", "--max_leak", "1.1", "--seed", "2")
    assert given["save"] == ["--seed", "1", "--overwrite", "--seed", "2"]
    assert given["step3"] == given["step5"] == ["--overwrite", "--max_leak", "1.1"]


def test_a_plan_gets_the_flags_it_knows_and_ignores_those_that_change_no_call():
    given = relay.relayed(["--plan", "--val-size", "3", "--effort", "low", "--step1-effort", "high"])
    assert given == {"plan": ["--effort", "low", "--step1-effort", "high"]}


def refusal(capsys, *argv: str) -> str:
    """Return the one line in which the check that run.sh makes first refuses settings or flags."""
    try:
        load("check").main([*argv])
    except UserError as error:
        print(error, file=sys.stderr)
    except SystemExit as end:
        assert end.code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1, printed.err
    return printed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--unknown"], "--unknown is not a flag of any stage"),
        (["--port", "1"], "it is a flag of generate_trajectories.py and visualize_trajectories.py"),
        (["--step1-effort", "low"], "it is a flag of plan.py"),
        (["--max-samples", "3"], "use NUM_SAMPLES"),
        (["--filter_diff_threshold", "3"], "use FILTER_DIFF_THRESHOLD"),
        (["-o", "x"], "-o is set by run.sh itself"),
        (["--dry-run"], "give it to ./step2.sh"),
        (["stray"], "unexpected argument 'stray': settings are variables"),
        (["--val-size", "many"], "--val-size: 'many' is not a whole number of at least 0"),
        (["--val-size=-1"], "'-1' is not a whole number of at least 0"),
        (["--repeat", "0"], "--repeat: '0' is not a whole number of at least 1"),
        (["--max-leak", "nan"], "'nan' is not a number of at least 0"),
        (["--license", "a\nb"], "is not a text of one line"),
        (["--seed"], "expected one argument"),
        (["--template", "gpt"], "invalid choice: 'gpt'"),
        (["--overwrite", "stray"], "unexpected argument 'stray'"),
    ],
)
def test_run_refuses_in_one_line_what_no_stage_accepts(words, says, capsys):
    refused = refusal(capsys, "--", *words)
    assert refused.startswith("./run.sh: ") and says in refused


SAMPLE = {"ANNOTATOR": "rules", "TOKENIZER": str(ROOT / "data/sample/tokenizer")}
MODEL_OF = {**SAMPLE, "ANNOTATOR": "llm", "LEDGER": "none.sqlite"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"REPEAT": "x"}, "./run.sh: REPEAT=x: 'x' is not a whole number of at least 1"),
        ({"REPEAT": "0"}, "REPEAT=0"),
        ({"LICENSE": " "}, "is not a text of one line"),
        ({"NUM_SAMPLES": "-3"}, "NUM_SAMPLES=-3"),
        ({"NUM_SAMPLES": "1e3"}, "NUM_SAMPLES=1e3"),
        ({"FILTER_DIFF_THRESHOLD": "-1"}, "FILTER_DIFF_THRESHOLD=-1: '-1' is not a whole number of at least 0"),
        ({"MAX_FAILED": "2.5"}, "MAX_FAILED=2.5"),
        ({"EFFORT": "huge"}, "EFFORT=huge: invalid choice: 'huge'"),
        ({"ANNOTATOR": "rule"}, "ANNOTATOR=rule"),
        ({"TOKENIZER": "/nope"}, "the tokenizer '/nope' cannot be loaded"),
        ({"ANNOTATOR": "llm", "WORKERS": "0"}, "WORKERS (--workers) must be above 0"),
        ({**MODEL_OF, "MAX_COST": "nan"}, "MAX_COST (--max-cost) must be a number"),
        (MODEL_OF, "no API key and no endpoint"),
        ({**MODEL_OF, "OPENAI_KEY_PATH": "/nope"}, "the key file /nope was not found"),
        ({**MODEL_OF, "STEP1_PROMPT": "/nope"}, "the prompt /nope cannot be read"),
        ({"REFEREE": "1", "MODEL": "gpt-5", "REFEREE_MODEL": ""}, "a model that did not annotate"),
        ({"REFEREE": "1", "MODEL": "gpt-5", "REFEREE_MODEL": "gpt-5"}, "name it with REFEREE_MODEL"),
        ({"REFEREE": "1", "MODEL": "gpt-5", "REFEREE_MODEL": "x", "LEDGER": "none"}, "no API key and no endpoint"),
        ({**MODEL_OF, "OFFLINE": "1"}, "OFFLINE (--offline) needs the ledger none.sqlite"),
        ({**MODEL_OF, "OFFLINE": "1", "RECORDED": "/nope"}, "the recorded answers /nope were not found"),
    ],
)
def test_a_setting_that_no_stage_accepts_is_refused_by_its_name(values, says, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert says in refusal(capsys, *(f"--setting={name}={value}" for name, value in {**SAMPLE, **values}.items()))


def test_good_settings_pass_and_a_named_key_or_a_server_without_one_too(capsys, monkeypatch, tmp_path):
    key = tmp_path / "key"
    key.write_text("sk-" + "a" * 20)
    key.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for more in ({"ANNOTATOR": "rules"}, {"OPENAI_KEY_PATH": str(key)}, {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}):
        if url := more.get("OPENAI_BASE_URL"):
            monkeypatch.setenv("OPENAI_BASE_URL", url)
        settings = [f"--setting={name}={value}" for name, value in {**MODEL_OF, "REPEAT": "2", **more}.items()]
        assert load("check").main([*settings, "--", "--units"]) == 0
        assert "flags_save=--units\n" in capsys.readouterr().out


RECORDED = {"MODEL": "gpt-5", "RECORDED": "recorded.jsonl"}


def write_recorded(folder: Path) -> None:
    """Write an answer to the shipped prompt of step 1, and another prompt."""
    shipped = (ROOT / "prompt/step1-prompt_v1.txt").read_text()
    (folder / "mine.txt").write_text(f"Be brief. {shipped}")
    request = {"model": "gpt-5", "messages": [["user", shipped]]}
    (folder / "recorded.jsonl").write_text(f"half a li\n[]\n{json.dumps({'request': request})}\n")


@pytest.mark.parametrize(
    ("values", "environment", "words", "alone"),
    [
        (RECORDED, {}, (), True),
        ({**RECORDED, "ANNOTATOR": "rules"}, {}, (), False),
        (RECORDED, {"OPENAI_API_KEY": "sk-x"}, (), False),
        (RECORDED, {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, (), False),
        (RECORDED, {}, ("--base-url", "http://127.0.0.1:1/v1"), False),
        ({**RECORDED, "PLAN": "1"}, {}, (), False),
    ],
)
def test_recorded_answers_are_used_where_nobody_could_be_asked(
    values, environment, words, alone, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_KEY_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    write_recorded(tmp_path)
    settings = [f"--setting={name}={value}" for name, value in {**MODEL_OF, **values}.items()]
    assert load("check").main([*settings, "--", *words]) == 0
    assert ("recorded_alone=1" in capsys.readouterr().out) is alone


@pytest.mark.parametrize(
    "more", [{"MODEL": "another"}, {"RECORDED": ""}, {"STEP1_PROMPT": "mine.txt"}, {"REFEREE": "1"}]
)
def test_without_recorded_answers_to_what_is_asked_a_key_is_asked_for(more, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_recorded(tmp_path)
    values = {**MODEL_OF, **RECORDED, "REFEREE_MODEL": "x", **more}
    assert "no API key" in refusal(capsys, *(f"--setting={name}={value}" for name, value in values.items()))


def test_run_has_every_variable_checked():
    listed = re.search(r"for name in (.*?); do", (ROOT / "run.sh").read_text(), re.S)[1].replace("\\\n", " ").split()
    known = {*relay.BY_VARIABLE.values(), *(name for own in relay.BY_VARIABLE_OF.values() for name in own.values())}
    assert {*listed} - {"PLAN", "RECORDED", "REFEREE", "SELF_TRAIN", "SHARD"} == known


def test_flags_without_effect_are_named_once_and_not_passed_on(capsys):
    assert relayed("--trace", "x", "--skip-existing", "--workers", "3") == {name: ["--workers", "3"] for name in ASKING}
    assert capsys.readouterr().err.count("has no effect any more") == 2


STRANGE = ["a b", "it's", '"quoted"', "*", "$HOME", "`id`", "two\nlines", "\\", ";&|", "ü", ""]


def test_values_reach_a_stage_as_they_are(tmp_path):
    """Through the shell, as run.sh does it."""
    (tmp_path / "a file").touch()
    words = [word for value in STRANGE for word in ("--source", value)]
    check = f"python3 {ROOT}/src/check.py --setting ANNOTATOR=rules --setting TOKENIZER={ROOT}/data/sample/tokenizer"
    shell = f'eval "$({check} -- "$@")"; eval "set -- ${{flags_save}}"; printf "%s\\0" "$@"'
    done = subprocess.run(
        ["bash", "-euc", shell, "bash", *words],
        cwd=tmp_path,
        env=python_path(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\0")[:-1] == words


def python_path() -> dict[str, str]:
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}


def test_the_overview_names_every_flag_once():
    page = relay.overview() + "\n"
    for flag in ("--val-size N", "--keep-sequential", "--template qwen|deepseek", "--max-leak SCORE", "--max-failed N"):
        assert page.count(f"{flag}\n") + page.count(f"{flag} ") == 1, flag
    assert "--input" not in page and "--trace " not in page and "--max-samples" not in page
