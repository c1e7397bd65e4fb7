"""Stage 1: extract steps, with their line ranges and the groups that may run in parallel.

Reads   collected.jsonl (or its folder, or one <i>.txt)
Writes  <output>/<uuid>_reasoning.txt (the annotated steps), <chat>/<uuid>_chat.txt (the conversation)
Calls   the annotator: with a model, one conversation per sample
Exits   0; 1 too many failed; 2 something to fix, reported in one line; 130 stopped
Example python src/gpt.py --annotator rules --input data/sample_24samples --output data/sample_24samples_step1_v1
"""

from __future__ import annotations

import os
from pathlib import Path

from threadweaver.annotators import registry as annotators
from threadweaver.errors import UserError
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, count
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Result, Task, read_task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_summary
from threadweaver.stages import steps
from threadweaver.stages.stage_plan import print_stage_plan


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input", help="collected.jsonl, its folder, or one chain as .txt")
    parser.add_shared("--output", help="folder of the annotations")
    parser.add_argument("--chat", type=Path, help="folder of the conversations (<output>/chat)")
    parser.add_argument("--start_idx", type=count, default=0, help="position of the first sample to do (0)")
    parser.add_argument("--end_idx", type=count, help="position after the last sample to do (all)")
    parser.add_obsolete("--skip_existing", nargs=0)
    parser.add_shared("--jobs")
    annotators.add_flags(parser, "steps")
    parser.add_stage_flags()
    return parser


STAGE = STAGES["steps"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    every, read = steps.places(given)
    if not every and not given.shard:
        raise given.nothing()
    tasks = every[args.start_idx : args.end_idx]
    if every and not tasks:
        raise UserError(f"--start_idx and --end_idx leave none of the {len(every)} samples of {args.input}")
    annotator = annotators.build(args, "steps")
    if args.plan:
        read_now = (read_task(task, read) for task in tasks)
        work = (steps.annotate(task.payload, annotator) for task in read_now if not task.fault)
        return print_stage_plan(STAGE.title, annotator, work)
    chat = os.path.relpath(args.chat or args.output / "chat", args.output)
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.input, args.output),
        **given.part(),
        **annotator.settings(),
    }

    async def annotate(task: Task) -> Result:
        return await steps.annotate(task.payload, annotator, chat)

    given.report()
    with StageFolder(
        args.output, settings, overwrite=args.overwrite, accept_edits=args.accept_edits, foreign=given.foreign
    ) as folder:
        report = run_stage(
            tasks,
            steps.AnnotateAtOnce(annotator, chat) if annotator.client is None else annotate,
            folder,
            total=len(tasks),
            title=STAGE.title,
            read=read,
            jobs=args.jobs,
            around=annotator,
            workers=annotators.samples_at_once(annotator, args, len(tasks)),
            partial=bool(args.start_idx) or args.end_idx is not None,
        )
    print_summary(STAGE.title, report, args.output)
    return exit_code(report, args.max_failed)


if __name__ == "__main__":
    run_command(main)
