"""Stage 5: keep the trajectories that are well-formed and complete, and measure them.

Reads   stage 4: <input>/<i>.txt and trace/<i>.json; or a column of a dataset (--dataset); findings (--referee)
Writes  <output>/<i>.txt and trace/ (accepted), rejected/<i>.txt and .json (with the reason),
        <sidecar>/: the summary as JSON, a histogram of each measure, the highest and lowest trajectories
Calls   nothing
Exits   0; 1 too many failed; 2 something to fix, reported in one line
Example python src/filter-format-correct-and-obtain-stats.py --tokenizer data/sample/tokenizer --skip_conclusion_check --input data/sample_24samples_step4_v1_v1_v1 --output data/sample_24samples_step5_v1_v1_v1
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from threadweaver.corpus.tokenizer import DEFAULT_TOKENIZER, short_name
from threadweaver.errors import UserError
from threadweaver.independence import CONFIDENT
from threadweaver.runs import statistics
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, count
from threadweaver.runs.folder import StageFolder, is_complete
from threadweaver.runs.given import Given
from threadweaver.runs.runner import Read, Task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.stages import filtering, refereeing
from threadweaver.stages.inspection import Rules
from threadweaver.stages.traced import TracedReader, traced_names, traced_places
from threadweaver.trajectory.annotation import NOVELTIES


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--input", required=False)
    parser.add_shared("--glob")
    parser.add_shared("--dataset", help="instead of --input: a parquet, .jsonl or dataset folder")
    parser.add_shared("--split", help="split of --dataset (train, or the only one)")
    parser.add_shared(
        "--text_column",
        default="response_reasoning",
        help="column of --dataset with the trajectories (response_reasoning)",
    )
    parser.add_shared("--output", help="folder of the accepted trajectories")
    parser.add_shared("--tokenizer", default=DEFAULT_TOKENIZER)
    parser.add_argument("--no_require_think_end", action="store_true", help="accept a text whose <think> is not closed")
    parser.add_argument(
        "--skip_conclusion_check", action="store_true", help="do not require a conclusion in each block"
    )
    parser.add_argument(
        "--skip_outlines_check", action="store_true", help="do not require outlines: other dialects have none"
    )
    parser.add_argument("--keep-sequential", action="store_true", help="also accept trajectories without a block")
    parser.add_shared("--max-leak", default=CONFIDENT)
    parser.add_argument(
        "--drop",
        type=_novelties,
        default=(),
        metavar="NOVELTY,…",
        help="put blocks of these novelties back in sequence: re-check, restatement",
    )
    parser.add_argument(
        "--referee",
        type=Path,
        metavar="DIR",
        help="findings of referee.py: a block that they call dependent becomes sequential again",
    )
    parser.add_shared("--summary_name")
    parser.add_shared("--sidecar_dirname")
    parser.add_argument(
        "--strip_reasoning", action="store_true", help="shorten rejected texts to their first and last lines"
    )
    parser.add_argument(
        "--keep_first", type=count, default=20, help="lines that --strip_reasoning keeps at the beginning (20)"
    )
    parser.add_argument(
        "--keep_last", type=count, default=20, help="lines that --strip_reasoning keeps at the end (20)"
    )
    parser.add_obsolete("--workers", "--chunk-size", "--executor-type")
    parser.add_shared("--jobs")
    parser.add_stage_flags()
    return parser


def _novelties(text: str) -> tuple[str, ...]:
    """Read names of novelties, separated by commas, for argparse."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in NOVELTIES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(NOVELTIES)}")
    return names


STAGE = STAGES["filter"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls(STAGE.title)
    if (args.input is None) == (args.dataset is None):
        raise UserError("give either --input (a folder of trajectories) or --dataset")
    rules = Rules(
        conclusion_required=not args.skip_conclusion_check,
        keep_sequential=args.keep_sequential,
        think_end_required=not args.no_require_think_end,
        outlines_required=not args.skip_outlines_check,
        max_leak=args.max_leak,
    )
    shortened = (args.keep_first, args.keep_last) if args.strip_reasoning else None
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.input or args.dataset, args.output),
        "tokenizer": short_name(args.tokenizer),
        "text_column": args.text_column if args.dataset else None,
        "split": args.split if args.dataset else None,
        "stripped": shortened,
        **asdict(rules),
    }
    if args.drop:
        settings["drop"] = list(args.drop)
    if args.referee:
        settings["referee"] = os.path.relpath(args.referee, args.output)
    if rules.outlines_required:  # as it is for every run of ours: their settings do not name it
        del settings["outlines_required"]
    given = Given.open(args.input, accept_edits=args.accept_edits) if args.input else None
    names = traced_names(given, args.glob) if given else []
    if given:
        given.report()
        settings |= given.part()
    tasks, read = tasks_of(args, given, names)
    judge = filtering.Filter(rules, args.tokenizer, shortened, args.drop)
    if args.overwrite or not is_complete(args.output, settings):
        judge.load()
    foreign = given is None or given.foreign
    with StageFolder(
        args.output, settings, overwrite=args.overwrite, accept_edits=args.accept_edits, foreign=foreign
    ) as folder:
        report = run_stage(
            tasks,
            judge,
            folder,
            total=len(names),
            title=STAGE.title,
            read=read,
            jobs=args.jobs,
            partial=args.glob != "*.txt",
        )
        summary = statistics.summarize(report.entries)
        sidecar = args.output / args.sidecar_dirname
        fresh = report.fresh > 0
        statistics.write(sidecar, args.summary_name, summary, report.entries, fresh=fresh, jobs=args.jobs)
    print_summary(STAGE.title, report, args.output)
    print(statistics.table(summary))
    return exit_code(report, args.max_failed)


def tasks_of(args: argparse.Namespace, given: Given | None, names: list[str]) -> tuple[Iterable[Task], Read | None]:
    """Return the tasks, and what reads them, None if they are read."""
    if given is None:
        return filtering.column_tasks(args.dataset, args.text_column, args.split), None
    tasks, read = traced_places(given, names), TracedReader(given.files)
    if not args.referee:
        return tasks, read
    findings = Given.open(args.referee, accept_edits=args.accept_edits)
    return refereeing.refereed_places(tasks, findings), refereeing.RefereedReader(read, findings.files)


if __name__ == "__main__":
    run_command(main)
