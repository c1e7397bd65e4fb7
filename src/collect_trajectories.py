"""Stage 0: collect the chains of the first N rows of a dataset, from whatever columns and conventions it has.

Reads   a dataset: a file (.jsonl, .json, .parquet, .arrow, .csv, .tsv, also packed), a folder of these, a folder of .txt
        with --problems, or a name on the hub (owner/name:subset/split)
Writes  <output>/collected.jsonl, <output>/<i>.txt (the chain), and the account of every row read; with --inspect nothing
Calls   nothing
Exits   0; 1 too many failed; 2 something to fix, reported in one line
Example python src/collect_trajectories.py --dataset_path data/sample/chains.jsonl --output_path data/sample_24samples --max_samples 24
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from threadweaver.corpus import describing
from threadweaver.corpus.sources import Source, open_source
from threadweaver.errors import UserError
from threadweaver.files import digest_file
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.records import own_account
from threadweaver.runs.runner import StageReport, run_stage
from threadweaver.runs.shards import SETTING
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.stages import collecting
from threadweaver.stages.collected import COLLECTED, SOURCE, Lines, RowsRead
from threadweaver.stages.collecting import Candidate


def flags() -> Flags:
    parser = Flags(__doc__)
    collecting.add_flags(parser)
    parser.add_shared("--output_path", help="the folder to write, or its collected.jsonl")
    parser.add_shared("--jobs")
    parser.add_argument("--inspect", action="store_true", help="show what the columns are recognized as, and stop")
    parser.add_stage_flags(max_failed="0")
    return parser


STAGE = STAGES["collect"]


def main(argv: list[str] | None) -> int:
    parser = flags()
    args = parser.parse_args(argv)
    if args.plan:
        return print_no_calls(STAGE.title)
    if args.output_path is None and not args.inspect:
        parser.error("--output_path is required")
    source = open_source(args.dataset_path, collecting.source_options(args))
    print("\n".join(describing.table(source)), flush=True)
    if args.inspect:
        return 0
    output = args.output_path.parent if args.output_path.suffix == ".jsonl" else args.output_path
    report = collect(source, args, output)
    print_summary(STAGE.title, report, output)
    print_disagreements(report)
    return exit_code(report, args.max_failed)


def collect(source: Source, args, output: Path) -> StageReport:
    """Collect the chains of a source; nothing is left of an attempt that ends with an error."""
    options = collecting.collect_options(args)
    every = RowsRead()
    found = collecting.candidates(source, args.max_samples, options, earlier_grades(output, args), every, args.jobs)
    first = next(found, None)  # the first batch is read and graded before anything is written
    made_with = settings(source, args, output)
    new, held = not output.exists(), False
    try:
        with (
            StageFolder(output, made_with, overwrite=args.overwrite, accept_edits=args.accept_edits) as folder,
            Lines(output, args.accept_edits) as lines,
        ):
            held = True
            tasks = lines.written(map(collecting.to_task, chain([first] if first else [], found)), folder)

            def extra() -> dict[str, str | Path]:
                return {COLLECTED: lines.finish(), **({SOURCE: every.to_json()} if args.shard else {})}

            return run_stage(tasks, collecting.collect, folder, total=None, title=STAGE.title, extra=extra)
    except UserError:
        if new and held:  # not that of a run that was there a moment earlier
            shutil.rmtree(output, ignore_errors=True)
        raise


def settings(source: Source, args, output: Path) -> dict:
    """Return what determines the output; a flag that is not given is not named."""
    path = args.dataset_path
    given = {
        "traces": args.traces if args.traces != "first" else None,
        "map": args.map or None,
        "split": args.split,
        "subset": args.subset,
        "problems": os.path.relpath(args.problems, output) if args.problems else None,
        "grade": False if args.no_grade else None,
        "benchmark": [f"{path.name} {digest_file(path)}" for path in args.benchmark if path.is_file()] or None,
        "dedupe": args.dedupe or None,
        "instruction_left_out": source.reading.instruction or None,
    }
    return {
        "stage": STAGE.name,
        "input": os.path.relpath(path, output) if path.exists() else str(path),
        "dataset": source.name,
        "max_samples": args.max_samples,
        **({SETTING: str(args.shard)} if args.shard else {}),
        "keep_wrong": args.keep_wrong,
        **{name: value for name, value in given.items() if value is not None},
    }


def earlier_grades(output: Path, args) -> Callable[[Candidate], str | None]:
    """Return the grades that an earlier run has given, so that a run that continues grades only what is new."""
    if args.overwrite or args.traces != "first":
        return lambda _: None
    grades = {entry.id: (entry.source, entry.facts.get("graded")) for entry in own_account(output)}

    def known(candidate: Candidate) -> str | None:
        source, graded = grades.get(candidate.id, ("", None))
        return graded if source == candidate.source else None

    return known


def print_disagreements(report: StageReport) -> None:
    """Report the chains that were kept because their source marks them right, although their answers differ."""
    differing = [entry.id for entry in report.entries if entry.facts.get("disagreement")]
    if differing:
        shown = ", ".join(differing[:8]) + (", …" if len(differing) > 8 else "")
        print(f"  {len(differing)} marked right but graded wrong, kept ({shown})", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
