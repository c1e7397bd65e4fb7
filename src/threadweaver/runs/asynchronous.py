"""Many samples under way at once, in one event loop: for stages that wait for replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from threadweaver.errors import UserError
from threadweaver.runs.runner import Result, Task, Work, crash

STATUS_SECONDS = 1.0
"""How often the status of `around` is shown after the progress bar."""


async def run(
    tasks: Iterator[Task],
    work: Work,
    done: Callable[[Task, Result], None],
    workers: int,
    around: AbstractAsyncContextManager | None,
    bar,
) -> None:
    """Do `work` on the tasks, `workers` at a time, inside `around`; `done` gets each result as it comes."""

    async def worker() -> None:
        for task in tasks:  # one iterator, shared: each takes the next sample
            try:
                result = await work(task)
            except UserError:
                raise
            except Exception as error:
                result = crash(error)
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


def _first(group: BaseExceptionGroup) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
