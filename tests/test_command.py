"""The edge of a command: exit codes, interrupts, a full disk, an odd encoding."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from project import ROOT
from threadweaver.errors import UserError
from threadweaver.runs.command import run_command
from threadweaver.runs.folder import MANIFEST_FILE, read_account

SETTINGS = {"stage": "test"}

# ---- the edge of a command


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UserError("fix\nthis"), 2, "fix this\n"),
        (KeyboardInterrupt(), 130, "stopped: "),
        (FileNotFoundError(2, "No such file", "x.txt"), 2, "No such file (x.txt)\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a/0.txt"), 2, "no space left to write a/0.txt"),
        (PermissionError(13, "Permission denied", "y"), 2, "y may not be"),
    ],
)
def test_how_a_command_ends(error, code, says, capsys):
    def main(_):
        raise error

    with pytest.raises(SystemExit) as caught:
        run_command(main)
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert err.startswith(says) and err.count("\n") == 1


def test_a_bug_is_not_hidden():
    def main(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(main)


COMMAND = """
import asyncio, sys
from pathlib import Path
from threadweaver.runs.command import run_command
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.summary import exit_code, print_summary

async def work(task):
    await asyncio.sleep(float(sys.argv[2]))
    return Result("ok", files={f"{task.id}.txt": "x" * 20_000})

def main(_):
    with StageFolder(Path(sys.argv[1]), {"stage": "test"}) as folder:
        tasks = (Task(str(n), "s", n) for n in range(20))
        report = run_stage(tasks, work, folder, total=20, title="test", workers=2)
    print_summary("test", report, Path(sys.argv[1]))
    return exit_code(report, "0")

run_command(main)
"""


def started(*argv: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen([*argv], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + COMMAND
"""A job that a script started with `&` ignores SIGINT."""


@pytest.mark.parametrize(
    ("command", "sign"), [(COMMAND, signal.SIGINT), (COMMAND, signal.SIGTERM), (BACKGROUND, signal.SIGTERM)]
)
def test_an_interrupt_is_exit_130_and_the_next_run_continues(tmp_path, command, sign):
    process = started(sys.executable, "-c", command, str(tmp_path / "out"), "0.1")
    deadline = time.monotonic() + 300
    while not list((tmp_path / "out").glob("*.txt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sign)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert out == "" and err.count("\n") == 1 and "what is done is kept" in err
    done = len(read_account(tmp_path / "out"))
    assert 1 <= done < 20 and not (tmp_path / "out" / MANIFEST_FILE).exists()
    again = started(sys.executable, "-c", COMMAND, str(tmp_path / "out"), "0")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert f"20 samples ({done} done before): 20 ok" in out


def test_an_encoding_without_our_characters_ends_no_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = started(sys.executable, "-c", COMMAND, str(tmp_path / "out"), "0")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "") and "20 samples: 20 ok" in out


def private_disk() -> bool:
    """Whether this machine allows mounting a small private disk."""
    if not shutil.which("unshare"):
        return False
    return (
        subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode
        == 0
    )


@pytest.mark.skipif(not private_disk(), reason="needs the right to mount a disk")
def test_a_full_disk_in_the_middle_is_one_line_and_nothing_is_lost(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    shell = f"""
        set -u; mkdir {tmp_path}/disk; mount -t tmpfs -o size=160k tmpfs {tmp_path}/disk
        {sys.executable} {script} {tmp_path}/disk/out 0; echo "exit $?"
        cat {tmp_path}/disk/out/account.jsonl; ls -A {tmp_path}/disk/out
        mount -o remount,size=4m {tmp_path}/disk
        {sys.executable} {script} {tmp_path}/disk/out 0; echo "exit $?"
    """
    out, err = started("unshare", "--mount", "sh", "-c", shell).communicate(timeout=300)
    first, second = out.split("exit 2\n")
    assert first == "" and err.count("\n") == 1 and err.startswith("no space left to write"), err
    assert second.endswith("exit 0\n") and " done before): 20 ok" in second
    accounted = {json.loads(line)["id"] for line in second.splitlines() if line.startswith("{") and line.endswith("}")}
    kept = {line.removesuffix(".txt") for line in second.splitlines() if line.endswith(".txt")}
    assert 0 < len(accounted) < 20 and accounted <= kept and ".part" not in second


FAILING = COMMAND.replace('return Result("ok",', 'return Result("failed", "hard",')
READERS = {
    "gone": "| true",
    "closed": ">&-",
    "both closed": ">&- 2>&-",
    "full": "> /dev/full",
    "closed input": "<&- > /dev/null",
}


@pytest.mark.parametrize("reader", READERS)
def test_an_odd_standard_output_neither_hides_a_failure_nor_becomes_one(tmp_path, reader):
    for name, command, code in (("good", COMMAND, 0), ("bad", FAILING, 1)):
        script = tmp_path / f"{name}.py"
        script.write_text(command)
        shell = f'set -o pipefail; "{sys.executable}" {script} {tmp_path}/{name} 0 {READERS[reader]}'
        process = started("bash", "-c", shell)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in err) == (code, False), (name, out, err)
        assert read_account(tmp_path / name)
        if reader != "both closed":
            assert ("failed" in err) == bool(code)
        assert ("standard output could not be written" in err) == (reader == "full")
