"""Stage 3: rewrite the threads so that none depends on a sibling, with as few changes as possible.

Reads   stage 2: <input>/<i>.txt, <input>/trace/<i>.json
Writes  <output>/<i>.txt, <output>/trace/<i>.json and .txt (with every edit)
Calls   the annotator: with a model, one call per thread except the first of each block, all of a sample at once
Exits   0; 1 too many failed; 2 something to fix, reported in one line; 130 stopped
Example python src/rewrite-context_v1.py --annotator rules --input data/sample_24samples_step2_v1 --output data/sample_24samples_step3_v1_v1
"""

from __future__ import annotations

import os

from threadweaver.annotators import registry as annotators
from threadweaver.independence import CONFIDENT
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_summary
from threadweaver.stages import rewriting
from threadweaver.stages.stage_plan import print_stage_plan
from threadweaver.stages.traced import traced_names, traced_tasks


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input")
    parser.add_shared("--output", help="folder of the rewritten trajectories")
    parser.add_shared("--glob")
    parser.add_shared("--rewrite")
    parser.add_shared("--max-leak", default=CONFIDENT)
    parser.add_obsolete("--trace", nargs="?")
    annotators.add_flags(parser, "edits")
    parser.add_stage_flags()
    return parser


STAGE = STAGES["rewrite"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    names = traced_names(given, args.glob)
    annotator = annotators.build(args, "edits")
    options = rewriting.RewriteOptions(args.rewrite == "suspected", args.max_leak)
    if args.plan:
        work = (
            rewriting.rewrite(task.payload, annotator, options) for task in traced_tasks(given, names) if not task.fault
        )
        return print_stage_plan(STAGE.title, annotator, work)
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.input, args.output),
        "rewrite": args.rewrite,
        "max_leak": args.max_leak,
        **annotator.settings(),
    }

    async def rewrite(task: Task) -> Result:
        return await rewriting.rewrite(task.payload, annotator, options)

    given.report()
    with StageFolder(
        args.output, settings, overwrite=args.overwrite, accept_edits=args.accept_edits, foreign=given.foreign
    ) as folder:
        report = run_stage(
            traced_tasks(given, names),
            rewrite,
            folder,
            total=len(names),
            title=STAGE.title,
            around=annotator,
            workers=annotators.samples_at_once(annotator, args, len(names)),
            partial=args.glob != "*.txt",
        )
    print_summary(STAGE.title, report, args.output)
    return exit_code(report, args.max_failed)


if __name__ == "__main__":
    run_command(main)
