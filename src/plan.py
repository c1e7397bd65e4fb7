"""What a run would call and cost, stage by stage, before a cent is spent.

Reads   the source dataset, the ledger (if there is one)
Writes  nothing
Calls   nothing
Exits   0; 2 something to mend, said in one line
Example python src/plan.py --dataset_path data/sample/chains.jsonl --max_samples 24
"""

from __future__ import annotations

from pathlib import Path

from threadweaver.annotators import registry as annotators
from threadweaver.independence import CONFIDENT
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, positive_int
from threadweaver.runs.summary import print_no_calls
from threadweaver.stages import collecting, planning
from threadweaver.stages.extraction import FILTER_DIFF_THRESHOLD
from threadweaver.stages.outlining import OutlineOptions
from threadweaver.stages.parallel import ParallelOptions
from threadweaver.stages.rewriting import RewriteOptions


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--dataset_path", type=Path, required=True, help="the source dataset")
    parser.add_argument("--max_samples", type=positive_int, default=1000, help="rows to read, from the first on (1000)")
    parser.add_argument("--keep-wrong", action="store_true", help="chains marked wrong too")
    parser.add_argument("--filter-diff-threshold", type=int, default=FILTER_DIFF_THRESHOLD, help="as in step 2")
    parser.add_argument("--no-merge-dependent", action="store_true", help="as in step 2")
    parser.add_argument("--rewrite", choices=("all", "suspected"), default="all", help="as in step 3")
    parser.add_argument("--max-leak", type=float, default=CONFIDENT, metavar="SCORE", help="as in step 3")
    parser.add_argument("--ctx_lines", type=int, help="as in step 4")
    annotators.add_plan_flags(parser)
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    asked = annotators.build_for_plan(args)
    if asked["steps"].client is None:
        return print_no_calls(f"the run ({args.annotator})")
    options = planning.PlanOptions(
        ParallelOptions(args.filter_diff_threshold, not args.no_merge_dependent),
        RewriteOptions(args.rewrite == "suspected", args.max_leak),
        OutlineOptions(args.ctx_lines),
    )
    candidates = collecting.read_candidates(args.dataset_path, args.max_samples)
    samples = collecting.collected(candidates, keep_wrong=args.keep_wrong)
    return planning.print_run_plan(samples, planning.RunPlan(asked, options))


if __name__ == "__main__":
    run_command(main)
