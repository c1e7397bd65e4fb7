"""One thread that owns the database connection and commits many operations at once.

Work comes in kinds; a kind does all its jobs of a transaction at once, and must bear being run again: when a
transaction fails, all of it is. Callers are answered after the commit, never before. The event loop is never
blocked: it waits for a future.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from threadweaver.errors import UserError
from threadweaver.ledger import schema
from threadweaver.ledger.schema import LedgerFull

Operation = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True)
class Kind:
    """What a job does: `run` gets the arguments of all jobs of the kind and returns a result for each. Kinds run in the
    order of `rank`. `waits`: on a full disk a job waits for room; otherwise it is refused at once. `before_a_call`: a
    call to the model would follow, so it is refused also where the disk has no room for the reply.
    """

    rank: int
    run: Callable[[sqlite3.Connection, list[Any]], list[Any]]
    write: bool = True
    waits: bool = True
    before_a_call: bool = False
    committed: Callable[[], None] = lambda: None


def _run_operations(db: sqlite3.Connection, operations: list[Any]) -> list[Any]:
    return [operation(db) for operation in operations]


CHANGE = Kind(10, _run_operations)
LOOK = Kind(11, _run_operations, write=False)
BOOKKEEPING = Kind(12, _run_operations, waits=False)
"""Changes that can be done without: who is at work, and who has left."""

OPENING = Kind(13, _run_operations, waits=False, before_a_call=True)
"""Changes after which calls are sent."""

GROUP = 512  # operations in one transaction at most: a commit stays well under 100 ms
ROOM = 8 * 2**20  # bytes that are free before a call: the replies to a thousand calls in flight fit in
STUCK_SECONDS = 0.2  # between attempts to write to a full disk
BUSY_NOTICE = 10.0  # seconds of waiting for another process's transaction before the user is told


@dataclass(eq=False)
class _Job:
    kind: Kind
    argument: Any
    loop: asyncio.AbstractEventLoop | None
    future: Any
    result: Any = None
    error: BaseException | None = None


@dataclass
class LedgerWriter:
    """Runs jobs in order, in a thread of its own. `beat` is run in a transaction every `beat_seconds`; `close` waits
    `close_seconds` for room on a full disk.
    """

    path: str
    read_only: bool
    beat: Operation
    beat_seconds: float = 5.0
    close_seconds: float = 30.0
    _jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self.lost = 0  # writes that found no room until the end
        self._closing: float | None = None
        self._ended = False
        self._fault: BaseException | None = None  # what ended the thread, if it was not `close`
        self._db: sqlite3.Connection | None = None
        self._taken: list[_Job] = []  # jobs under way
        self._stuck: list[_Job] = []  # jobs that wait for room on the disk
        self._reported = False  # that some wait
        self._folder = os.path.dirname(os.path.realpath(self.path))
        self._opened: Future[None] = Future()
        self._next_beat = time.monotonic() + self.beat_seconds
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        self._opened.result()

    # for callers

    def call(self, operation: Operation, *, write: bool = True) -> Any:
        """Run a function of the connection and wait for it; not for the event loop's thread."""
        return self.wait(CHANGE if write else LOOK, operation)

    def wait(self, kind: Kind, argument: Any) -> Any:
        """As `do`, for callers outside the event loop."""
        job = _Job(kind, argument, None, Future())
        self._put(job)
        return job.future.result()

    async def do(self, kind: Kind, argument: Any) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(kind, argument, loop, loop.create_future())
        self._put(job)
        return await job.future

    async def run(self, operation: Operation, *, write: bool = True) -> Any:
        return await self.do(CHANGE if write else LOOK, operation)

    def send(self, kind: Kind, argument: Any) -> None:
        """Do it some time soon; `close` waits for it."""
        self._put(_Job(kind, argument, None, Future()))

    def _put(self, job: _Job) -> None:
        if self._closing is not None or self._ended:
            raise self._gone()
        self._jobs.put(job)
        if self._ended:  # meanwhile
            self._fail([])

    def close(self) -> None:
        """Wait until all is written. Raises LedgerFull if the disk stayed full for `close_seconds`."""
        if self._closing is None:
            self._closing = time.monotonic()
            self._jobs.put(None)
        self._thread.join()
        if self.lost:
            lost = "1 entry found no room and is" if self.lost == 1 else f"{self.lost} entries found no room and are"
            raise LedgerFull(f"{schema.full_message(self.path)} ({lost} lost)")

    # in the thread

    def _run(self) -> None:
        try:
            if self._open():
                while self._turn():
                    pass
        finally:
            self._end(sys.exception())

    def _open(self) -> bool:
        try:
            self._db = schema.connect(self.path, read_only=self.read_only)
        except (UserError, sqlite3.Error, OSError, ValueError) as error:
            self._opened.set_exception(error)
            return False
        self._opened.set_result(None)
        return True

    def _end(self, fault: BaseException | None) -> None:
        """However the thread ends, answer all who wait, also for jobs under way."""
        self._fault = fault
        self._ended = True
        try:
            if self._db is not None:
                self._db.close()
        finally:
            if not self._opened.done():
                self._opened.set_exception(self._gone())
            self._fail(self._taken + self._stuck)

    def _gone(self) -> RuntimeError:
        error = RuntimeError("the ledger is closed" if self._fault is None else "the ledger's thread has ended")
        error.__cause__ = self._fault
        return error

    def _fail(self, jobs: list[_Job]) -> None:
        """Answer these jobs, and all in the queue, with an error."""
        with contextlib.suppress(queue.Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    jobs.append(job)
        for job in jobs:
            job.error = job.error or self._gone()
        _answer(jobs)

    def _turn(self) -> bool:
        """Take the jobs that wait, run them in one transaction, answer. False: closed, and nothing is left."""
        jobs = self._taken = self._take()
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + self.beat_seconds
            if not self.read_only and not self._stuck:
                jobs.append(_Job(BOOKKEEPING, self.beat, None, Future()))
        if (calls := [job for job in jobs if job.kind.before_a_call]) and not self._room():
            self._refuse(calls)
        jobs = self._taken = self._stuck + jobs
        if jobs:
            self._stuck = self._commit([job for job in jobs if job.error is None])
            self._reported = self._reported and bool(self._stuck)
            stuck = set(self._stuck)
            _answer([job for job in jobs if job not in stuck])
        self._taken = []
        return self._closing is None or not self._jobs.empty() or bool(self._stuck)

    def _take(self) -> list[_Job]:
        """Return the jobs that wait, at most a group; wait until there is one, or a beat is due."""
        jobs: list[_Job] = []
        wait = STUCK_SECONDS if self._stuck else max(0.0, self._next_beat - time.monotonic())
        with contextlib.suppress(queue.Empty):
            job = self._jobs.get(timeout=wait)
            while True:
                if job is not None:  # None only wakes: the ledger is being closed
                    jobs.append(job)
                if len(jobs) >= GROUP:
                    break
                job = self._jobs.get_nowait()
        return jobs

    def _commit(self, jobs: list[_Job]) -> list[_Job]:
        """Run jobs until they are committed or have failed. Returns those that wait for room on the disk."""
        waited_since = time.monotonic()
        while True:
            pending = [job for job in jobs if job.error is None]
            try:
                self._transaction(pending)
                return []
            except sqlite3.Error as error:
                name = schema.name_of(error)
                if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                    waited_since = self._wait_busy(waited_since)
                elif schema.no_room(name):
                    return self._meet_full(pending, error)
                else:
                    return self._blame(pending, error)
            except Exception as error:  # also overflow, recursion, zlib: the asker gets it
                if not pending:  # nobody's operation: the thread's own fault
                    raise
                return self._blame(pending, error)

    def _transaction(self, jobs: list[_Job]) -> None:
        write = any(job.kind.write for job in jobs)
        if write and jobs:
            self._db.execute("BEGIN IMMEDIATE")
        try:
            for kind in sorted({job.kind for job in jobs}, key=lambda kind: kind.rank):
                same = [job for job in jobs if job.kind is kind]
                for job, result in zip(same, kind.run(self._db, [job.argument for job in same]), strict=True):
                    job.result = result
            if write and jobs:
                self._db.execute("COMMIT")
                for kind in {job.kind for job in jobs}:
                    kind.committed()
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _blame(self, jobs: list[_Job], error: Exception) -> list[_Job]:
        """Give an error to the job at fault; the others of its transaction are run again one by one."""
        if len(jobs) == 1:
            jobs[0].error = schema.as_user_error(self.path, error)
            return []
        return [stuck for job in jobs for stuck in self._commit([job])]

    # a full disk

    def _room(self) -> bool:
        """Whether a call may be sent: nothing waits for room, and the disk has some left for the reply."""
        if self._stuck:
            return False
        if self.path == ":memory:":
            return True
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return True  # SQLite will say what is wrong
        return disk.f_blocks == 0 or disk.f_bavail * disk.f_frsize >= ROOM  # some file systems do not count

    def _meet_full(self, jobs: list[_Job], error: sqlite3.Error) -> list[_Job]:
        """Refuse what does not wait, let readers read, and return what has to wait for room."""
        self._refuse([job for job in jobs if not job.kind.waits], error)
        writes = [job for job in jobs if job.kind.write and job.error is None]
        reads = [job for job in jobs if not job.kind.write]
        stuck = self._commit(reads) if len(reads) < len(jobs) else reads
        if writes and not self._reported:
            self._reported = True
            wait = "1 entry waits" if len(writes) == 1 else f"{len(writes)} entries wait"
            text = f"no room left for the ledger {self.path}: {wait} until there is some"
            print(text, file=sys.stderr, flush=True)
        if self._closing is not None and time.monotonic() - self._closing > self.close_seconds:
            self.lost += len(writes)
            self._refuse(writes + stuck, error)
            return []
        return writes + stuck

    def _refuse(self, jobs: list[_Job], error: sqlite3.Error | None = None) -> None:
        for job in jobs:
            job.error = LedgerFull(schema.full_message(self.path))
            job.error.__cause__ = error

    def _wait_busy(self, since: float) -> float:
        if time.monotonic() - since > BUSY_NOTICE:
            print(f"waiting for the ledger {self.path}: another program holds it", file=sys.stderr, flush=True)
            return time.monotonic() + 50
        time.sleep(0.05)
        return since


def _answer(jobs: list[_Job]) -> None:
    """Hand the results over, with one wake-up of an event loop for all of its jobs."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        if job.loop is None:
            _settle(job)
        else:
            loops.setdefault(job.loop, []).append(job)
    for loop, group in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle_all, group)


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        _settle(job)


def _settle(job: _Job) -> None:
    if job.future.cancelled() or job.future.done():
        return
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.result)
