"""Merge the shards of a run: folders and ledger as the run in one piece would have made them, byte for byte.

Reads   <folder>_shard<i>of<k> for each folder, the stages in order; <ledger>_shard<i>of<k>.sqlite, where shards have their own
Writes  <folder>, with files, account and statistics; <ledger>, with the replies of all shards and what they cost. What a
        merge that was stopped has done is kept
Calls   nothing
Exits   0; 1 too many failed, of all shards together; 2 something to fix, reported in one line: shards that are missing, too
Example python src/merge_shards.py --shards 8 data/sample_24samples data/sample_24samples_step1_v1
"""

from __future__ import annotations

from pathlib import Path

from threadweaver.client.settings import add_ledger_flag
from threadweaver.errors import UserError
from threadweaver.ledger import NANO, Ledger
from threadweaver.ledger.merging import merge as merge_ledger
from threadweaver.runs import merging, statistics
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import DEFAULT_MAX_FAILED, Flags, allowed_failures
from threadweaver.runs.merging import Parts
from threadweaver.runs.runner import StageReport
from threadweaver.runs.shards import Shard
from threadweaver.runs.stages import STAGES
from threadweaver.runs.summary import exit_code, print_summary


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="the folders to write, the stages of a run in order")
    parser.add_shared("--shards")
    add_ledger_flag(parser)
    parser.add_argument(
        "--shard-ledgers",
        metavar="FILE",
        help="the shards' own ledgers, {shard} standing for _shard<i>of<k> (before the end of --ledger, if they exist)",
    )
    parser.add_shared("--overwrite")
    parser.add_shared(
        "--max-failed", default=None, help="failed samples allowed per stage, as in the stages themselves"
    )
    parser.add_shared("--summary_name")
    parser.add_shared("--sidecar_dirname")
    return parser


def main(argv: list[str] | None) -> int:
    args = flags().parse_args(argv)
    ledgers = ledgers_of(args)
    found = [merging.find_parts(folder, args.shards) for folder in args.folders]  # before anything is written
    for parts in found:
        stage = STAGES[parts.stage]
        allowed = args.max_failed or ("0" if stage.name == "collect" else DEFAULT_MAX_FAILED)
        if stage.name == "collect":
            check_malformed(parts, allowed)
        report = merging.merge(parts, stage.title, overwrite=args.overwrite)
        print_summary(f"merge {stage.title}", report, parts.folder)
        if stage.name == "filter":
            measure(args, parts, report)
        if code := exit_code(report, allowed):
            return code
    merge_ledgers(args.ledger, ledgers)
    return 0


def check_malformed(parts: Parts, allowed: str) -> None:
    """Raise UserError for more malformed rows than are allowed, as stage 0 does for a run in one piece."""
    malformed = [entry for _, entry in parts.entries() if entry.outcome == "failed"]
    read = len({id.partition(".")[0] for id in parts.ids})
    if len(malformed) > allowed_failures(allowed, read):
        raise UserError(
            f"{malformed[0].facts.get('error')} ({len(malformed)} malformed of {read}): fix it and make its shard again, "
            f"or merge the rest with --max-failed {len(malformed)}"
        )


def measure(args, parts: Parts, report: StageReport) -> None:
    """Write the statistics of all shards, as stage 5 does."""
    summary = statistics.summarize(report.entries)
    sidecar = parts.folder / args.sidecar_dirname
    statistics.write(sidecar, args.summary_name, summary, report.entries, fresh=report.fresh > 0)
    print(statistics.table(summary))


def ledgers_of(args) -> list[Path]:
    """Return the ledgers of the shards, none if they share one; raises UserError if some are missing."""
    pattern = args.shard_ledgers or str(args.ledger.with_suffix("")) + "{shard}" + args.ledger.suffix
    paths = [Path(pattern.replace("{shard}", Shard(number, args.shards).suffix)) for number in range(args.shards)]
    missing = [path for path in paths if not path.is_file()]
    if len(missing) < len(paths) and missing:
        raise UserError(
            f"{len(missing)} of {len(paths)} ledgers of the shards are missing ({', '.join(map(str, missing[:3]))}): copy them "
            "here from where those shards were made"
        )
    return [] if missing else paths


def merge_ledgers(path: Path, others: list[Path]) -> None:
    if not others:
        return
    ledger = Ledger(path)
    try:
        for other in others:
            made = merge_ledger(ledger, other)
            more = f", up to ${made.uncertain / NANO:.4f} of calls whose end is not known" if made.uncertain else ""
            print(
                f"{path}: {made.new} replies of {other.name}, {made.known} known; ${made.spent / NANO:.4f} spent{more}"
            )
    finally:
        ledger.close()


if __name__ == "__main__":
    run_command(main)
