"""Referee: a model that did not write the annotation judges the blocks, between stages 4 and 5.

Reads   stage 4: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.json: what each thread takes from its siblings, whether its work is new, its outline's verdict
Calls   the model, once per block, all blocks of a sample at once
Exits   0; 1 too many failed; 2 something to fix, reported in one line; 130 stopped
Example python src/referee.py --openai_model gpt-5-mini --plan --input data/sample_24samples_step4_v1_v1_v1 --output data/sample_24samples_referee_v1_v1_v1
"""

from __future__ import annotations

import os

from threadweaver.annotators import registry as annotators
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_summary
from threadweaver.stages import refereeing
from threadweaver.stages.stage_plan import print_stage_plan
from threadweaver.stages.traced import traced_names, traced_tasks


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input")
    parser.add_shared("--output", help="folder of the findings")
    parser.add_shared("--glob")
    parser.add_shared("--max_samples", help="samples to judge, from the first on (all)")
    annotators.add_referee_flags(parser)
    parser.add_stage_flags()
    return parser


STAGE = STAGES["referee"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    names = traced_names(given, args.glob)[: args.max_samples]
    referee = annotators.build_referee(args)
    if args.plan:
        work = (refereeing.judge(task.payload, referee) for task in traced_tasks(given, names) if not task.fault)
        return print_stage_plan(STAGE.title, referee, work)
    settings = {"stage": STAGE.name, "input": os.path.relpath(args.input, args.output), **referee.settings()}

    async def judge(task: Task) -> Result:
        return await refereeing.judge(task.payload, referee)

    given.report()
    with StageFolder(
        args.output, settings, overwrite=args.overwrite, accept_edits=args.accept_edits, foreign=given.foreign
    ) as folder:
        report = run_stage(
            traced_tasks(given, names),
            judge,
            folder,
            total=len(names),
            title=STAGE.title,
            around=referee,
            workers=annotators.samples_at_once(referee, args, len(names)),
            partial=args.max_samples is not None or args.glob != "*.txt",
        )
    print_summary(STAGE.title, report, args.output)
    return exit_code(report, args.max_failed)


if __name__ == "__main__":
    run_command(main)
