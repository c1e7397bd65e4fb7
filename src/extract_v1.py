"""Stage 2: mark the parallel blocks in the chains.

Reads   <trajectory>/<i>.txt (and its collected.jsonl), <annotations>/<uuid>_reasoning.txt
Writes  <output-dir>/<i>.txt (the trajectory), <output-dir>/trace/<i>.json and .txt (its lineage)
Calls   nothing
Exits   0; 1 too many failed; 2 something to fix, reported in one line
Example python src/extract_v1.py -t data/sample_24samples -a data/sample_24samples_step1_v1 -o data/sample_24samples_step2_v1
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.given import Given
from threadweaver.runs.runner import read_task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.stages import parallel
from threadweaver.stages.choice import RECHECK_WEIGHT
from threadweaver.stages.extraction import FILTER_DIFF_THRESHOLD


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--trajectory", "-t", type=Path, required=True, help="folder of chains, or one <i>.txt")
    parser.add_argument("--annotations", "-a", type=Path, required=True, help="folder of annotations, or one file")
    parser.add_argument("--output-dir", "-o", type=Path, required=True, help="folder of the trajectories")
    parser.add_shared("--filter-diff-threshold", default=FILTER_DIFF_THRESHOLD)
    parser.add_shared("--no-merge-dependent")
    parser.add_shared("--recheck-weight", default=RECHECK_WEIGHT)
    parser.add_shared("--min-gain")
    parser.add_argument("--dry-run", action="store_true", help="print what would be marked, write nothing")
    parser.add_shared("--jobs")
    parser.add_obsolete("--encoding")
    parser.add_stage_flags()
    return parser


STAGE = STAGES["parallel"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls(STAGE.title)
    chains, notes = (Given.open(path, accept_edits=args.accept_edits) for path in (args.trajectory, args.annotations))
    annotator = notes.before.settings.get("annotator") if notes.before else None
    options = parallel.ParallelOptions(
        args.filter_diff_threshold,
        not args.no_merge_dependent,
        args.recheck_weight,
        parallel.min_gain_of(annotator, args.filter_diff_threshold) if args.min_gain is None else args.min_gain,
    )
    tasks, read = parallel.places(chains, notes)
    if args.dry_run:
        for task in (read_task(task, read) for task in tasks):
            print(f"{task.id}: {task.fault}" if task.fault else parallel.describe(task.payload, options))
        return 0
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.annotations, args.output_dir),
        "chains": os.path.relpath(args.trajectory, args.output_dir),
        **notes.part(),
        "filter_diff_threshold": options.threshold,
        "merge_dependent": options.merge_dependent,
        "recheck_weight": options.recheck_weight,
        "min_gain": options.min_gain,
    }

    for given in (chains, notes):
        given.report()
    foreign = chains.foreign or notes.foreign
    with StageFolder(
        args.output_dir, settings, overwrite=args.overwrite, accept_edits=args.accept_edits, foreign=foreign
    ) as folder:
        mark = partial(parallel.mark_task, options=options)
        report = run_stage(tasks, mark, folder, total=len(tasks), title=STAGE.title, read=read, jobs=args.jobs)
    print_summary(STAGE.title, report, args.output_dir)
    return exit_code(report, args.max_failed)


if __name__ == "__main__":
    run_command(main)
