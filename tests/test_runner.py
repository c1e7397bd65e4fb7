"""Running a function over samples: what happens if one fails, if all do, if the user or the disk ends the run."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from project import ROOT, Project
from threadweaver.errors import UserError
from threadweaver.files import digest
from threadweaver.runs import runner
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import allowed_failures
from threadweaver.runs.folder import MANIFEST_FILE, AccountEntry, StageFolder, read_account
from threadweaver.runs.runner import Result, StageReport, Task, run_stage
from threadweaver.runs.summary import exit_code, print_summary

SETTINGS = {"stage": "test"}


def tasks(count: int) -> list[Task]:
    return [Task(str(n), digest(f"{n}"), n, f"set-{n}") for n in range(count)]


def run(path: Path, work, count: int = 5, **options) -> StageReport:
    with StageFolder(path, SETTINGS) as folder:
        return run_stage(tasks(count), work, folder, total=count, title="test", **options)


def outcomes(report: StageReport) -> list[tuple[str, str, str | None]]:
    return [(entry.id, entry.outcome, entry.reason) for entry in report.entries]


def good(task: Task) -> Result:
    return Result("ok", files={f"{task.id}.txt": f"text {task.payload}"}, facts={"n": task.payload})


def failing_at(*numbers: int, error: Exception):
    """Return work that raises this error for these samples, as a plain and as an async function."""

    def work(task: Task) -> Result:
        if task.payload in numbers:
            raise error
        return good(task)

    async def awaiting(task: Task) -> Result:
        await asyncio.sleep(0)
        return work(task)

    return {"plain": work, "async": awaiting}


KINDS = ("plain", "async")


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_is_done_written_and_accounted_for(tmp_path, kind):
    report = run(tmp_path, failing_at(error=ValueError())[kind], 12, workers=3)
    assert [entry.id for entry in report.entries] == [str(n) for n in range(12)]
    assert report.fresh == 12 and report.count("ok") == 12
    assert (tmp_path / "11.txt").read_text() == "text 11"
    assert [entry.uuid for entry in read_account(tmp_path)] == [f"set-{n}" for n in range(12)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_does_nothing(tmp_path, kind):
    run(tmp_path, failing_at(error=ValueError())[kind])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.txt")}
    report = run(tmp_path, failing_at(0, 1, 2, 3, 4, error=AssertionError("asked again"))[kind])
    assert (report.fresh, report.count("ok")) == (0, 5)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.txt")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("x"),
        RecursionError("deep"),
        TimeoutError("slow"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        KeyError("k"),
    ],
)
def test_one_sample_that_crashes_fails_alone_and_is_reported_by_place(tmp_path, kind, error):
    report = run(tmp_path, failing_at(1, 3, error=error)[kind])
    assert outcomes(report) == [
        ("0", "ok", None),
        ("1", "failed", "crash"),
        ("2", "ok", None),
        ("3", "failed", "crash"),
        ("4", "ok", None),
    ]
    assert (
        type(error).__name__ in report.failed[0].facts["error"] and "test_runner.py:" in report.failed[0].facts["error"]
    )
    again = run(tmp_path, failing_at(error=error)[kind])
    assert (again.fresh, again.count("ok")) == (2, 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [UserError("fix this"), OSError(errno.ENOSPC, "No space left on device")])
def test_what_would_fail_every_sample_ends_the_run_and_keeps_what_is_done(tmp_path, kind, error):
    with pytest.raises(type(error), match=r"fix this|No space"):
        run(tmp_path, failing_at(2, error=error)[kind])
    assert [entry.id for entry in read_account(tmp_path)] == ["0", "1"]
    assert not (tmp_path / MANIFEST_FILE).exists()
    report = run(tmp_path, failing_at(error=error)[kind])
    assert (report.fresh, report.count("ok")) == (3, 5)


def test_async_work_has_as_many_samples_under_way_as_there_are_workers(tmp_path):
    under_way, most = 0, 0

    async def work(task: Task) -> Result:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        return good(task)

    report = run(tmp_path, work, 30, workers=7)
    assert most == 7 and report.count("ok") == 30


def test_the_annotator_is_entered_once_inside_the_loop_and_left_when_a_sample_ends_the_run(tmp_path):
    seen = []

    class Around:
        async def __aenter__(self):
            seen.append(("in", asyncio.get_running_loop().is_running()))

        async def __aexit__(self, *exception):
            seen.append(("out", True))

    with pytest.raises(UserError):
        run(tmp_path, failing_at(1, error=UserError("x"))["async"], around=Around())
    assert seen == [("in", True), ("out", True)]


def test_the_status_of_the_annotator_is_shown_after_the_bar(tmp_path, monkeypatch):
    class Bar:
        disable, shown = False, ()

        def set_postfix_str(self, text):
            self.shown += (text,)

        def update(self):
            pass

    bar = Bar()
    monkeypatch.setattr(runner, "progress_bar", lambda *_: nullcontext(bar))
    around = nullcontext()
    around.status = lambda: "wave 2: 1 batches running"
    monkeypatch.setattr(runner, "STATUS_SECONDS", 0.01)

    async def slow(task: Task) -> Result:
        await asyncio.sleep(0.03)
        return good(task)

    run(tmp_path, slow, around=around)
    assert len(bar.shown) > 1 and set(bar.shown) == {"wave 2: 1 batches running"}


def test_a_fault_in_the_input_ends_the_run_whoever_finds_it(tmp_path):
    def broken():
        yield from tasks(2)
        raise UserError("trace/2.json is damaged")

    async def work(task: Task) -> Result:
        return good(task)

    with StageFolder(tmp_path, SETTINGS) as folder, pytest.raises(UserError, match="is damaged"):
        run_stage(broken(), work, folder, total=3, title="test", workers=3)


def test_only_some_of_the_samples_leave_the_others_as_they_are(tmp_path):
    run(tmp_path, good, 4)
    with StageFolder(tmp_path, SETTINGS) as folder:
        run_stage(tasks(6)[4:], good, folder, total=2, title="test", partial=True)
    assert len(list(tmp_path.glob("*.txt"))) == len(read_account(tmp_path)) == 6


# ---- what a command says


def test_what_became_of_the_samples_is_one_line_and_one_per_reason(tmp_path, capsys):
    def work(task: Task) -> Result:
        return Result("rejected", "no_block") if task.payload % 2 else good(task)

    report = run(tmp_path, work)
    print_summary("step 9", report, Path("out"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("step 9: 5 samples: 3 ok, 2 rejected") and first.endswith("→ out")
    assert second == "  2 rejected: no_block (1, 3)"
    print_summary("step 9", run(tmp_path, work), Path("out"))
    assert capsys.readouterr().out == "step 9: nothing to do, all 5 samples are done (3 ok, 2 rejected) in out\n"


@pytest.mark.parametrize(
    ("given", "total", "allowed"),
    [
        ("0", 10, 0),
        ("3", 10, 3),
        (" 3 ", 10, 3),
        ("0.1", 24, 2),
        ("0.5", 3, 1),
        ("0.29", 100, 29),
        ("5%", 40, 2),
        ("100%", 7, 7),
        ("0%", 7, 0),
        ("0.0", 9, 0),
        ("12", 3, 12),
    ],
)
def test_failures_allowed(given, total, allowed):
    assert allowed_failures(given, total) == allowed


@pytest.mark.parametrize(
    "given",
    ["", "many", "-1", "1.0", "1.5", "101%", "-5%", "inf", "inf%", "nan", "nan%", "1e400%", "%", "²", "0,5", "+3"],
)
def test_nonsense_is_refused_in_one_line(given):
    with pytest.raises(UserError, match="takes a count or a fraction below 1") as caught:
        allowed_failures(given, 10)
    assert "\n" not in str(caught.value)


def test_too_many_failures_are_exit_1_and_named(tmp_path, capsys):
    report = run(tmp_path, failing_at(1, 3, error=ValueError("odd"))["plain"])
    assert exit_code(report, "2") == 0 and exit_code(report, "0.4") == 0
    assert capsys.readouterr().err == ""
    assert exit_code(report, "1") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "2 of 5 samples failed" in err and "1: ValueError: odd" in err and "3: " in err


# ---- the exit code


@pytest.mark.parametrize(
    "reason, says",
    [
        ("cap_reached", "--max-cost is reached: 1 of 20 samples are left undone (3; it would cost $1)"),
        ("not_in_ledger", "import a ledger that contains them"),
        ("timed_out", "run again to do only these"),
    ],
)
def test_what_failed_says_how_to_continue(capsys, reason, says):
    """The cap ends a stage however few samples it left undone: the next stage would silently run without them."""
    entries = [AccountEntry(str(n), "ok") for n in range(20)]
    entries[3] = AccountEntry("3", "failed", reason, facts={"error": "it would cost $1"})
    report = StageReport(tuple(entries), 20, 0.0)
    assert exit_code(report, "0" if reason != "cap_reached" else "0.1") == 1
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


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
    deadline = time.monotonic() + 20
    while not list((tmp_path / "out").glob("*.txt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sign)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert out == "" and err.count("\n") == 1 and "what is done is kept" in err
    done = len(read_account(tmp_path / "out"))
    assert 1 <= done < 20 and not (tmp_path / "out" / MANIFEST_FILE).exists()
    again = started(sys.executable, "-c", COMMAND, str(tmp_path / "out"), "0")
    out, err = again.communicate(timeout=20)
    assert again.returncode == 0, err
    assert f"20 samples ({done} done before): 20 ok" in out


def test_an_encoding_without_our_characters_ends_no_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = started(sys.executable, "-c", COMMAND, str(tmp_path / "out"), "0")
    out, err = process.communicate(timeout=20)
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
    out, err = started("unshare", "--mount", "sh", "-c", shell).communicate(timeout=40)
    first, second = out.split("exit 2\n")
    assert first == "" and err.count("\n") == 1 and err.startswith("no space left to write"), err
    assert second.endswith("exit 0\n") and " done before): 20 ok" in second
    accounted = {json.loads(line)["id"] for line in second.splitlines() if line.startswith("{") and line.endswith("}")}
    kept = {line.removesuffix(".txt") for line in second.splitlines() if line.endswith(".txt")}
    assert 0 < len(accounted) < 20 and accounted <= kept and ".part" not in second


# ---- commands over some of the samples


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Project:
    """A project with the first six chains of the sample collected."""
    project = Project(tmp_path_factory.mktemp("project"))
    collected = project.python(
        "src/collect_trajectories.py",
        "--dataset_path",
        "data/sample/chains.jsonl",
        "--output_path",
        "data/in",
        "--max_samples",
        "6",
    )
    assert collected.returncode == 0, collected.stderr
    return project


def test_two_halves_of_step_1_are_one_whole(place):
    def annotate(output: str, *flags: str) -> None:
        done = place.python("src/gpt.py", "--annotator", "rules", "--input", "data/in", "--output", output, *flags)
        assert done.returncode == 0, done.stderr

    annotate("data/halves", "--end_idx", "3")
    annotate("data/halves", "--start_idx", "3")
    annotate("data/whole")
    halves, whole = place.files("data/halves"), place.files("data/whole")
    assert len(read_account(place.root / "data/halves")) == 6
    assert {Path(name).name: content for name, content in halves.items()} == {
        Path(name).name: content for name, content in whole.items()
    }


def test_one_annotation_is_not_used_for_several_chains(place):
    annotation = place.root / "one_reasoning.txt"
    annotation.write_text("<parallel>\n<thread>\n</thread> (L1-L2)\n<thread>\n</thread> (L3-L4)\n</parallel>\n")
    both = place.python("src/extract_v1.py", "-t", "data/in", "-a", str(annotation), "-o", "data/marked")
    assert both.returncode == 2 and "is one annotation" in both.stderr and both.stderr.count("\n") == 1
    one = place.python(
        "src/extract_v1.py",
        "-t",
        "data/in/0.txt",
        "-a",
        str(annotation),
        "-o",
        "data/marked",
        "--filter-diff-threshold",
        "0",
    )
    assert one.returncode == 0, one.stderr


def test_a_dry_run_makes_no_folder_that_blocks_the_real_one(place):
    annotation = place.root / "one_reasoning.txt"
    annotation.write_text("S1: a step (L1-L2)\n")
    dry = place.python("src/extract_v1.py", "-t", "data/in/0.txt", "-a", str(annotation), "-o", "data/dry", "--dry_run")
    assert dry.returncode == 0 and dry.stdout == "0: no block\n"
    assert not (place.root / "data/dry").exists()


@pytest.mark.parametrize(
    "command", ["rewrite-context_v1.py", "generate-outline_v1.py", "filter-format-correct-and-obtain-stats.py"]
)
def test_a_folder_without_samples_is_exit_2(place, command):
    (place.root / "data/empty").mkdir(exist_ok=True)
    result = place.python(f"src/{command}", "--input", "data/empty", "--output", "data/none")
    assert result.returncode == 2 and "holds no samples" in result.stderr and result.stderr.count("\n") == 1
    assert not (place.root / "data/none").exists()
