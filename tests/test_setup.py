"""The environment that run.sh chooses or makes, the message of a command without one, and the printed commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from project import ROOT, Project
from threadweaver.runs import command, environment
from threadweaver.runs.command import shown_command, shown_path, shown_run
from threadweaver.runs.stages import STAGES

TQDM = [int(part) for part in version("tqdm").split(".")]


@pytest.mark.parametrize(
    ("pin", "met"),
    [
        (f"tqdm=={version('tqdm')}", True),
        (f"tqdm=={TQDM[0]}.0.0", True),  # an older one of the same major version
        (f"tqdm=={TQDM[0]}.{TQDM[1] + 1}.0", False),
        (f"tqdm=={TQDM[0] - 1}.0.0", False),
        (f"openai[aiohttp]=={version('openai')}", True),
        ("no-such-package==1.0", False),
        ("# a comment", True),
    ],
)
def test_a_pin_is_met_by_compatible_versions(tmp_path, pin, met):
    (tmp_path / "requirements.txt").write_text(pin + "\n")
    (tmp_path / "more.txt").write_text("# both\n-r requirements.txt\n")
    assert (environment.missing(tmp_path / "more.txt") == []) == met


def test_below_version_1_the_minor_version_counts():
    assert environment._series("0.9.3") == environment._series("0.9.0") != environment._series("0.10.0")
    assert environment._series("3.54.0") == environment._series("3.9")


# ---- the choice of run.sh


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def good_python(path: Path) -> Path:
    return script(path, f'exec {sys.executable} "$@"')


def bad_python(path: Path, code: int, says: str = "") -> Path:
    """What the check of the requirements says of it; it is new enough otherwise."""
    return script(path, f'case "$*" in *environment*) echo "{says}"; exit {code} ;; esac\nexec {sys.executable} "$@"')


def stamp(project: Project) -> None:
    """What a finished installation leaves."""
    both = subprocess.run(
        "cat requirements.txt requirements.txt | cksum", shell=True, cwd=project.root, capture_output=True
    )
    (project.root / ".venv/.requirements.txt.sum").write_bytes(both.stdout.strip())


def chosen(project: Project, **environment: str) -> subprocess.CompletedProcess[str]:
    """Source env.sh as run.sh does, and print the interpreter."""
    clean = {
        key: value
        for key, value in project.environment().items()
        if key not in ("PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX")
    }
    return subprocess.run(
        ["bash", "-c", 'source src/env.sh; echo "$PYTHON"'],
        cwd=project.root,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("code", "says"), [(3, "lacks tqdm 4.70.1"), (2, "is older than Python 3.11"), (1, "is not a Python that runs")]
)
def test_a_python_that_is_named_and_does_not_serve_is_refused(project, code, says):
    python = bad_python(project.root / "python", code, "tqdm 4.70.1")
    assert f"PYTHON={python} {says}" in refusal(chosen(project, PYTHON=str(python)))


def test_a_python_that_does_not_exist_is_refused(project):
    assert "is not a Python that runs" in refusal(chosen(project, PYTHON="/no/such/python"))


def test_a_program_that_is_no_python_is_refused_though_it_exits_0(project):
    assert "PYTHON=/bin/true is not a Python that runs" in refusal(chosen(project, PYTHON="/bin/true"))


def test_a_relative_python_is_that_of_the_folder_where_it_was_typed_or_of_the_project(project):
    good_python(project.root / "here/bin/python")
    good_python(project.root / "theirs/bin/python")
    for started_in, name in (("here", "bin/python"), ("here", "../here/bin/python"), (".", "here/bin/python")):
        done = chosen(project, PYTHON=name, THREADWEAVER_STARTED_IN=str(project.root / started_in))
        assert Path(done.stdout.strip()).resolve() == (project.root / "here/bin/python").resolve(), done.stderr
    done = chosen(project, PYTHON="theirs/bin/python", THREADWEAVER_STARTED_IN=str(project.root / "here"))
    assert done.stdout.strip() == f"{project.root}/theirs/bin/python"


def test_requirements_that_are_missing_are_named(project):
    line = refusal(chosen(project, REQUIREMENTS="nope.txt", PYTHON=sys.executable))
    assert line.startswith("REQUIREMENTS=nope.txt was not found")


def test_a_link_to_a_script_runs_it(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/go").symlink_to(project.root / "run.sh")
    environment = project.environment(SRC_NAME="sample", NUM_SAMPLES="x")
    done = subprocess.run(["elsewhere/go"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "NUM_SAMPLES=x: 'x' is not a whole number" in refusal(done)


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_the_active_environment_is_used_if_the_requirements_are_in_it(project, variable):
    good_python(project.root / "their env/bin/python")
    done = chosen(project, **{variable: str(project.root / "their env")})
    assert (done.stdout, done.stderr) == (f"{project.root}/their env/bin/python\n", "")


def test_an_active_environment_without_the_requirements_is_not_used(project):
    bad_python(project.root / "theirs/bin/python", 3, "tqdm 4.70.1")
    good_python(project.root / ".venv/bin/python")
    stamp(project)
    done = chosen(project, VIRTUAL_ENV=str(project.root / "theirs"))
    assert done.stdout == f"{project.root}/.venv/bin/python\n"
    assert done.stderr == (
        f"the active environment {project.root}/theirs lacks tqdm 4.70.1 (requirements.txt): using .venv instead\n"
    )


def test_a_venv_made_by_hand_is_used_if_it_is_complete(project):
    good_python(project.root / ".venv/bin/python")
    done = chosen(project)
    assert (done.stdout, done.stderr) == (f"{project.root}/.venv/bin/python\n", "")


VENV = """
case "$*" in
  *environment*) exit 3 ;;
  "-m pip"*|"-m ensurepip"*) echo "$*" >>{log}; {pip} ;;
  *) exec {python} "$@" ;;
