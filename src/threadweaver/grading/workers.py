"""Processes for the algebra, which can be killed from outside: limits of time and memory for every pair.

Time is processor time, so that a verdict does not depend on the machine's load: the kernel ends a process that has used
up its share, whatever code it is in. Wall time is bounded too, for a process that sleeps.

The processes are forked from a server that has sympy and math-verify loaded, so replacing a killed one takes
milliseconds.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, TypeVar

from threadweaver.cores import cores
from threadweaver.grading.verdict import Finding, Verdict, by_algebra, by_rewards, combine, conclude, in_parent

CPU_S = 3.0  # the slowest of 1,023 labelled pairs takes 0.7
WALL_S_PER_CPU_S = 8
MEMORY_MB = 2048
TASKS_PER_WORKER = 1_000  # then it is replaced: sympy's caches only grow
ATTEMPTS = 3  # to start the processes, if one is killed while it starts
POLL_S = 1.0  # how often it is looked whether they are still there
MANY = 500  # of 3,000 outputs 24 need algebra; sympy is half a second of a core
_PRELOADED = ["sympy", "math_verify", "latex2sympy2_extended", "pylatexenc.latex2text", "pebble"]

BATCH = 200
ITEM = TypeVar("ITEM")
Reference = str | int | float | Sequence[Any]
Pair = tuple[str, str]


class Grader:
    """Grades many answers on at most `workers` processes, which are started by the first pairs that need algebra: never
    more than there are cores or pairs, since one that is still starting when all is graded ends with a traceback.

    `cpu_s` is the processor time of one pair (wall time: WALL_S_PER_CPU_S times that), `memory_mb` the address space of
    one process. Without `rewards` the verdict of a reinforcement-learning reward is not asked for: most pairs are then
    settled without a process. Use it as a context manager, or call `close`. Safe to use from several threads.
    """

    def __init__(
        self, workers: int | None = None, cpu_s: float = CPU_S, memory_mb: int = MEMORY_MB, *, rewards: bool = True
    ) -> None:
        self.workers = min(workers or cores(), cores())
        self.cpu_s = cpu_s
        self.memory_mb = memory_mb
        self.rewards = rewards
        self._expected = self._size = self._asking = 0  # pairs for the processes, their number, threads that wait
        self._pool: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def grade(self, answer: str | None, references: Reference) -> Verdict:
        return self.grade_many([(answer, references)])[0]

    def grade_many(self, pairs: Iterable[tuple[str | None, Reference]]) -> list[Verdict]:
        """Return one verdict per pair, in order. Equal pairs are judged once."""
        asked = [(answer, as_texts(references)) for answer, references in pairs]
        unique = dict.fromkeys((answer, r) for answer, texts in asked if answer and answer.strip() for r in texts)
        settled = self._judge(list(unique))
        return [_of_one(answer, texts, settled) for answer, texts in asked]

    def grade_each(
        self, items: Iterable[ITEM], pair: Callable[[ITEM], tuple[str | None, Reference] | None]
    ) -> Iterator[tuple[ITEM, Verdict | None]]:
        """Yield each item with the verdict on its pair, None if it has none. The algebra of BATCH items is done at a time,
        and no more of them are in memory."""
        items = iter(items)
        while batch := [(item, pair(item)) for item in islice(items, BATCH)]:
            verdicts = iter(self.grade_many(asked for _, asked in batch if asked is not None))
            for item, asked in batch:
                yield item, None if asked is None else next(verdicts)

    def _judge(self, pairs: list[Pair]) -> dict[Pair, Verdict]:
        with self._lock:
            self._asking += 1
        try:
            return self._judged(pairs)
        finally:
            with self._lock:
                self._asking -= 1

    def _judged(self, pairs: list[Pair]) -> dict[Pair, Verdict]:
        findings = {pair: in_parent(*pair) for pair in pairs}
        self._expected = sum(found.asks_algebra + (self.rewards and found.asks_rewards) for found in findings.values())
        self._make_room()
        algebra = {pair: self._schedule(by_algebra, pair) for pair, found in findings.items() if found.asks_algebra}
        rewards = {
            pair: self._schedule(by_rewards, pair)
            for pair, found in findings.items()
            if self.rewards and found.asks_rewards
        }
        for pair, begun in algebra.items():
            error, future = self._outcome(by_algebra, pair, begun)
            found = future.result() if error is None else Finding(_reason(error))
            findings[pair] = replace(findings[pair], how=found.how, correct=found.correct)
        for pair, begun in rewards.items():
            error, future = self._outcome(by_rewards, pair, begun)
            if error is None:
                findings[pair] = replace(findings[pair], rl=future.result())
        return {pair: conclude(found) for pair, found in findings.items()}

    def _make_room(self) -> None:
        """End the processes if this batch can use more of them and nobody else waits for them: it starts its own."""
        with self._lock:
            more = min(self.workers, self._expected) > self._size
            pool = self._pool if more and self._asking == 1 else None
            if pool is not None:
                self._pool = None
        if pool is not None:
            pool.stop()
            pool.join()

    def _schedule(self, task: Callable[[str, str], Any], pair: Pair) -> tuple[Any, Any]:
        """Return the pool and the future of a task."""
        for _ in range(ATTEMPTS - 1):
            with suppress(RuntimeError):  # a process was killed while it started: the pool is lost
                return self._begin(task, pair)
            self.close()
        return self._begin(task, pair)

    def _begin(self, task: Callable[[str, str], Any], pair: Pair) -> tuple[Any, Any]:
        pool, arguments = self._start(), (task, *pair, self.cpu_s, self.memory_mb)
        return pool, pool.schedule(_bounded, args=arguments, timeout=self.cpu_s * WALL_S_PER_CPU_S)

    def _outcome(self, task: Callable[[str, str], Any], pair: Pair, begun: tuple[Any, Any]) -> tuple[Any, Any]:
        """Wait for a task; return its error, None if it has none, and its future. What a lost pool had is done again."""
        for _ in range(ATTEMPTS):
            error = _waited_for(*begun)
            if not isinstance(error, BrokenExecutor):
                return error, begun[1]
            begun = self._schedule(task, pair)
        return BrokenExecutor(), begun[1]

    def _start(self) -> Any:
        with self._lock:
            if self._pool is None:
                from pebble import ProcessPool

                context = _server()
                self._size = max(1, min(self.workers, self._expected))
                self._pool = ProcessPool(
                    max_workers=self._size,
                    max_tasks=TASKS_PER_WORKER,
                    initializer=_limit_memory,
                    initargs=(self.memory_mb,),
                    context=context,
                )
            return self._pool


def _waited_for(pool: Any, future: Any) -> BaseException | None:
    """Wait for a task as long as its pool is there; return its error, BrokenExecutor if the pool is lost."""
    while True:
        try:
            return future.exception(timeout=POLL_S)
        except CancelledError:
            return BrokenExecutor()
        except TimeoutError:
            if not pool.active:
                return BrokenExecutor()


def expect(pairs: int, jobs: int) -> None:
    """Load what the processes need on another core, if there is one and one of so many pairs will need it."""
    if jobs > 1 and pairs >= MANY:
        _server()


def _server() -> BaseContext:
    """Return the context of processes that are forked from a server, which is started and loads what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    # Ctrl-C is for this process: the server inherits the mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def as_texts(references: Reference) -> tuple[str, ...]:
    """Return the accepted answers as strings. A whole float loses its `.0`, which a data frame may have added."""
    if isinstance(references, str):
        return (references,)
    if isinstance(references, Iterable):
        return tuple(text for reference in references for text in as_texts(reference))
    whole = isinstance(references, float) and references.is_integer() and abs(references) < 1e15
    return (str(int(references)) if whole else str(references),)


