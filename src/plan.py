"""What a run would call and cost, stage by stage, before a cent is spent.

Reads   the source dataset, the ledger (if there is one)
Writes  nothing
Calls   nothing
Exits   0; 2 something to mend, said in one line
Example python src/plan.py --dataset_path data/sample/chains.jsonl --max_samples 24
"""

from __future__ import annotations

import argparse
from pathlib import Path

from threadweaver import independence
from threadweaver.annotators import llm
from threadweaver.annotators import registry as annotators
from threadweaver.annotators.llm import prompts
from threadweaver.annotators.protocol import LABELS
from threadweaver.client import add_client_flags
from threadweaver.corpus.readers import dataset_name, read_rows
from threadweaver.corpus.schemas import to_sample
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, positive_int
from threadweaver.runs.summary import print_no_calls
from threadweaver.samples import Sample
from threadweaver.stages import collecting, parallel, planning


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--dataset_path", type=Path, required=True, help="the source dataset")
    parser.add_argument("--max_samples", type=positive_int, default=1000, help="rows to read, from the first on (1000)")
    parser.add_argument("--keep-wrong", action="store_true", help="chains marked wrong too")
    for question, name in llm.PROMPTS.items():
        step = LABELS[question]
        parser.add_argument(
            f"--{step}-prompt", type=Path, default=prompts.FOLDER / name, metavar="FILE", help=f"prompt/{name}"
        )
        parser.add_argument(f"--{step}-effort", choices=llm.EFFORTS, default=llm.EFFORT[question], help="%(default)s")
    parser.add_argument(
        "--filter-diff-threshold", type=int, default=parallel.FILTER_DIFF_THRESHOLD, help="as in step 2"
    )
    parser.add_argument("--no-merge-dependent", action="store_true", help="as in step 2")
    parser.add_argument("--rewrite", choices=("all", "suspected"), default="all", help="as in step 3")
    parser.add_argument("--max-leak", type=float, default=independence.CONFIDENT, metavar="SCORE", help="as in step 3")
    parser.add_argument("--ctx_lines", type=int, help="as in step 4")
    parser.add_argument("--annotator", choices=annotators.NAMES, default=annotators.DEFAULT, help="who answers")
    parser.add_argument("--effort", choices=llm.EFFORTS, help="the same reasoning effort in all stages")
    parser.add_argument("--verbosity", choices=("low", "medium", "high"), help="length of replies (the model's own)")
    add_client_flags(parser)
    parser.set_defaults(output_limit=None)
    parser.add_common()
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.annotator == "rules":
        return print_no_calls("the run (rules)")
    options = planning.Options(
        args.filter_diff_threshold, not args.no_merge_dependent, args.rewrite, args.max_leak, args.ctx_lines
    )
    trio = planning.Trio(*(llm.build(of_question(args, question), question) for question in llm.PROMPTS), options)
    return planning.tell_run(read_samples(args), trio)


def of_question(args: argparse.Namespace, question: str) -> argparse.Namespace:
    """The flags as the command of that question would have them."""
    own, step = vars(args), LABELS[question]
    return argparse.Namespace(
        **{
            **own,
            "plan": True,
            "prompt": own[f"{step}_prompt"],
            "effort": args.effort or own[f"{step}_effort"],
            "output_limit": args.output_limit or llm.OUTPUT_LIMIT[question],
        }
    )


def read_samples(args: argparse.Namespace) -> list[Sample]:
    """The chains that would be collected; a row that holds none is passed over here."""
    dataset, samples = dataset_name(args.dataset_path), []
    for row in read_rows(args.dataset_path, args.max_samples):
        try:
            sample = to_sample(row, dataset)
        except ValueError:
            continue
        if not collecting.unfit(sample, keep_wrong=args.keep_wrong):
            samples.append(sample)
    return samples


if __name__ == "__main__":
    run_command(main)