esac
"""


def test_a_half_made_venv_is_completed_or_made_again(project, tmp_path):
    """The run that made it was killed: without its packages, or without pip."""
    log, base = tmp_path / "log", tmp_path / "path"
    venv = project.root / ".venv/bin/python"
    whole = script(tmp_path / "whole", VENV.format(log=log, python=sys.executable, pip="exit 0"))
    making = f'case "$*" in *venv*) mkdir -p .venv/bin; cp {whole} {venv}; echo "$*" >>{log} ;; *) exec {sys.executable} "$@" ;; esac'
    script(base / "python3.11", making)
    path = f"{base}:{os.environ['PATH']}"
    for pip, first in (
        ("exit 0", "-m pip --version"),
        ("exit 1", "-m venv --clear .venv"),
        (None, "-m venv --clear .venv"),
    ):
        shutil.rmtree(project.root / ".venv", ignore_errors=True)
        log.write_text("")
        if pip:
            script(venv, VENV.format(log=log, python=sys.executable, pip=pip))
        done = chosen(project, PATH=path)
        assert done.returncode == 0 and done.stderr.startswith("making .venv from requirements.txt"), done.stderr
        did = log.read_text()
        assert first in did and "-m pip install" in did
        log.write_text("")
        assert chosen(project, PATH=path).stderr == "" and log.read_text() == ""


@pytest.mark.parametrize("in_the_way", [".venv", ".venv.lock"])
def test_if_no_venv_can_be_made_one_line_reports_it(project, in_the_way):
    if in_the_way == ".venv":
        (project.root / ".venv").touch()
    else:
        (project.root / ".venv.lock").mkdir()
    done = chosen(project)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "cannot make .venv here" in done.stderr or "cannot be written" in done.stderr


def test_without_a_python_that_is_new_enough_one_line_reports_it(project, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "sed", "cat", "dirname", "basename", "cksum", "head"):
        (tools / name).symlink_to(shutil.which(name))
    script(tools / "python3", "exit 1")
    assert "Python 3.11 or newer is needed" in refusal(chosen(project, PATH=str(tools)))


def test_sh_runs_it_too_and_an_unknown_flag_is_refused_before_anything_is_done(project):
    done = project.run("sh", "run.sh", "--unknown", SRC_NAME="sample", ANNOTATOR="rules")
    assert "--unknown is not a flag of any stage" in refusal(done)
    assert "--val-size means nothing here, it is a flag of save_dataset.py" in refusal(
        project.run("sh", "step2.sh", "--val-size", "3", SRC_NAME="sample")
    )
    assert [path.name for path in (project.root / "data").iterdir()] == ["sample"]


def test_help_of_run_needs_no_environment_and_makes_none(project, tmp_path):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    page = subprocess.run(
        ["bash", "run.sh", "--help"], cwd=project.root, env=env, capture_output=True, text=True, check=True
    ).stdout
    for text in ("SRC_NAME=sample ./run.sh", "NUM_SAMPLES ", "(1000)", "MAX_COST", "--val-size N", "--max-leak SCORE"):
        assert text in page
    assert not (project.root / ".venv").exists()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "sed", "dirname"):
        (tools / name).symlink_to(shutil.which(name))
    bare = subprocess.run(
        ["bash", "run.sh", "-h"], cwd=project.root, env={"PATH": str(tools)}, capture_output=True, text=True, check=True
    )
    assert "NUM_SAMPLES " in bare.stdout and "Python 3.11 or newer" in bare.stdout and bare.stderr == ""


# ---- commands that are run directly


def test_a_missing_package_is_one_line_that_says_what_to_do(tmp_path):
    source = str(ROOT / "data/sample/problems.parquet")
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            str(ROOT / "src/collect_trajectories.py"),
            "--dataset_path",
            source,
            "--output_path",
            "out",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    line = refusal(done)
    assert (
        "lacks the package pyarrow" in line
        and ".venv/bin/python, which ./run.sh makes" in line
        and "requirements.txt" in line
    )


def test_a_missing_module_of_the_project_is_not_hidden():
    code = "import threadweaver.no_such_room"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_too_old_a_python_is_one_line():
    code = "import sys; sys.version_info = (3, 9, 18); import threadweaver"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True)
    assert "Python 3.11 or newer is needed" in refusal(done)


# ---- commands that are printed


def test_paths_are_shown_as_they_can_be_typed_where_the_program_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THREADWEAVER_STARTED_IN", raising=False)
    assert shown_path(Path("a/b")) == shown_path(tmp_path / "a/b") == "a/b"
    assert shown_path(Path("..")) == str(tmp_path.parent)
    monkeypatch.setenv("THREADWEAVER_STARTED_IN", str(tmp_path / "elsewhere"))
    assert shown_path(Path("a/b")) == str(tmp_path / "a/b")


def test_the_interpreter_in_use_is_shown_and_words_are_quoted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THREADWEAVER_STARTED_IN", raising=False)
    python = tmp_path / ".venv/bin/python"
    monkeypatch.setattr(sys, "executable", str(python))
    shown = shown_command("src/gpt.py", "--input", Path("my chains"))
    assert shown == f".venv/bin/python {ROOT}/src/gpt.py --input 'my chains'"
    monkeypatch.setattr(command.shutil, "which", {"python": str(python)}.get)
    assert shown_command("src/gpt.py").startswith("python ")


def test_run_is_shown_with_its_variables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THREADWEAVER_STARTED_IN", raising=False)
    shown = shown_run(SRC_NAME="my chains", DATASET_BASE=Path("my data"), TOKENIZER=ROOT / "data/sample/tokenizer")
    variables = f"SRC_NAME='my chains' DATASET_BASE='{tmp_path}/my data' TOKENIZER=data/sample/tokenizer"
    assert shown == f"{variables} {ROOT}/run.sh"
    monkeypatch.chdir(ROOT)
    assert shown_run() == "./run.sh"


# ---- folders


def shown(*words: str, **settings: str) -> list[str]:
    """Words as the shell reads them after src/env.sh."""
    script = "\n".join(["source src/env.sh", *(f"echo {word}" for word in words)])
    known = {"PYTHON": sys.executable, "THREADWEAVER_PYTHON": f"requirements.txt {sys.executable}"}  # not checked again
    environment = {**os.environ, **known, **settings}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_folders_of_the_list_of_stages_are_those_of_env_sh():
    names = re.findall(r'^([A-Z]\w+)="(?:data|dataset)/', (ROOT / "src/env.sh").read_text(), re.M)
    for settings in ({}, {"SRC_NAME": "x", "SUFFIX": "_y", "VERSION": "v2", "FILTER_DIFF_THRESHOLD": "0"}):
        listed = shown(*(stage.folder for stage in STAGES.values()), **settings)
        assert sorted(listed) == sorted(shown(*(f"${name}" for name in names), **settings))


LINEAGES = {  # VERSION: the lineages of steps 1 to 5, and the suffix of the dataset
    "v1": "v1 v1 v1_v1 v1_v1_v1 v1_v1_v1 v111",
    "v2": "v2 v2 v2_v1 v2_v1_v1 v2_v1_v1 v211",
    "v1_v1_v1": "v1 v1 v1_v1 v1_v1_v1 v1_v1_v1 v111",
    "v1_v2_v1": "v1 v1 v1_v2 v1_v2_v1 v1_v2_v1 v121",
    "v1_v1_v2": "v1 v1 v1_v1 v1_v1_v2 v1_v1_v2 v112",
    "v2_v1_v1": "v2 v2 v2_v1 v2_v1_v1 v2_v1_v1 v211",
    "v1_v2": "v1 v1 v1_v2 v1_v2_v1 v1_v2_v1 v121",
}


@pytest.mark.parametrize("version", LINEAGES)
def test_the_folders_carry_the_versions_of_the_prompts_that_made_them(version):
    *steps, dataset = LINEAGES[version].split()
    folders = shown("$STEP1", "$STEP2", "$STEP3", "$STEP4", "$STEP5", "$DATASET", SRC_NAME="x", VERSION=version)
    expected = [f"data/x_1000samples_step{number}_{lineage}" for number, lineage in enumerate(steps, 1)]
    assert folders == [*expected, f"dataset/x_1000samples_{dataset}"]
    prompts = shown("$STEP1_PROMPT", "$STEP3_PROMPT", "$STEP4_PROMPT", VERSION=version)
    assert prompts == [f"prompt/step{number}-prompt_{steps[number - 1]}.txt" for number in (1, 3, 4)]


@pytest.mark.parametrize("version", ["v1", "v1_v2"])
def test_the_threshold_is_part_of_the_lineage_from_step_2_on(version):
    names = ("$STEP2", "$STEP3", "$STEP4", "$DATASET", "$STEP3_PROMPT")
    third = version.partition("_")[2] or "v1"
    assert shown(*names, SRC_NAME="x", VERSION=version, FILTER_DIFF_THRESHOLD="0") == [
        "data/x_1000samples_step2_v1_filter_diff_th_0",
        f"data/x_1000samples_step3_v1_filter_diff_th_0_{third}",
        f"data/x_1000samples_step4_v1_filter_diff_th_0_{third}_v1",
        f"dataset/x_1000samples_v1{third[1]}1_filter_diff_th_0",
        f"prompt/step3-prompt_v1_{third}.txt",
    ]


def test_a_lineage_that_is_given_names_the_folders_whatever_the_threshold():
    settings = {"SRC_NAME": "x", "FILTER_DIFF_THRESHOLD": "0"}
    for given in ("v1_v1_v1", "v1_filter_diff_th_0_v1_v1"):
        *folders, prompt = shown("$STEP1", "$STEP3", "$STEP4", "$STEP3_PROMPT", VERSION=given, **settings)
        lineages = ("v1", "v1_filter_diff_th_0_v1", given)
        assert folders == [
            f"data/x_1000samples_step{n}_{lineage}" for n, lineage in zip((1, 3, 4), lineages, strict=True)
        ]
        assert prompt == "prompt/step3-prompt_v1_v1.txt"


def test_a_program_that_imports_the_library_keeps_its_own_excepthook(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text("import sys\nimport threadweaver\nprint(sys.excepthook is sys.__excepthook__)\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
