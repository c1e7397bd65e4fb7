"""Run a function over samples: concurrency, progress, failures, resume."""

from __future__ import annotations

import errno
import inspect
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from threadweaver.errors import SampleFault, UserError
from threadweaver.files import Part
from threadweaver.runs.entries import Entries, chosen, counts
from threadweaver.runs.folder import AccountEntry, StageFolder
from threadweaver.runs.placing import PlacedFiles
from threadweaver.runs.pool import Died, in_order
from threadweaver.runs.progress import progress_bar
from threadweaver.runs.shards import Shard
from threadweaver.samples import sample_key

NOT_IN_LEDGER = "not_in_ledger"
"""Reason of a sample that could not be done with `--offline`: running again would not help."""

WORKER_DIED = "worker_died"
"""Reason of a sample whose process was killed, each time that it was tried."""

CAP_REACHED = "cap_reached"
"""Reason of a sample that `--max-cost` left undone: even a single one stops the run before the next stage."""


@dataclass(frozen=True, slots=True)
class Task:
    """One sample to work on; `source` is the hash of all its inputs.

    One that is not read yet has no source, and its payload says where its inputs are.
    """

    id: str
    source: str
    payload: object
    uuid: str = ""
    fault: SampleFault | None = None
    """Why it cannot be worked on: it fails with that reason."""
    edited: tuple[str, ...] = ()
    """Files of its input that were changed by hand, and taken."""


Read = Callable[[Task], Task]
"""Reads a task that is not read yet."""


def task_of(id: str, make: Callable[[], Task], uuid: str = "") -> Task:
    """Return the task that `make` reads or, if that finds a fault of the sample, one that fails with it."""
    try:
        return make()
    except SampleFault as fault:
        return Task(id, "", None, uuid, fault)


def read_task(task: Task, read: Read | None) -> Task:
    """Return a task with its inputs or, if they have a fault, one that fails with it."""
    return task if read is None or task.fault else task_of(task.id, lambda: read(task), task.uuid)


class Places(Sequence[Task]):
    """Unread tasks, which `make` makes of their ids when they are asked for; `others` follow them."""

    def __init__(
        self, ids: Sequence[str], make: Callable[[Sequence[str]], Iterable[Task]], others: Sequence[Task] = ()
    ):
        self.ids, self.make, self.others = ids, make, others

    def __len__(self) -> int:
        return len(self.ids) + len(self.others)

    def __iter__(self) -> Iterator[Task]:
        yield from self.make(self.ids)
        yield from self.others

    def __getitem__(self, at):
        if isinstance(at, slice) and not self.others:
            return Places(self.ids[at], self.make)
        return list(self)[at]


@dataclass(frozen=True, slots=True)
class Result:
    """What a stage did with a sample: an outcome of `folder.OUTCOMES`, with a reason code if something was lost."""

    outcome: str
    reason: str | None = None
    files: Mapping[str, str | bytes | Part] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    value: object = None
    """What the next stage would read from the files; a plan passes it on in memory."""


_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""These would fail every sample; other OSErrors, such as a broken connection, fail only one."""

Work = Callable[[Task], Result | Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class StageReport:
    """The entries of all samples of a stage, in order; `fresh` counts those done in this run."""

    entries: Sequence[AccountEntry]
    fresh: int
    seconds: float
    shard: Shard | None = None

    def count(self, outcome: str) -> int:
        return counts(self.entries)[outcome]

    @property
    def failed(self) -> Sequence[AccountEntry]:
        return chosen(self.entries, ("failed",))


def run_stage(
    tasks: Iterable[Task],
    work: Work,
    folder: StageFolder,
    *,
    total: int | None,
    title: str,
    read: Read | None = None,
    jobs: int = 1,
    workers: int = 1,
    around: AbstractAsyncContextManager | None = None,
    partial: bool = False,
    take: Callable[[Task, Result], None] | None = None,
    extra: Callable[[], Mapping[str, str | Path]] | None = None,
) -> StageReport:
    """Run `work` on every task that is not done yet, and close the folder's account.

    `read` reads a task that is not read yet; without it, they all are. A plain `work` is done by up to `jobs` processes
    (`pool.in_order`), and so is `read`. An async one has up to `workers` samples under way at once, inside `around` (whose
    `status()`, if it has one, is shown after the progress bar). UserError and a full disk end the run; any other exception
    is that sample's failure. `partial` means that `tasks` are only some of the samples: the others in the folder are kept.
    `take` gets each new result of a plain `work`, in order. `extra` returns files that belong to no one sample, by name.
    """
    begun, doing = time.monotonic(), _Doing(read, work, folder.files, with_values=take is not None)
    with progress_bar(total, title) as bar:
        stage = _Progress(folder, bar)
        if inspect.iscoroutinefunction(work):
            import asyncio

            from threadweaver.runs import asynchronous

            pending = stage.pending(read_task(task, read) for task in tasks)
            most = workers if total is None else min(workers, total)
            asyncio.run(asynchronous.run(pending, work, stage.done, most, around, bar))
        else:
            with closing(_run_processes(tasks, doing, folder, jobs)) as answers:
                for task, result in answers:
                    if task.fault or not stage.skipped(task):
                        result = result or doing.here(task)
                        stage.done(task, result)
                        if take:
                            take(task, result)
    entries = Entries(folder.done, sorted(stage.ids, key=sample_key))
    folder.close_account(entries, partial=partial, extra=extra() if extra else None)
    return StageReport(
        Entries(folder.done, entries.ids), stage.fresh, time.monotonic() - begun, Shard.of(folder.settings)
    )


class _Progress:
    """Which samples are done, in this run (`fresh`) or before."""

    def __init__(self, folder: StageFolder, bar):
        self.folder, self.bar = folder, bar
        self.ids: list[str] = []
        self.fresh = 0

    def pending(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the read tasks that have to be done."""
        for task in tasks:
            if task.fault:
                self.done(task, failure(task.fault))
            elif not self.skipped(task):
                yield task

    def skipped(self, task: Task) -> bool:
        """Whether the task was done before; it is counted if so."""
        found = self.folder.finished(task.id, task.source) is not None
        if found:
            self._count(task)
        return found

    def done(self, task: Task, result: Result) -> None:
        self.fresh += 1
        _put(self.folder, task, result)
        self._count(task)

    def _count(self, task: Task) -> None:
        self.ids.append(task.id)
        self.bar.update()


