"""Save the accepted trajectories as a Hugging Face dataset, and report what became of every sample of the run.

Reads   collected.jsonl (--input), the accepted trajectories (--trajectory-glob) with their traces
Writes  <output>/sample_<k>/train.parquet, <output>/sample_<k>_<R>x/train.parquet, with --val-size also
        <output>/val_<m>/val.parquet; with --units <output>/units_<u>/train.parquet (for rows held out, val_units_<v>/val.parquet):
        the training rows as pairs <context, continuation>, one per request of fork-join generation;
        a card (README.md) in each, and one of the whole, which names the configurations; next to the collected folder <…>_report.html and .json
Calls   nothing
Exits   0; 2 something to fix, reported in one line
Example python src/save_dataset.py --tokenizer data/sample/tokenizer --input data/sample_24samples/collected.jsonl --trajectory-glob 'data/sample_24samples_step5_v1_v1_v1/*.txt' --output dataset/sample_24samples_v111
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from threadweaver.corpus import chat
from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER
from threadweaver.errors import UserError
from threadweaver.files import digest, to_json
from threadweaver.runs import account, statistics
from threadweaver.runs import report as report_page
from threadweaver.runs.account import Account
from threadweaver.runs.command import run_command, shown_command, shown_path
from threadweaver.runs.flags import Flags, count, line, positive_int
from threadweaver.runs.folder import StageFolder, is_complete
from threadweaver.runs.given import Given
from threadweaver.runs.runner import StageReport, Task, read_task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.stages.collected import Rows
from threadweaver.stages.dataset import Dataset, is_whole
from threadweaver.stages.saving import (
    FROM_OTHERS,
    MAX_TOKENS,
    Accepted,
    RowMaker,
    SaveOptions,
    SaveReader,
    read_review,
    save_places,
)
from threadweaver.trajectory.measures import MAX_BLOCKS


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input", help="collected.jsonl or its folder")
    parser.add_argument(
        "--trajectory-glob", required=True, help="the accepted trajectories, e.g. 'data/…_step5_…/*.txt'"
    )
    parser.add_shared("--output", help="the dataset's folder")
    parser.add_shared("--tokenizer", "--qwen-model", default=DEFAULT_TOKENIZER)
    parser.add_argument("--trajectory-strict", action="store_true", help="stop if a collected sample has no trajectory")
    parser.add_argument("--trajectory-matched-only", action="store_true", help="leave out samples without a trajectory")
    parser.add_argument(
        "--build-chat", action="store_true", default=True, help="add the chat columns (always on; --no-build-chat)"
    )
    parser.add_argument("--no-build-chat", dest="build_chat", action="store_false", help="leave the chat columns out")
    parser.add_shared("--template", choices=("qwen", "deepseek"), help="deepseek adds its columns (%(default)s)")
    parser.add_shared("--instruction", default=chat.INSTRUCTION)
    parser.add_shared("--max-tokens", default=MAX_TOKENS)
    parser.add_shared("--sample-size", help="number of rows to save, drawn at random (all)")
    parser.add_argument(
        "--val-size", type=count, default=0, help="number of rows held out; no problem is on both sides (0)"
    )
    parser.add_argument(
        "--repeat", type=positive_int, default=8, help="also save the rows repeated this many times (8)"
    )
    parser.add_shared("--seed", help="seed of --sample-size and --val-size (%(default)s)")
    parser.add_argument(
        "--units",
        action="store_true",
        help="also save the rows as pairs <context, continuation>: columns uuid, unit, kind (outlines, thread or end), block, thread, "
        "context, continuation, num_context_tokens, num_continuation_tokens (each tag one token)",
    )
    parser.add_argument(
        "--no-sanitize", action="store_true", help="keep rows whose text contains a special token of the tokenizer"
    )
    parser.add_shared("--review", help="the viewer's review.jsonl: rows rejected there are left out")
    parser.add_argument(
        "--mix", type=Path, nargs="+", default=[], metavar="DIR", help="saved datasets whose rows are added to these"
    )
    parser.add_argument("--license", type=line, help="licence of the data, for the card (e.g. apache-2.0)")
    parser.add_argument("--source", help="where the chains come from, for the card (the dataset's name)")
    parser.add_shared("--jobs")
    parser.add_stage_flags()
    return parser


STAGE = STAGES["save"]
MAX_REPEAT = 1000


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls(STAGE.title)
    options = options_of(args)
    given = Given.open(args.input, accept_edits=args.accept_edits)
    rows, accepted = Rows(given), Accepted(args.trajectory_glob, accept_edits=args.accept_edits)
    tasks, read = save_places(options, rows, accepted)
    if args.trajectory_strict and (missing := [id for id in rows.ids if id not in accepted]):
        raise UserError(
            f"{len(missing)} collected samples have no trajectory (first: {missing[0]}); --trajectory-strict"
        )
    review = read_review(args.review) if args.review else {}
    folder = Path(args.trajectory_glob).parent
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(folder, args.output),
        "review": digest(to_json(review)) if review else None,
        **given.part(),
        **options.settings(),
    }
    collected = args.input.parent if args.input.is_file() else args.input
    load = partial(RowMaker.load, options, folder.name, review)
    complete = not args.overwrite and is_complete(args.output, settings)
    make = None if complete else load()  # before anything is written
    given.report()
    with StageFolder(
        args.output, settings, overwrite=args.overwrite, refusing=FROM_OTHERS, accept_edits=args.accept_edits
    ) as output:
        if complete and is_whole(args.output) and all_done(tasks, read, output):
            report = StageReport(output.done.values(), 0, 0.0)
        else:
            report = save(tasks, read, make or load(), output, collected, args.jobs)
    print_summary(STAGE.title, report, args.output)
    run = account.read(args.output)
    page = report_page.write(run, collected.with_name(f"{collected.name}_report"))
    print_account(run, report)
    print_next(args.output, run, page)
    return exit_code(report, args.max_failed)


def save(
    tasks: Sequence[Task], read: SaveReader, make: RowMaker, output: StageFolder, collected: Path, jobs: int
) -> StageReport:
    """Make all rows in one pass, and write the files."""
    output.do_again()
    with Dataset(output.path, make.options, make.tokenizer, collected, jobs) as dataset:
        report = run_stage(
            tasks, make, output, total=len(tasks), title=STAGE.title, read=read, jobs=jobs, take=dataset.take
        )
        run = account.read(output.path)
        account.check(run)
        dataset.write(report, run)
        for name, count in dataset.mixed.items():
            print(f"  {count} rows of {name} added (--mix)")
    return report


def all_done(tasks: Sequence[Task], read: SaveReader, output: StageFolder) -> bool:
    """Whether the rows follow from the same samples as before."""
    known = (read_task(task, read) for task in tasks)
    return len(tasks) == len(output.done) and all(
        not task.fault and output.finished(task.id, task.source) for task in known
    )


def options_of(args: argparse.Namespace) -> SaveOptions:
    if args.units and not args.build_chat:
        raise UserError("--units are made of the chat columns: leave --no-build-chat out")
    if args.repeat > MAX_REPEAT:
        raise UserError(f"--repeat {args.repeat}: rows are repeated at most {MAX_REPEAT} times")
    given = vars(args) | {"sanitize": not args.no_sanitize, "matched_only": args.trajectory_matched_only}
    return SaveOptions(**{name: given[name] for name in SaveOptions.__dataclass_fields__})


def print_account(run: Account, report: StageReport) -> None:
    """Print the funnel, and the measures next to the published ones."""
    print("\nWhat became of every sample\n" + account.describe(run, colour=sys.stdout.isatty()))
    if filtered := run.stage("filter"):
        saved = {entry.id for entry in report.entries if entry.outcome == "ok"}
        summary = statistics.summarize([entry for entry in filtered.entries if entry.id in saved])
        print("\nThe saved rows compared with the published run\n" + statistics.comparison(summary))
        if over := summary["over_15_blocks"]:
            print(f"  {over} rows have more than {MAX_BLOCKS} blocks: rollouts would be cut there")


def print_next(output: Path, run: Account, page: Path) -> None:
    """Print the next commands."""
    shown = next(iter(sorted(output.glob("sample_*/train.parquet"))), None)
    if shown:
        print(f'\nLoad it:  datasets.load_dataset("parquet", data_files="{shown_path(shown)}")')
    for pairs in sorted(output.glob("units_*/train.parquet")):
        print(f"The same as pairs <context, continuation>:  {shown_path(pairs)}")
    filtered = run.stage("filter")
    viewed = filtered.folder if filtered else output
    print(f"Look at it:  {shown_command('src/visualize_trajectories.py', '--root', viewed, '--port', '8899')}")
    print(f"The account as a page:  {shown_path(page)}")


if __name__ == "__main__":
    run_command(main)
