"""Plan what a run would call and cost, stage by stage, before anything is spent.

Reads   the source dataset, the ledger (if there is one)
Writes  nothing
Calls   nothing
Exits   0; 2 something to fix, reported in one line
Example python src/plan.py --dataset_path data/sample/chains.jsonl --max_samples 24
"""

from __future__ import annotations

from threadweaver.annotators import registry as annotators
from threadweaver.corpus.sources import open_source
from threadweaver.independence import CONFIDENT
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.summary import print_no_calls
from threadweaver.stages import collecting, planning
from threadweaver.stages.choice import RECHECK_WEIGHT
from threadweaver.stages.extraction import FILTER_DIFF_THRESHOLD
from threadweaver.stages.outlining import OutlineOptions
from threadweaver.stages.parallel import ParallelOptions, min_gain_of
from threadweaver.stages.rewriting import RewriteOptions


def flags() -> Flags:
    parser = Flags(__doc__)
    collecting.add_flags(parser)
    parser.add_shared("--filter-diff-threshold", default=FILTER_DIFF_THRESHOLD)
    parser.add_shared("--no-merge-dependent")
    parser.add_shared("--recheck-weight", default=RECHECK_WEIGHT)
    parser.add_shared("--min-gain")
    parser.add_shared("--max-leak", default=CONFIDENT)
    parser.add_shared("--ctx_lines")
    parser.add_shared("--jobs")
    annotators.add_plan_flags(parser)
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    asked = annotators.build_for_plan(args)
    if asked["steps"].client is None:
        return print_no_calls(f"the run ({args.annotator})")
    options = planning.PlanOptions(
        ParallelOptions(
            args.filter_diff_threshold,
            not args.no_merge_dependent,
            args.recheck_weight,
            min_gain_of(args.annotator, args.filter_diff_threshold) if args.min_gain is None else args.min_gain,
        ),
        RewriteOptions(args.max_leak),
        OutlineOptions(args.ctx_lines),
    )
    source = open_source(args.dataset_path, collecting.source_options(args))
    samples, left_out = collecting.collected(source, args.max_samples, collecting.collect_options(args), args.jobs)
    return planning.print_run_plan(samples, left_out, planning.RunPlan(asked, options))


if __name__ == "__main__":
    run_command(main)
