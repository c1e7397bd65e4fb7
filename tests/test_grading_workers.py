"""Grading in processes that can be killed: bombs, limits, order, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future
from functools import partial

import pytest

from project import ROOT
from threadweaver import grading
from threadweaver.grading import Grader, final_answer, verdict, workers

BOMBS = [
    "9**9**9**9",
    "9^{9^{9^9}}",
    "2^{2^{9999}}",
    "10000000!",
    "((9!)!)!",
    "1e999999999",
    "10^{-1000000000}",
    "a" * 1_000_000,
    "(" * 20_000,
    "{" * 9_000 + "1" + "}" * 9_000,
    r"\frac{1}{" * 3_000 + "1" + "}" * 3_000,
    r"\binom{999999999}{99999999}",
    r"\sum_{k=1}^{999999999} \frac1k",
    r"\int_0^1\int_0^1\int_0^1\int_0^1 x",
    "9" * 50_000,
    "1," * 300_000,
    r"\begin{pmatrix}" * 300,
    "½" * 600,
    r"\sin(" * 29 + "x" + ")" * 29,
    "-" * 1_999,
    "__import__('time').sleep(99)",
    "x" * 300 + "!" * 90,
    r"(x+1)^{5000}",
    r"\cos(10^{99999})",
]


def test_bombs(grader, monkeypatch):
    """Each bomb is undecided or wrong, the answers around it are graded, and everything ends soon."""
    pairs = [(bomb, "5" if i % 2 else r"\sqrt{x}+y") for i, bomb in enumerate(BOMBS)]
    plain = [(rf"{n}\sqrt2", rf"\sqrt{{{2 * n * n}}}") for n in range(2, 7)]
    monkeypatch.setattr(grader, "cpu_s", 1.0)
    start = time.monotonic()
    verdicts = grader.grade_many([*pairs[:10], *plain, *pairs[10:]])
    assert time.monotonic() - start < 60
    assert [v.verdict for v in verdicts[10:15]] == ["correct"] * 5
    judged_bombs = zip(BOMBS, verdicts[:10] + verdicts[15:], strict=True)
    assert [bomb[:40] for bomb, v in judged_bombs if v.correct] == []


def test_a_bomb_equals_itself(grader):
    assert all(v.correct for v in grader.grade_many([(bomb, bomb + " ") for bomb in BOMBS]))


@pytest.mark.parametrize("bomb", BOMBS)
def test_the_parent_is_never_held_up(bomb):
    start = time.process_time()
    verdict.in_parent(bomb, "5")
    verdict.in_parent("5", bomb)
    final_answer(rf"\boxed{{{bomb}}}")
    assert time.process_time() - start < 2


SWALLOWS = """
kept = []
try:
    while True:
        kept.append(bytearray(50_000_000))
except MemoryError:
    pass
"""


# what a worker is made to do, processor time and wall time granted, what is said of it
ENDED = [
    ("7 ** 999999999", 0.5, 40, "time-out"),
    ("import time; time.sleep(60)", 0.1, 8, "time-out"),
    (SWALLOWS, 5, 6, "out of memory"),
    ("import os; os._exit(3)", 5, 6, "worker died"),
]


@pytest.mark.parametrize(("code", "cpu_s", "wall", "why"), ENDED)
def test_a_worker_is_ended_from_outside(code, cpu_s, wall, why, monkeypatch):
    """A task that computes, sleeps or takes memory for ever is undecided, and the next one is served."""
    monkeypatch.setattr(workers, "WALL_S_PER_CPU_S", wall)
    with Grader(workers=1, cpu_s=cpu_s, memory_mb=400) as small:
        error = small._schedule(partial(exec, code), ({}, {}))[1].exception(timeout=40)
        assert workers._reason(error) == why
        assert small._schedule(partial(eval, "1 + 1"), ({}, {}))[1].result(timeout=40) == 2


def test_a_process_without_memory_decides_nothing():
    with Grader(workers=1, memory_mb=64) as starved:
        assert starved.grade("x+x", "2x").verdict == "undecided"


def test_exact_matches_start_no_process(monkeypatch):
    monkeypatch.setattr(Grader, "_start", lambda self: pytest.fail("a process was started"))
    pairs = [
        ("7", "7"),
        (r"\frac12", r"\dfrac{1}{2}"),
        ("12,345", "12345"),
        ("9", "8"),
        ("(1, 2)", "(1,2)"),
        ("0.50", "1/2"),
    ]
    assert [v.verdict for v in grading.grade_many(pairs)] == ["correct"] * 3 + ["wrong"] + ["correct"] * 2


def test_order_is_kept_and_equal_pairs_are_judged_once(grader, monkeypatch):
    asked = []
    schedule = Grader._schedule
    monkeypatch.setattr(
        Grader, "_schedule", lambda self, task, pair: asked.append((task, pair)) or schedule(self, task, pair)
    )
    answers = ["x+x+1", "3", "2x", "x+x+1", "1+2x"] * 3
    verdicts = grader.grade_many([(answer, "2x+1") for answer in answers])
    assert [v.correct for v in verdicts] == [True, False, False, True, True] * 3
    assert len(asked) == len(set(asked))


def test_several_threads_may_ask_at_once(grader):
    found = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: grader.grade(rf"{n}y+y", rf"{n + 1}y").correct}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_the_import_is_light():
    """No stage waits for sympy before its first line."""
    heavy = "('sympy', 'math_verify', 'pylatexenc', 'pebble', 'latex2sympy2_extended')"
    code = f"import sys, threadweaver.grading; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "src", check=True)
    assert done.stdout.strip() == "[]"


def test_there_are_never_more_processes_than_cores_or_answers():
    """One that still starts when all is graded would end with a traceback."""
    cores = len(os.sched_getaffinity(0))
    assert Grader(workers=32).workers <= cores and Grader(workers=1).workers == 1
    with Grader(workers=32) as grader:
        grader.grade(r"\frac{x^2-1}{x-1}", "x+1")  # by algebra and by a typical reward
        assert grader._pool._pool_manager.worker_manager.workers_number <= 2


def test_what_the_processes_need_is_loaded_ahead_only_for_many_pairs_and_on_another_core(monkeypatch):
    started = []
    monkeypatch.setattr(workers, "_server", lambda: started.append("server"))
    workers.expect(workers.MANY - 1, 2)
    workers.expect(workers.MANY, 1)
    assert not started
    workers.expect(workers.MANY, 2)
    assert started == ["server"]


class Lost:
    """A pool of which a process was killed while it started."""

    active = False

    def __init__(self, way: str):
        self.way = way

    def schedule(self, *_, **__) -> Future:
        future = Future()
        if self.way == "refuses":
            raise RuntimeError("Unexpected error within the Pool")
        if self.way == "broken":
            future.set_exception(BrokenExecutor("All workers expired"))
        if self.way == "cancelled":
            future.cancel()
        return future

    def stop(self) -> None:
        pass

    def join(self) -> None:
        pass


@pytest.mark.parametrize("way", ["refuses", "broken", "cancelled", "says nothing"])
def test_what_a_lost_pool_had_is_graded_by_another(monkeypatch, way):
    monkeypatch.setattr(workers, "POLL_S", 0.01)
    start, lost = Grader._start, iter([Lost(way)])
    monkeypatch.setattr(Grader, "_start", lambda self: next(lost, None) or start(self))
    with Grader(1) as one:
        assert one.grade("x^2+2x+1", "(x+1)^2").how == "algebra"
