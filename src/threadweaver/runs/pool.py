"""Work on many items on all cores: results in order, and a process that dies is found out.

The items are worked on here until that has taken a while; only then are processes started. So a small run pays nothing
for them.

A worker is a fork of this process: it starts within milliseconds with everything loaded, and memory that nobody writes to
is held once. A fresh interpreter would take half a second of a core for the imports, and up to three for a tokenizer.
What a fork may not do is wait for a lock that another thread held when it was made. There are few such threads here (the
progress, one of numpy, those of arrow and of the grading), and a worker uses nothing of theirs: it computes, writes files
that are not seen yet, and sends.
Each worker has a pipe of its own: one that is killed while it writes spoils no other's results, as it would in a pool
with one queue for all.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import selectors
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from threadweaver.cores import cores as cores
from threadweaver.errors import UserError, setting

ITEM = TypeVar("ITEM")
RESULT = TypeVar("RESULT")

PATIENCE_S = 0.02
"""Work in this process before others are started: about what starting them costs."""
CHUNK_S = 0.05
"""Work that is handed to a worker at a time, by the time that items have taken so far. It answers a whole chunk at once:
each answer on its own would interrupt another worker, and empty its cache."""
LONGEST_CHUNK = 32
MOST_WAITING = 32 << 10
"""Bytes of a chunk that may wait in the pipe of a worker that is busy, so that it goes on at once. The pipe takes several
times that: a send that waited for a worker which itself waits to send would never end."""
AHEAD = 4
"""Chunks per worker that may be ahead of the one whose results are due."""
MOST_BYTES = 64 << 20
"""Results that may wait for their turn; beyond it only the one that is due is worked on."""
ATTEMPTS = 2
"""The items that a worker has when it dies are tried once more, each alone: another one may have killed it, or something
else."""


@dataclass(frozen=True, slots=True)
class Died:
    """The result of an item whose worker died each time; `detail` says how."""

    detail: str


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


def in_order(
    items: Iterable[ITEM],
    work: Callable[[ITEM], RESULT],
    jobs: int,
    *,
    patience: float | None = None,
    bury: Callable[[], None] = lambda: None,
) -> Iterator[tuple[ITEM, RESULT | Died]]:
    """Yield every item with its result, in order, worked on by at most `jobs` processes.

    Items and results are pickled. What `work` raises is raised here. `bury` is called for each process that dies. Few items and results are in memory at a time. Close
    the iterator, or exhaust it, to end the processes.
    """
    items, spent, patience = iter(items), 0.0, PATIENCE_S if patience is None else patience
    jobs = jobs if sys.platform == "linux" else 1  # elsewhere the system's own libraries do not survive a fork
    while jobs < 2 or spent < patience:
        for item in islice(items, 1):
            begun = time.perf_counter()
            result = work(item)
            spent += time.perf_counter() - begun
            yield item, result
            break
        else:
            return
    with _Workers(work, jobs, bury) as workers:
        yield from workers.run(items)


# ---------------------------------------------------------------------------------------------------------------
# in the process that asks


@dataclass(eq=False)
class _Worker:
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    ready: bool = False
    chunks: deque[list[int]] = field(default_factory=deque)
    """Places of the items that it has: those that it works on, and those that wait in its pipe."""


class _Workers(Generic[ITEM, RESULT]):
    """Processes that work on items (context manager, which ends them)."""

    def __init__(self, work: Callable[[ITEM], RESULT], jobs: int, bury: Callable[[], None]):
        self.work, self.jobs, self.bury = work, jobs, bury
        self.workers: list[_Worker] = []
        self.begun: dict[int, ITEM] = {}
        """Items whose results have not been yielded, by place."""
        self.results: dict[int, tuple[RESULT | Died, int]] = {}
        """Results that wait for their turn, with their bytes."""
        self.prepared: tuple[list[int], bytes] | None = None
        """The next chunk, if it could not be handed out yet."""
        self.again: deque[int] = deque()
        """Places of items that a worker had when it died."""
        self.attempts: dict[int, int] = {}
        self.waiting_bytes = 0
        self.pace = 0.0
        """Seconds per item of late."""
        self.due = self.next = 0
        self.exhausted = False
        self.failed_starts = 0
        self.selector = selectors.DefaultSelector()

    def __enter__(self) -> _Workers:
        try:
            self._start()
        except BaseException:  # Ctrl-C meanwhile, or no further process is possible: those that are there end, too
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        for worker in self.workers:
            worker.pipe.close()
            if worker.process.is_alive():
                worker.process.kill()  # it holds nothing, and no file that it writes is in its place
        for worker in self.workers:
            worker.process.join()
        self.selector.close()

    def run(self, items: Iterator[ITEM]) -> Iterator[tuple[ITEM, RESULT | Died]]:
        while not (self.exhausted and not self.begun):
            self._hand_out(items)
            self._receive(block=self.due not in self.results and not (self.exhausted and not self.begun))
            if self.due in self.results:
                result, size = self.results.pop(self.due)
                self.waiting_bytes -= size
                self.due += 1
                if isinstance(result, _Raised):
                    raise result.error
                yield self.begun.pop(self.due - 1), result

    def _start(self) -> None:
        """Start the workers that are missing, unless they do not come up at all."""
        context = multiprocessing.get_context("fork")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is this process's; they inherit it
        try:
            while len(self.workers) < self.jobs and self.failed_starts < 2 * self.jobs:
                mine, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, self.work), daemon=True)
                with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of forks with threads
                    process.start()
                theirs.close()
                worker = _Worker(process, mine)
                self.workers.append(worker)
                self.selector.register(mine, selectors.EVENT_READ, worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _receive(self, *, block: bool) -> None:
        """Take what workers have sent; with `block`, wait for something."""
        for key, _ in self.selector.select(None if block else 0):
            try:
                data = key.fileobj.recv_bytes()
            except (EOFError, OSError):
                self._bury(key.data)
                continue
            self._take(key.data, data)

    def _take(self, worker: _Worker, data: bytes) -> None:
        worker.ready, self.failed_starts = True, 0
        places = worker.chunks.popleft() if worker.chunks else []  # none: it says that it is up
        for place, answer in zip(places, pickle.loads(data), strict=True):
            seconds, result, error = pickle.loads(answer)
            self.pace = seconds if not self.pace else 0.8 * self.pace + 0.2 * seconds
            self._settle(place, result if error is None else _Raised(error), len(answer))

    def _settle(self, place: int, result: RESULT | Died, size: int) -> None:
        self.results[place] = result, size
        self.waiting_bytes += size

    def _bury(self, worker: _Worker) -> None:
        """Replace a worker that died; its items are tried again or, if it had only one, that has failed."""
        self.workers.remove(worker)
        self.selector.unregister(worker.pipe)
        worker.pipe.close()
        worker.process.join()
        self.bury()
        self.failed_starts += not worker.ready
        tried, *waiting = worker.chunks or [[]]
        for place in tried:
            self.attempts[place] = self.attempts.get(place, 0) + 1
        if len(tried) == 1 and self.attempts[tried[0]] >= ATTEMPTS:
            self._settle(tried.pop(), Died(_how(worker.process.exitcode)), 0)
        self.again = deque(sorted([*self.again, *tried, *chain.from_iterable(waiting)]))
        self._start()
        if not self.workers:
            one = setting("--jobs 1", "JOBS=1")
            raise UserError(f"the processes that work on the samples end as soon as they start: run with {one}")

    def _hand_out(self, items: Iterator[ITEM]) -> None:
        """Give every worker that is up a chunk to work on, then each a small one that waits."""
        for held in (0, 1):
            for worker in self.workers:
                if worker.ready and len(worker.chunks) == held and self._prepare(items):
                    places, data = self.prepared
                    if held and len(data) > MOST_WAITING:
                        return
                    self.prepared = None
                    worker.chunks.append(places)
                    with suppress(OSError):  # it has died, which is noticed when its answer is waited for
                        worker.pipe.send_bytes(data)

    def _prepare(self, items: Iterator[ITEM]) -> bool:
        """Prepare the next chunk; return whether there is one."""
        if self.prepared is None and (places := self._next_chunk(items)):
            self.prepared = places, pickle.dumps([self.begun[place] for place in places], pickle.HIGHEST_PROTOCOL)
        return self.prepared is not None

    def _next_chunk(self, items: Iterator[ITEM]) -> list[int]:
        if self.again:
            return [self.again.popleft()]
        size = max(1, min(LONGEST_CHUNK, int(CHUNK_S / self.pace) if self.pace else 1))
        if self.waiting_bytes > MOST_BYTES or self.next - self.due >= AHEAD * self.jobs * size:
            return []
        places = []
        for item in islice(items, size):
            self.begun[self.next] = item
            places.append(self.next)
            self.next += 1
        self.exhausted = len(places) < size
        return places


def _how(code: int | None) -> str:
    """Describe the end of a process by its exit code."""
    if code is not None and code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            memory = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
            return f"the process that worked on it was ended by {name}{memory}"
    return f"the process that worked on it ended with exit code {code}"


# ---------------------------------------------------------------------------------------------------------------
# in the worker


_is_worker = False


def is_worker() -> bool:
    """Whether this process is one of a pool."""
    return _is_worker


def _serve(pipe: Connection, work: Callable[[ITEM], RESULT]) -> None:
    """Answer chunk after chunk, until the pipe is closed."""
    global _is_worker
    _is_worker, parent = True, os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_go_of_files(pipe.fileno())
    gc.freeze()  # looking through what was there before would copy its memory
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send([])  # it is up
        while True:
            pipe.send([_answer(work, item) for item in pipe.recv() if os.getppid() == parent])


def _let_go_of_files(kept: int) -> None:
    """Close all inherited files but this pipe: a lock that the command holds would outlive it here. Each is replaced by
    the null device, because objects of this process still use its number."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/dev/fd")):
        if number > 2 and number not in (kept, null):
            os.dup2(null, number)


def _answer(work: Callable[[ITEM], RESULT], item: ITEM) -> bytes:
    begun = time.perf_counter()
    try:
        result, error = work(item), None
    except Exception as raised:  # raised again in the process that asks
        result, error = None, raised
    try:
        return pickle.dumps((time.perf_counter() - begun, result, error), pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError) as unsent:
        return pickle.dumps((0.0, None, RuntimeError(f"{error or unsent} (cannot be sent to another process)")))
