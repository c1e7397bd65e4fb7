"""Self-training, first stage: adopt the trajectories of a fork-join run that have strict format and a right answer.

Reads   the outputs of `generate_trajectories.py --branching` (--dataset-json: the .json, a journal .jsonl, or the splits
        of a run) and their problems (--polaris-parquet)
Writes  <output>/<i>.txt (the trajectory), trace/<i>.json, collected.jsonl (the same as one sequence), and the account of
        every sample; evaluation.json: the figures of the whole run, as evaluate_trajectories.py gives them
Calls   nothing
Exits   0; 2 something to fix, reported in one line
Example python src/adopt_trajectories.py --dataset-json data/Qwen3-8B/polaris-data-53K_1.json --polaris-parquet data/polaris-data-53K.parquet --output_path data/round1_1000samples
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, load_tokenizer, short_name
from threadweaver.errors import UserError
from threadweaver.files import digest_file, to_pretty_json
from threadweaver.generation import evaluation, evaluation_report
from threadweaver.generation.outputs import Generated, Unread, read_outputs
from threadweaver.generation.problems import read_problems
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import print_no_calls, print_summary
from threadweaver.stages import adopting
from threadweaver.stages.collected import COLLECTED, Lines
from threadweaver.trajectory import markup

PUBLISHED_FORMAT = (0.564, 0.770)
"""Share of trajectories of strict format before and after the published round of self-training (arXiv 2512.07843)."""


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--dataset-json")
    parser.add_shared("--polaris-parquet")
    parser.add_shared("--output_path", required=True, help="the folder to write")
    parser.add_shared("--max_samples", help="problems to take samples of, from the first on (all)")
    parser.add_shared("--tokenizer", "--qwen-model", default=DEFAULT_TOKENIZER)
    parser.add_shared("--jobs")
    parser.add_stage_flags(max_failed="0")
    return parser


STAGE = STAGES["collect"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls("adopt")
    problems = read_problems(args.polaris_parquet)
    given = read_outputs(args.dataset_json, len(problems))
    tokenizer = load_tokenizer(args.tokenizer).with_tags(markup.TAGS)
    scored = tuple(evaluation.score(taken(given, args.max_samples), problems, tokenizer, args.jobs))
    figures = evaluation.figures(evaluation.Run("this round", scored))
    text = evaluation_report.table({"runs": {"this round": figures}})
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.dataset_json[0], args.output_path),
        "dataset": given.base,
        "outputs": [f"{path.name} {digest_file(path)}" for path in args.dataset_json],
        "problems": f"{args.polaris_parquet.name} {digest_file(args.polaris_parquet)}",
        "max_samples": args.max_samples,
        "tokenizer": short_name(args.tokenizer),
        "generated": True,
    }
    with (
        StageFolder(args.output_path, settings, overwrite=args.overwrite, accept_edits=args.accept_edits) as folder,
        Lines(args.output_path, args.accept_edits) as lines,
    ):
        found = adopting.candidates(taken(given, args.max_samples), scored, problems, given.base)
        tasks = lines.written(map(adopting.to_task, found), folder)

        def extra() -> dict[str, str | Path]:
            return {COLLECTED: lines.finish(), "evaluation.json": to_pretty_json(figures)}

        report = run_stage(tasks, adopting.adopt, folder, total=len(scored), title="adopt", extra=extra)
    print_summary("adopt", report, args.output_path)
    print(text, end="")
    before, after = PUBLISHED_FORMAT
    print(f"  the published round: strict format {before:.1%} before, {after:.1%} after")
    if not report.count("ok"):
        raise UserError("no trajectory has strict format, a block and a right answer: there is nothing to train on")
    return 0


def taken(given: Generated, most: int | None) -> Iterator[Unread]:
    """Return the samples of the first problems."""
    return (output for output in given.outputs if most is None or output.row < most)


if __name__ == "__main__":
    run_command(main)
