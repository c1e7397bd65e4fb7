"""Run a stage that asks about trajectories: a plan of its calls, or all samples, with their account."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence

from threadweaver.annotators.protocol import Asked
from threadweaver.annotators.registry import samples_at_once
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.stages import Stage
from threadweaver.runs.summary import exit_code, print_summary
from threadweaver.stages.stage_plan import print_stage_plan
from threadweaver.stages.traced import Traced, traced_tasks


def run_asking(
    stage: Stage,
    args: argparse.Namespace,
    asked: Asked,
    ask: Callable[[Traced], Awaitable[Result]],
    given: Given,
    names: Sequence[str],
    *,
    settings: Mapping[str, object],
    partial: bool,
) -> int:
    """Ask about the samples with these names and return the exit code; `partial`: they are not all of the folder."""
    if args.plan:
        work = (ask(task.payload) for task in traced_tasks(given, names) if not task.fault)
        return print_stage_plan(stage.title, asked, work)

    async def work_on(task: Task) -> Result:
        return await ask(task.payload)

    given.report()
    with StageFolder(
        args.output,
        {**settings, **given.part()},
        overwrite=args.overwrite,
        accept_edits=args.accept_edits,
        foreign=given.foreign,
    ) as folder:
        report = run_stage(
            traced_tasks(given, names),
            work_on,
            folder,
            total=len(names),
            title=stage.title,
            around=asked,
            workers=samples_at_once(asked, args, len(names)),
            partial=partial,
        )
    print_summary(stage.title, report, args.output)
    return exit_code(report, args.max_failed)