def _of_one(answer: str | None, references: tuple[str, ...], settled: dict[Pair, Verdict]) -> Verdict:
    if not references:
        return Verdict("undecided", "no reference", None)
    if answer is None or not answer.strip():
        return Verdict("wrong", "no answer", False)
    return combine([settled[answer, reference] for reference in references])


def _reason(error: BaseException) -> str:
    from pebble import ProcessExpired

    if isinstance(error, TimeoutError):
        return "time-out"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, ProcessExpired):
        known = {-signal.SIGPROF: "time-out", OUT_OF_MEMORY: "out of memory"}
        return known.get(error.exitcode, "worker died")
    return f"error: {type(error).__name__}"


# ---- in the worker

OUT_OF_MEMORY = 77  # an exit code of our own


def _limit_memory(megabytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1024**2, megabytes * 1024**2))


def _bounded(task: Callable[[str, str], Any], answer: str, reference: str, cpu_s: float, memory_mb: int) -> Any:
    """Run the task with SIGPROF set to end this process after `cpu_s`; end it too when memory ran out.

    The libraries swallow MemoryError and continue as if they had found nothing, so the result of a process whose peak
    came near its limit is not used.
    """
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        result = task(answer, reference)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if _peak_mb() > memory_mb / 2:
        os._exit(OUT_OF_MEMORY)
    return result


def _peak_mb() -> float:
    """Return this process's largest address space, or its largest memory where the system does not report that."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.partition("VmPeak:")[2].split()[0]) / 1024


# ---- one answer at a time


def at_once(answer: str | None, references: Reference, *, rewards: bool = True) -> Verdict | None:
    """Return the verdict that `Grader.grade` would give, None if it needs a process for the algebra."""
    texts = as_texts(references)
    pairs = [(answer, text) for text in texts] if answer and answer.strip() else []
    findings = {pair: in_parent(*pair) for pair in pairs}
    if any(found.asks_algebra or (rewards and found.asks_rewards) for found in findings.values()):
        return None
    return _of_one(answer, texts, {pair: conclude(found) for pair, found in findings.items()})


_shared: Grader | None = None
_shared_lock = threading.Lock()


def grade(answer: str | None, references: Reference) -> Verdict:
    """Grade one answer against the accepted `references`; `grade_many` is for a list.

    The first call that needs algebra starts one process for it, which stays until the program ends.
    """
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Grader(workers=1)
            atexit.register(_shared.close)
    return _shared.grade(answer, references)


def grade_many(pairs: Iterable[tuple[str | None, Reference]], workers: int | None = None) -> list[Verdict]:
    """Return one verdict per pair, in order; processes (as many as cores) are started only if algebra is needed."""
    with Grader(workers) as grader:
        return grader.grade_many(pairs)
