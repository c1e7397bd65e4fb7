"""Work on all cores: the same results in the same order, and a worker that dies costs its own sample alone."""

from __future__ import annotations

import errno
import os
import signal
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from threadweaver import cores, files
from threadweaver.errors import SampleFault, UserError
from threadweaver.files import FileLock, digest
from threadweaver.runs import pool
from threadweaver.runs.command import describe_os_error
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.pool import Died, in_order
from threadweaver.runs.records import read_account
from threadweaver.runs.runner import NotHere, Result, StageReport, Task, run_stage


def square(number: int) -> int:
    return number * number


def process_of(_: int) -> int:
    time.sleep(0.002)
    return os.getpid()


def at_odds(number: int) -> int:
    """Do what samples can do to the process that works on them."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        os._exit(7)
    return number


def killed_once(path: Path, number: int) -> int:
    if number == 2 and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refusing(number: int) -> int:
    if number == 4:
        raise UserError("fix this")
    return number


def large(number: int) -> bytes:
    return bytes([number % 256]) * 300_000


def test_a_small_run_starts_no_process(monkeypatch):
    monkeypatch.setattr(pool._Workers, "__init__", lambda *_: pytest.fail("a process was started"))
    assert list(in_order(range(50), square, 8)) == [(number, number * number) for number in range(50)]
    assert list(in_order(range(3), square, 1, patience=0)) == [(0, 0), (1, 1), (2, 4)]


def test_a_long_run_is_worked_on_by_several_processes():
    found = list(in_order(range(400), process_of, 2, patience=0))
    assert [number for number, _ in found] == list(range(400))
    assert len({process for _, process in found} - {os.getpid()}) == 2


def test_results_larger_than_a_pipe_come_in_order(monkeypatch):
    monkeypatch.setattr(pool, "MOST_BYTES", 1_000_000)
    with closing(in_order(range(60), large, 2, patience=0)) as found:
        assert all(result == large(number) for number, result in found)


def test_items_whose_worker_dies_are_the_only_ones_that_are_lost():
    found = dict(in_order(range(40), at_odds, 2, patience=0))
    assert list(found) == list(range(40))
    assert found[3] == Died(
        "the process that worked on it was ended by SIGKILL, as the system does when memory runs out"
    )
    assert found[5] == Died("the process that worked on it ended with exit code 7")
    assert [number for number, result in found.items() if result != number] == [3, 5]


def test_an_item_whose_worker_was_killed_by_somebody_else_is_done_again(tmp_path):
    found = list(in_order(range(10), partial(killed_once, tmp_path / "killed"), 2, patience=0))
    assert found == [(number, number) for number in range(10)] and (tmp_path / "killed").exists()


def test_what_ends_the_run_in_a_worker_ends_it_here_after_what_came_before():
    seen = []
    with pytest.raises(UserError, match="fix this"):
        for number, _ in in_order(range(100), refusing, 2, patience=0):
            seen.append(number)
    assert seen == [0, 1, 2, 3]


def test_an_interruption_while_workers_start_leaves_none(monkeypatch):
    started, start = [], pool._Workers._start

    def interrupted(self):
        start(self)
        started.extend(worker.process for worker in self.workers)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool._Workers, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(in_order(range(40), square, 2, patience=0))
    assert len(started) == 2 and not any(process.is_alive() for process in started)


def test_a_worker_holds_none_of_the_files_of_the_command(tmp_path):
    lock, workers = FileLock(tmp_path / "lock"), set()
    lock.acquire("busy")
    with closing(in_order(range(10_000), process_of, 2, patience=0)) as found:
        while len(workers) < 2:
            workers.add(next(found)[1])
        lock.release()
        lock.acquire("busy")  # it is free, though the workers live: this would raise
        lock.release()
    assert os.getpid() not in workers


def test_workers_that_do_not_start_end_the_run_in_one_line(monkeypatch):
    monkeypatch.setattr(pool, "_serve", os._exit)  # takes one argument: it dies at once
    with pytest.raises(UserError, match=r"end as soon as they start: run with --jobs 1"):
        list(in_order(range(100), square, 2, patience=0))


# ---- as a stage


def good(task: Task) -> Result:
    if task.payload == "here":
        raise NotHere
    return Result("ok", files={f"{task.id}.txt": f"text {task.payload}"}, facts={"n": len(task.payload)})


class Reader:
    """Reads a sample, and does to the process what the sample says."""

    def __init__(self) -> None:
        self.command = os.getpid()

    def __call__(self, task: Task) -> Task:
        text = str(task.payload)
        if text == "altered":
            raise SampleFault("altered", f"{task.id}.txt was changed")
        if text == "killed" and os.getpid() != self.command:
            os.kill(os.getpid(), signal.SIGKILL)
        inside = "here" if text == "here" and os.getpid() != self.command else f"{text} read"
        return Task(task.id, digest(text), inside, f"set-{task.id}")


def run(path: Path, texts: list[str], jobs: int) -> StageReport:
    with StageFolder(path, {"stage": "test"}) as folder:
        tasks = (Task(str(number), "", text, f"set-{number}") for number, text in enumerate(texts))
        return run_stage(tasks, good, folder, total=len(texts), title="test", read=Reader(), jobs=jobs)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and file.name != ".lock"}


def test_a_stage_writes_the_same_bytes_however_many_processes_work_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
    texts = [
        ("altered" if number % 7 == 3 else "here" if number % 11 == 5 else f"text {number}") for number in range(60)
    ]
    run(tmp_path / "one", texts, 1)
    first = run(tmp_path / "two", texts, 2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert (first.fresh, len(first.failed), first.failed[0].reason) == (60, 9, "altered")
    again = run(tmp_path / "two", texts, 2)
    assert (again.fresh, again.count("ok")) == (9, 51)
    (tmp_path / "two/8.txt").unlink()
    assert run(tmp_path / "two", texts, 2).fresh == 10
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_sample_that_kills_its_worker_fails_alone_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
    report = run(tmp_path, ["a", "b", "killed", "c", "d"], 2)
    assert [entry.reason for entry in report.entries] == [None, None, "worker_died", None, None]
    assert "SIGKILL" in report.failed[0].facts["error"] and report.failed[0].uuid == "set-2"


def in_a_worker(monkeypatch, does):
    """Let a worker do this after it has begun the file of sample 2."""
    written, command = files.Part.written, os.getpid()

    def writing(path: Path, data: bytes) -> files.Part:
        part = written(path, data)
        if path.name == "2.txt" and os.getpid() != command:
            does(path)
        return part

    monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
    monkeypatch.setattr(files.Part, "written", writing)


def test_what_a_worker_left_half_done_when_it_died_is_removed(tmp_path, monkeypatch):
    in_a_worker(monkeypatch, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    report = run(tmp_path, ["a", "b", "c", "d"], 2)
    assert [entry.reason for entry in report.entries] == [None, None, "worker_died", None]
    assert {path.name for path in tmp_path.glob("*.txt")} == {"0.txt", "1.txt", "3.txt"}
    assert not list(tmp_path.rglob("*.part"))


def test_what_a_worker_had_done_before_it_died_once_is_removed_too(tmp_path, monkeypatch):
    once = tmp_path.with_name("once")

    def killed(_: Path) -> None:
        if not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    in_a_worker(monkeypatch, killed)
    report = run(tmp_path, [str(number) for number in range(40)], 2)
    assert once.exists() and report.count("ok") == 40 and not list(tmp_path.rglob("*.part"))


def test_a_disk_that_a_worker_finds_full_ends_the_run_and_nothing_half_done_stays(tmp_path, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    in_a_worker(monkeypatch, full)
    with pytest.raises(OSError) as stopped:
        run(tmp_path, [str(number) for number in range(40)], 2)
    assert describe_os_error(stopped.value).startswith(f"no space left to write {tmp_path / '2.txt'}: make room")
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.part")) and [entry.id for entry in read_account(tmp_path)] == ["0", "1"]
    assert {path.name for path in tmp_path.glob("*.txt")} == {"0.txt", "1.txt"}
    assert run(tmp_path, [str(number) for number in range(40)], 1).fresh == 38


def test_a_file_that_somebody_changed_is_moved_aside_when_a_worker_makes_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "PATIENCE_S", 0.0)
    run(tmp_path, ["a", "b", "c"], 2)
    (tmp_path / "1.txt").write_text("by hand")
    run(tmp_path, ["a", "b", "c"], 2)
    assert (tmp_path / "1.txt").read_text() == "text b read" and (tmp_path / "1.txt.changed").read_text() == "by hand"


# ---- the cores


@pytest.mark.parametrize(
    ("quota", "granted"),
    [("max 100000", None), ("200000 100000", 2), ("150000 100000", 1.5), ("", None), ("x y", None)],
)
def test_the_quota_of_a_container_counts(tmp_path, monkeypatch, quota, granted):
    path = tmp_path / "cpu.max"
    path.write_text(quota)
    monkeypatch.setattr(cores, "_QUOTA", path)
    assert cores._quota() == granted
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert cores.cores() == {None: 8, 2: 2, 1.5: 2}[granted]


def test_without_a_quota_the_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "none")
    monkeypatch.setattr(cores, "_QUOTA_V1", (tmp_path / "none", tmp_path / "none"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert cores.cores() == 1
