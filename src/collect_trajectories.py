"""Stage 0: collect the first N chains of a dataset.

Reads   a dataset folder (parquet or arrow), a parquet file, or a .jsonl
Writes  <output>/collected.jsonl, <output>/<i>.txt (the chain), and the account of every row read
Calls   nothing
Exits   0; 1 too many failed; 2 something to mend, said in one line
Example python src/collect_trajectories.py --dataset_path data/sample/chains.jsonl --output_path data/sample_24samples --max_samples 24
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threadweaver.corpus.readers import SourceRow, dataset_name, read_rows
from threadweaver.corpus.schemas import to_sample
from threadweaver.errors import UserError
from threadweaver.files import digest, read_text, to_json, write_atomic
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags, allowed_failures, positive_int
from threadweaver.runs.folder import StageFolder
from threadweaver.runs.runner import Result, StageReport, Task, run_stage
from threadweaver.runs.summary import exit_code, print_no_calls, print_summary
from threadweaver.samples import Sample
from threadweaver.stages import collecting


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("--dataset_path", type=Path, required=True, help="the source dataset")
    parser.add_argument("--output_path", type=Path, required=True, help="the folder to write, or its collected.jsonl")
    parser.add_argument("--max_samples", type=positive_int, default=1000, help="rows to read, from the first on (1000)")
    parser.add_argument("--keep-wrong", action="store_true", help="collect chains marked wrong too")
    parser.add_common(max_failed="0")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    if args.plan:
        return print_no_calls("collect")
    output = args.output_path.parent if args.output_path.suffix == ".jsonl" else args.output_path
    dataset = dataset_name(args.dataset_path)
    candidates = [read(row, dataset) for row in read_rows(args.dataset_path, args.max_samples)]
    refuse_malformed(args.dataset_path, candidates, args.max_failed)
    repeats = set(repeated(candidates))
    settings = {
        "stage": "collect",
        "input": os.path.relpath(args.dataset_path, output),
        "dataset": dataset,
        "max_samples": args.max_samples,
        "keep_wrong": args.keep_wrong,
    }

    def work(task: Task) -> Result:
        candidate: Candidate = task.payload
        sample = candidate.sample
        if sample is None:
            return Result("failed", "malformed", facts={"error": candidate.fault})
        if reason := collecting.unfit(sample, keep_wrong=args.keep_wrong):
            return Result("rejected", reason)
        if sample.index in repeats:
            return Result("rejected", "repeated_uuid")
        facts = {"chars": len(sample.thinking), "lines": sample.thinking.count("\n") + 1}
        return Result("ok", files={f"{sample.index}.txt": sample.thinking + "\n"}, facts=facts)

    with StageFolder(output, settings, overwrite=args.overwrite) as folder:
        report = run_stage(map(to_task, candidates), work, folder, total=len(candidates), title="collect")
        write_collected(candidates, report, output)
    print_summary("collect", report, output)
    return exit_code(report, args.max_failed)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that was read, and the sample it holds, or what is wrong with it."""

    row: SourceRow
    sample: Sample | None
    fault: str = ""


def read(row: SourceRow, dataset: str) -> Candidate:
    try:
        return Candidate(row, to_sample(row, dataset))
    except ValueError as error:
        return Candidate(row, None, f"{row.place}: {error}")


def refuse_malformed(source: Path, candidates: list[Candidate], max_failed: str) -> None:
    """Say the first malformed row before anything is written, when there are more than allowed."""
    if not candidates:
        raise UserError(f"{source} holds no rows: name another with --dataset_path (DATASET_PATH)")
    faults = [candidate.fault for candidate in candidates if candidate.sample is None]
    if len(faults) > allowed_failures(max_failed, len(candidates)):
        raise UserError(
            f"{faults[0]} ({len(faults)} malformed of {len(candidates)}): mend it, or collect the rest with "
            f"--max-failed {len(faults)}"
        )


def repeated(candidates: list[Candidate]) -> Iterator[int]:
    """Rows whose uuid, as the source gives it, stood in an earlier row."""
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.sample and (given := (candidate.row.fields or {}).get("uuid")) is not None:
            if str(given) in seen:
                yield candidate.sample.index
            seen.add(str(given))


def to_task(candidate: Candidate) -> Task:
    source = digest(json.dumps(candidate.row.fields, sort_keys=True, default=str))
    return Task(str(candidate.row.index), source, candidate, candidate.sample.uuid if candidate.sample else "")


def write_collected(candidates: list[Candidate], report: StageReport, output: Path) -> None:
    """`collected.jsonl`: the samples collected, in the order of the source."""
    kept = {entry.id for entry in report.entries if entry.outcome == "ok"}
    samples = (candidate.sample for candidate in candidates if str(candidate.row.index) in kept)
    text = "".join(to_json(sample.to_row()) + "\n" for sample in samples)
    path = output / "collected.jsonl"
    if not path.is_file() or read_text(path) != text:
        write_atomic(path, text)


if __name__ == "__main__":
    run_command(main)
