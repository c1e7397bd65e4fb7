"""A copy of the project to run commands in, so that no test writes into the checkout."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Self
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("src", "prompt", "requirements.txt", *sorted(path.name for path in ROOT.glob("*.sh")))


def load(command: str) -> ModuleType:
    """Import a command of the pipeline, given by its name or its file, for calls of its `main`."""
    return importlib.import_module(Path(command).stem)


def call(
    words: Sequence[str], here: Path, environment: Mapping[str, str] = os.environ, *, root: Path = ROOT, plots=False
) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS` of the project at `root` in this process, with a directory, environment, words, output and
    signals of its own. Plots are drawn only if asked for: they take half of a small run's time."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    code = 0
    with (
        contextlib.chdir(here),
        mock.patch.dict(os.environ, dict(environment), clear=True),
        mock.patch.object(sys, "argv", list(words)),
        mock.patch("threadweaver.runs.command._ROOT", root),
        mock.patch("threadweaver.client.settings.DEFAULT_LEDGER", root / "data" / "ledger.sqlite"),
        contextlib.nullcontext() if plots else mock.patch("threadweaver.runs.statistics.histogram", no_plot),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            start(words)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return subprocess.CompletedProcess(list(words), code, *said)


def start(words: Sequence[str]) -> None:
    from threadweaver.runs.command import run_command  # src is on the path by now

    if words[0] == "-m":
        sys.exit(importlib.import_module(words[1]).main(words[2:]))
    run_command(load(words[0]).main)


def no_plot(measure: str, values: Sequence[float]) -> bytes:
    return b""


class Project:
    """The project's code under `root`, with the sample and an empty data folder."""

    def __init__(self, root: Path, *, plots: bool = False):
        self.root, self.plots = root, plots
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part)  # with __pycache__: to compile all again takes 2 s
            elif source.exists():
                shutil.copy(source, root / part)
        shutil.copytree(ROOT / "data" / "sample", root / "data" / "sample")

    def copy(self, root: Path) -> Self:
        """Return a copy of the project under `root`, with all that was made in it."""
        copied = copy.copy(self)
        copied.root = shutil.copytree(self.root, root, dirs_exist_ok=True)
        return copied

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, with this Python and without the caller's keys."""
        return subprocess.run(
            command, cwd=self.root, env=self.environment(**environment), capture_output=True, text=True, timeout=900
        )  # 900 s: it hangs, however busy the machine is

    def environment(self, **extra: str) -> dict[str, str]:
        left_out = (
            "OPENAI_",
            "THREADWEAVER_",
            "PYTHONDONTWRITEBYTECODE",
        )  # the last: each start would compile all imports
        clean = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
        return {**clean, "PYTHON": sys.executable, "HF_HUB_OFFLINE": "1", "HOME": str(self.root), **extra}

    def python(self, script: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, script, *flags, **environment)

    def call(self, script: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as `python` does, but in this process, which saves its imports: the code is the checkout's."""
        return self.call_in(self.root, script, *flags, **environment)

    def call_in(self, here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return call(words, here, self.environment(**environment), root=self.root, plots=self.plots)

    def sample_run(self, *flags: str, count: int = 24, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"SRC_NAME": "sample", "ANNOTATOR": "rules", "NUM_SAMPLES": str(count), **environment}
        return self.run("bash", "run.sh", *flags, **settings)

    def annotate(self, *flags: str, count: int, last: int = 4, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the sample up to the step `last`: measuring and saving take most of the time of a small run."""
        settings = {"SRC_NAME": "sample", "ANNOTATOR": "llm", "NUM_SAMPLES": str(count), **environment}
        collect = (
            f"$PYTHON src/collect_trajectories.py --dataset_path data/sample/chains.jsonl --max_samples {count} "
            f"--output_path data/sample_{count}samples"
        )
        asking = (1, 3, 4)  # the flags are those of a model
        steps = [f"./step{number}.sh" + (' "$@"' if number in asking else "") for number in range(1, last + 1)]
        return self.run("bash", "-ec", "\n".join([collect, *steps]), "bash", *flags, **settings)

    def files(self, *folders: str) -> dict[str, bytes]:
        """Return the content of every file below these folders."""
        paths = (path for folder in folders for path in (self.root / folder).rglob("*"))
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in paths
            if path.is_file() and path.name != ".lock"
        }


class InProcess(Project):
    """The same, with the Python commands run in this process, also those that a shell script starts.

    For tests whose point is what a run makes. Real processes are for signals, kinds of output, two runs at once.
    """

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if command[0] == sys.executable:
            return self.call(*command[1:], **environment)
        with tempfile.TemporaryDirectory() as talk:
            return self._shell(command, environment, Path(talk))

    def _shell(
        self, command: Sequence[str], environment: dict[str, str], talk: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command whose `python` and $PYTHON are a script that has every Python command run here."""
        (stub := talk / "python").write_text(STUB)
        stub.chmod(0o755)
        (calls, asking), (waiting, ends) = os.pipe(), os.pipe()
        chosen = {"PYTHON": str(stub), "THREADWEAVER_PYTHON": f"requirements.txt {stub}"}  # env.sh does not check it
        pipes = {"ASKING": str(asking), "WAITING": str(waiting), "TALK": str(talk)}
        found = {"PATH": f"{talk}:{environment.get('PATH') or os.environ['PATH']}"}
        with open(talk / "stdout", "w+") as out, open(talk / "stderr", "w+") as err:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(**{**environment, **chosen, **pipes, **found}),
                stdout=out,
                stderr=err,
                pass_fds=(asking, waiting),
            )
            os.close(asking)
            os.close(waiting)
            with open(calls) as asked, open(ends, "w", buffering=1) as answers:
                for _ in asked:
                    here, started_in, *words = (talk / "words").read_text().split("\0")[:-1]
                    done = self._command(words, Path(here), {**environment, "THREADWEAVER_STARTED_IN": started_in})
                    (talk / "said").write_text(done.stdout)
                    (talk / "complained").write_text(done.stderr)
                    answers.write(f"{done.returncode}\n")
            process.wait()
            texts = [(stream.seek(0), stream.read())[1] for stream in (out, err)]
        return subprocess.CompletedProcess(command, process.returncode, *texts)

    def _command(
        self, words: Sequence[str], here: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        if words[0] == "-m" or (here / words[0]).resolve().parent == self.root.resolve() / "src":
            return self.call_in(here, *words, **environment)
        every = self.environment(**environment)  # a bench, or a tool of the tests
        return subprocess.run([sys.executable, *words], cwd=here, env=every, capture_output=True, text=True)


STUB = """#!/usr/bin/env bash
printf '%s\\0' "$PWD" "${THREADWEAVER_STARTED_IN:-}" "$@" >"$TALK/words"
echo >&"$ASKING"
read -r code <&"$WAITING" || exit 1
cat "$TALK/said"
cat "$TALK/complained" >&2
exit "$code"
"""
