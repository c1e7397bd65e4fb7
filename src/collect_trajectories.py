"""Stage 0: collect the first N chains of a dataset.

Reads   a dataset folder (parquet or arrow), a parquet file, or a .jsonl
Writes  <output>/collected.jsonl, <output>/<i>.txt (the chain), and the account of every row read
Calls   nothing
Exits   0; 1 too many failed; 2 something to fix, reported in one line
Example python src/collect_trajectories.py --dataset_path data/sample/chains.jsonl --output_path data/sample_24samples --max_samples 24
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from threadweaver.corpus.readers import dataset_name
from threadweaver.errors import UserError, setting
from threadweaver.files import read_text, to_json
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, allowed_failures
from threadweaver.runs.folder import AccountEntry, StageFolder
from threadweaver.runs.runner import Result, Task, run_stage
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.samples import read_collected
from threadweaver.stages import collecting
from threadweaver.stages.collected import COLLECTED
from threadweaver.stages.collecting import Candidate


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_shared("--dataset_path")
    parser.add_argument("--output_path", type=Path, required=True, help="the folder to write, or its collected.jsonl")
    parser.add_shared("--max_samples", default=1000)
    parser.add_shared("--keep-wrong")
    parser.add_stage_flags(max_failed="0")
    return parser


STAGE = STAGES["collect"]


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls(STAGE.title)
    output = args.output_path.parent if args.output_path.suffix == ".jsonl" else args.output_path
    candidates = collecting.read_candidates(args.dataset_path, args.max_samples)
    refuse_malformed(args.dataset_path, candidates, args.max_failed)
    repeats = collecting.repeated(candidates)
    settings = {
        "stage": STAGE.name,
        "input": os.path.relpath(args.dataset_path, output),
        "dataset": dataset_name(args.dataset_path),
        "max_samples": args.max_samples,
        "keep_wrong": args.keep_wrong,
    }

    def collect(task: Task) -> Result:
        return collecting.collect(task.payload, repeats, keep_wrong=args.keep_wrong)

    def collected(entries: Sequence[AccountEntry]) -> dict[str, str]:
        return {COLLECTED: collected_text(candidates, entries, output if args.accept_edits else None)}

    with StageFolder(output, settings, overwrite=args.overwrite, accept_edits=args.accept_edits) as folder:
        report = run_stage(
            map(collecting.to_task, candidates),
            collect,
            folder,
            total=len(candidates),
            title=STAGE.title,
            extra=collected,
        )
    print_summary(STAGE.title, report, output)
    return exit_code(report, args.max_failed)


def refuse_malformed(source: Path, candidates: Sequence[Candidate], max_failed: str) -> None:
    """Raise UserError for the first malformed row, before anything is written, if there are more than allowed."""
    if not candidates:
        raise UserError(f"{source} holds no rows: name another with {setting('--dataset_path', 'DATASET_PATH')}")
    faults = [candidate.fault for candidate in candidates if candidate.sample is None and not candidate.ambiguous]
    if len(faults) > allowed_failures(max_failed, len(candidates)):
        raise UserError(
            f"{faults[0]} ({len(faults)} malformed of {len(candidates)}): fix it, or collect the rest with "
            f"--max-failed {len(faults)}"
        )


def collected_text(candidates: Sequence[Candidate], entries: Sequence[AccountEntry], edited: Path | None) -> str:
    """Return `collected.jsonl`: the collected samples, in the order of the source. `edited` is the folder of one that
    stays as it is, where it holds the same samples."""
    kept = {entry.id for entry in entries if entry.outcome == "ok"}
    samples = [candidate.sample for candidate in candidates if str(candidate.row.index) in kept]
    if edited and (edited / COLLECTED).is_file():
        there = [sample.uuid for sample in read_collected(edited)]
        if there == [sample.uuid for sample in samples]:
            return read_text(edited / COLLECTED)
    return "".join(to_json(sample.to_row()) + "\n" for sample in samples)


if __name__ == "__main__":
    run_command(main)