class NotHere(Exception):
    """Raised by work that only the process of the command can do: it does the sample itself."""


@dataclass(frozen=True, slots=True)
class _Doing:
    """What becomes of a task, in whatever process: the read task without its payload, and its result, whose files are
    written but not placed.

    The result is None for a sample that was done before, and for one that the process of the command has to do.
    """

    read: Read | None
    work: Work
    files: PlacedFiles
    with_values: bool = False

    def __call__(self, item: tuple[Task, str | None]) -> tuple[Task, Result | None]:
        unread, known = item
        task = read_task(unread, self.read)
        light = task if task is unread else replace(task, payload=None)
        if task.fault:
            return light, failure(task.fault)
        if task.source == known:
            return light, None
        try:
            result = _stored(self.files, task, _guarded(self.work, task))
        except NotHere:
            return light, None
        return light, result if self.with_values else replace(result, value=None)

    def here(self, task: Task) -> Result:
        """Do an unread task in this process."""
        return _guarded(self.work, read_task(task, self.read))


def _run_processes(
    tasks: Iterable[Task], doing: _Doing, folder: StageFolder, jobs: int
) -> Iterator[tuple[Task, Result | None]]:
    """Yield the tasks, read, with their results, in order; where the result is None, the task can be done here."""
    items, deaths = ((task, folder.known_source(task.id)) for task in tasks), []
    with closing(in_order(items, doing, jobs, bury=lambda: deaths.append(True))) as answers:
        for (unread, _), answer in answers:
            if isinstance(answer, Died):
                yield unread, Result("failed", WORKER_DIED, facts={"error": answer.detail})
            else:
                task, result = answer
                yield (replace(task, payload=unread.payload) if result is None else task), result
    if deaths:
        folder.files.sweep()  # what they had written, whether it was done again or not


def _stored(files: PlacedFiles, task: Task, result: Result) -> Result:
    """Write the files of a result, to be placed."""
    try:
        return replace(result, files=files.parts(result.files))
    except (UnicodeEncodeError, OSError) as error:
        return _not_storable(error, task)


def _put(folder: StageFolder, task: Task, result: Result) -> AccountEntry:
    """Note what became of a sample, with its files."""
    try:
        return folder.put(_entry(task, result), result.files)
    except (UnicodeEncodeError, OSError) as error:
        return folder.put(_entry(task, _not_storable(error, task)), {})


def _entry(task: Task, result: Result) -> AccountEntry:
    facts = {**result.facts, "edited_input": list(task.edited)} if task.edited else result.facts
    return AccountEntry(task.id, result.outcome, result.reason, task.uuid, task.source, facts=facts)


def _not_storable(error: UnicodeEncodeError | OSError, task: Task) -> Result:
    """Return the failure of a sample that no file can hold; raises any other error."""
    if isinstance(error, UnicodeEncodeError):
        return failure(SampleFault("broken_unicode", "a text holds half a character"))
    if error.errno != errno.ENAMETOOLONG:
        raise error
    name = task.id or task.uuid
    return failure(SampleFault("name_too_long", f"{name:.40}… is too long for a file name"))


def failure(fault: SampleFault) -> Result:
    """Return what becomes of a sample with this fault."""
    return Result("failed", fault.reason, facts={"error": str(fault)[:300]})


def _guarded(work: Work, task: Task) -> Result:
    try:
        return work(task)
    except (UserError, NotHere):
        raise
    except Exception as error:
        return crash(error)


def crash(error: Exception) -> Result:
    """Turn an unexpected exception into a failed sample with its type and place; the run continues.

    A full disk, a missing package and the like would fail every later sample: such an error ends the run.
    """
    if isinstance(error, ModuleNotFoundError) or (isinstance(error, OSError) and error.errno in _HOPELESS):
        raise error
    if isinstance(error, SampleFault):
        return failure(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Result("failed", "crash", facts={"error": f"{type(error).__name__}: {error} ({where})"[:300]})
