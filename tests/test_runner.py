"""Running a function over samples: what happens if one fails, if all do."""

from __future__ import annotations

import asyncio
import errno
from contextlib import nullcontext
from pathlib import Path

import pytest

from threadweaver.errors import SampleFault, UserError
from threadweaver.files import digest
from threadweaver.runs import asynchronous, runner
from threadweaver.runs.flags import allowed_failures
from threadweaver.runs.folder import MANIFEST_FILE, AccountEntry, StageFolder, read_account
from threadweaver.runs.runner import Result, StageReport, Task, run_stage, task_of
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
    monkeypatch.setattr(asynchronous, "STATUS_SECONDS", 0.01)

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
        ("truncated", "run again with --retry-failed"),  # the ledger would give the same replies
    ],
)
def test_what_failed_says_how_to_continue(capsys, reason, says):
    """The cap ends a stage however few samples it left undone: the next stage would silently run without them."""
    entries = [AccountEntry(str(n), "ok") for n in range(20)]
    entries[3] = AccountEntry(
        "3", "failed", reason, facts={"error": "it would cost $1", "refused": reason == "truncated"}
    )
    report = StageReport(tuple(entries), 20, 0.0)
    assert exit_code(report, "0" if reason != "cap_reached" else "0.1") == 1
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([{"asked": 9, "unread": {"empty": 2}}, {"asked": 1}], "2 of 10 questions have no reply"),
        ([{"asked": 9, "unread": {"empty": 1}}, {"asked": 1}], None),
        ([{"asked": 3}, {}], None),
        ([{"asked": 2, "unread": {"truncated": 2}, "error": "cut\x1b off"}], "--output-limit"),
        ([{"asked": 2, "unread": {"unreadable_edits": 1}}], "choose another model or --prompt"),
    ],
)
def test_a_fifth_without_a_usable_reply_is_reported_in_one_line(capsys, facts, expected):
    entries = tuple(AccountEntry(str(at), "ok", facts=fact) for at, fact in enumerate(facts))
    assert exit_code(StageReport(entries, len(entries), 0.0), "0") == 0
    said = capsys.readouterr().err
    assert said.count("\n") == (expected is not None) and (expected or "") in said


# ---- what one sample raises, and what a flag's number takes


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_no_file_can_hold_fails_its_own_sample(tmp_path, kind):
    def work(task: Task) -> Result:
        text = "half \ud83d" if task.payload == 1 else "whole"
        names = {f"{task.id}.txt": text} if task.payload != 3 else {f"{'x' * 300}.txt": text}
        return Result("ok", files=names, facts={"said": "\ud83d \x1b[31m"})

    async def awaiting(task: Task) -> Result:
        return work(task)

    report = run(tmp_path, {"plain": work, "async": awaiting}[kind])
    assert [entry.reason for entry in report.entries] == [None, "broken_unicode", None, "name_too_long", None]
    assert not (tmp_path / "1.txt").exists() and read_account(tmp_path) == list(report.entries)
    assert run(tmp_path, work).fresh == 2


def test_a_fault_of_the_input_is_the_failure_of_its_sample(tmp_path):
    def read(id: str) -> Task:
        if id == "1":
            raise SampleFault("altered", "1.txt was changed")
        return Task(id, id, int(id), edited=("0.txt",) if id == "0" else ())

    with StageFolder(tmp_path, SETTINGS) as folder:
        made = [task_of(id, lambda id=id: read(id), f"set-{id}") for id in "012"]
        report = run_stage(made, good, folder, total=3, title="test")
    assert outcomes(report) == [("0", "ok", None), ("1", "failed", "altered"), ("2", "ok", None)]
    assert report.entries[1].uuid == "set-1" and report.entries[1].facts == {"error": "1.txt was changed"}
    assert report.entries[0].facts == {"n": 0, "edited_input": ["0.txt"]}


def test_no_more_workers_than_samples(tmp_path, monkeypatch):
    started = []
    create = asyncio.TaskGroup.create_task
    monkeypatch.setattr(asyncio.TaskGroup, "create_task", lambda self, work: started.append(work) or create(self, work))
    run(tmp_path, failing_at(error=ValueError())["async"], 3, workers=10**9)
    assert len(started) == 3


def test_what_is_printed_of_a_failure_moves_no_cursor(tmp_path, capsys):
    entries = tuple(AccountEntry(f"\x1b[2J{n}", "failed", "hard", facts={"error": "a\x1b[31m\ud83d\nb"}) for n in "01")
    report = StageReport(entries, 2, 0.0)
    print_summary("test", report, tmp_path)
    assert exit_code(report, "0") == 1
    said = "".join(capsys.readouterr())
    assert "\x1b" not in said and "\\x1b[31m\\ud83d" in said
