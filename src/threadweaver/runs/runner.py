"""Run a function over samples: concurrency, progress, failures, resume."""

from __future__ import annotations

import asyncio
import errno
import inspect
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from threadweaver.errors import SampleFault, UserError
from threadweaver.runs.folder import AccountEntry, StageFolder
from threadweaver.runs.progress import progress_bar
from threadweaver.runs.shards import Shard
from threadweaver.samples import sample_key

NOT_IN_LEDGER = "not_in_ledger"
"""Reason of a sample that could not be done with `--offline`: running again would not help."""

STATUS_SECONDS = 1.0
"""How often the status of `around` is shown after the progress bar."""

CAP_REACHED = "cap_reached"
"""Reason of a sample that `--max-cost` left undone: even a single one stops the run before the next stage."""


@dataclass(frozen=True, slots=True)
class Task:
    """One sample to work on; `source` is the hash of all its inputs."""

    id: str
    source: str
    payload: object
    uuid: str = ""
    fault: SampleFault | None = None
    """Why it cannot be worked on: it fails with that reason."""
    edited: tuple[str, ...] = ()
    """Files of its input that were changed by hand, and taken."""


def task_of(id: str, make: Callable[[], Task], uuid: str = "") -> Task:
    """Return the task that `make` reads or, if that finds a fault of the sample, one that fails with it."""
    try:
        return make()
    except SampleFault as fault:
        return Task(id, "", None, uuid, fault)


@dataclass(frozen=True, slots=True)
class Result:
    """What a stage did with a sample: an outcome of `folder.OUTCOMES`, with a reason code if something was lost."""

    outcome: str
    reason: str | None = None
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    value: object = None
    """What the next stage would read from the files; a plan passes it on in memory."""


_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""These would fail every sample; other OSErrors, such as a broken connection, fail only one."""

Work = Callable[[Task], Result | Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class StageReport:
    """The entries of all samples of a stage, in order; `fresh` counts those done in this run."""

    entries: tuple[AccountEntry, ...]
    fresh: int
    seconds: float
    shard: Shard | None = None

    def count(self, outcome: str) -> int:
        return sum(entry.outcome == outcome for entry in self.entries)

    @property
    def failed(self) -> list[AccountEntry]:
        return [entry for entry in self.entries if entry.outcome == "failed"]


def run_stage(
    tasks: Iterable[Task],
    work: Work,
    folder: StageFolder,
    *,
    total: int | None,
    title: str,
    workers: int = 1,
    around: AbstractAsyncContextManager | None = None,
    partial: bool = False,
    extra: Callable[[Sequence[AccountEntry]], Mapping[str, str | Path]] | None = None,
) -> StageReport:
    """Run `work` on every task that is not done yet, and close the folder's account.

    An async `work` has up to `workers` samples under way at once, inside `around` (whose `status()`, if it has one,
    is shown after the progress bar); a plain function takes one sample after the other. UserError and a full disk
    end the run; any other exception is that sample's failure. `partial` means that `tasks` are only some of the
    samples: the others in the folder are kept. `extra` returns files that belong to no one sample, by name.
    """
    begun = time.monotonic()
    entries: list[AccountEntry] = []
    fresh = 0
    with progress_bar(total, title) as bar:

        def pending() -> Iterator[Task]:
            for task in tasks:
                if task.fault:
                    done(task, failure(task.fault))
                elif entry := folder.finished(task.id, task.source):
                    entries.append(entry)
                    bar.update()
                else:
                    yield task

        def done(task: Task, result: Result) -> None:
            nonlocal fresh
            fresh += 1
            entries.append(_put(folder, task, result))
            bar.update()

        if inspect.iscoroutinefunction(work):
            asyncio.run(
                _run_async(pending(), work, done, workers if total is None else min(workers, total), around, bar)
            )
        else:
            for task in pending():
                done(task, _guarded(work, task))
    ordered = tuple(sorted(entries, key=lambda entry: sample_key(entry.id)))
    folder.close_account(entries, partial=partial, extra=extra(ordered) if extra else None)
    return StageReport(ordered, fresh, time.monotonic() - begun, Shard.of(folder.settings))


def _put(folder: StageFolder, task: Task, result: Result) -> AccountEntry:
    """Write what became of a sample; what no file can hold is its failure."""
    facts = {**result.facts, "edited_input": list(task.edited)} if task.edited else result.facts
    entry = AccountEntry(task.id, result.outcome, result.reason, task.uuid, task.source, facts=facts)
    try:
        return folder.put(entry, result.files)
    except UnicodeEncodeError:
        why = SampleFault("broken_unicode", "a text holds half a character")
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        why = SampleFault("name_too_long", f"{task.id or task.uuid:.40}… is too long for a file name")
    failed = failure(why)
    return folder.put(replace(entry, outcome=failed.outcome, reason=failed.reason, facts=failed.facts), {})


def failure(fault: SampleFault) -> Result:
    """Return what becomes of a sample with this fault."""
    return Result("failed", fault.reason, facts={"error": str(fault)[:300]})


async def _run_async(
    tasks: Iterator[Task],
    work: Work,
    done: Callable[[Task, Result], None],
    workers: int,
    around: AbstractAsyncContextManager | None,
    bar,
) -> None:
    async def worker() -> None:
        for task in tasks:  # one iterator, shared: each takes the next sample
            try:
                result = await work(task)
            except UserError:
                raise
            except Exception as error:
                result = _crash(error)
            done(task, result)

    async def show_status() -> None:
        while True:
            bar.set_postfix_str(around.status())
            await asyncio.sleep(STATUS_SECONDS)

    try:
        shown = hasattr(around, "status")
        async with around or nullcontext(), _in_background(show_status(), shown), asyncio.TaskGroup() as group:
            for _ in range(max(1, workers)):
                group.create_task(worker())
    except* UserError as stopped:
        raise _first(stopped) from None
    except* (OSError, ModuleNotFoundError) as stopped:
        raise _first(stopped) from None


@asynccontextmanager
async def _in_background(work: Coroutine, wanted: bool):
    """Run `work` until the block ends, if `wanted`."""
    task = asyncio.create_task(work) if wanted else None
    try:
        yield
    finally:
        task.cancel() if task else work.close()


def _guarded(work: Work, task: Task) -> Result:
    try:
        return work(task)
    except UserError:
        raise
    except Exception as error:
        return _crash(error)


def _crash(error: Exception) -> Result:
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


def _first(group: BaseExceptionGroup) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
