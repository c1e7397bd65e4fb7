"""Scale out: one run as many shards, launched by an engine that exists, and merged when all are done.

Reads   the variables of run.sh from the environment; after `--`, its flags
Writes  what run.sh writes, and <logs>: one log per rank, the engine's own, which ranks are done
Calls   run.sh once for a plan of the whole, once per shard (SHARD=rank/k) and once to merge them (MERGE=k)
Exits   0; 1 ranks failed: the same command does only these; 2 something to fix, reported in one line; 130 stopped
Example SRC_NAME=sample ANNOTATOR=rules NUM_SAMPLES=24 python src/scale_out.py --shards 3 --engine local --at-once 2
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest, to_json, write_atomic
from threadweaver.runs.command import run_command, shown_path
from threadweaver.runs.flags import Flags, positive_int
from threadweaver.runs.ranks import ROOT, RunMerge, RunShard, given_settings, last_line, start
from threadweaver.runs.records import MANIFEST_FILE
from threadweaver.runs.shards import Shard

ENGINES = ("local", "slurm", "ray")


def flags() -> Flags:
    parser = Flags(__doc__)
    add = parser.add_argument
    parser.add_shared("--shards", help="how many shards; each is one rank")
    add("--engine", choices=ENGINES, required=True, help="what launches the ranks")
    add("--at-once", type=positive_int, metavar="N", help="ranks at a time (local: one per core; else all)")
    add("--cpus", type=positive_int, default=1, metavar="N", help="cores per rank, of slurm and ray (%(default)s)")
    add("--memory", type=positive_int, default=2, metavar="GB", help="memory per core, of slurm and ray (%(default)s)")
    add("--time", default="24:00:00", help="time limit of a rank, of slurm (%(default)s)")
    add("--partition", default="", help="partition, of slurm")
    add("--sbatch", action="append", default=[], metavar="NAME=VALUE", help="further options of sbatch; repeatable")
    add("--address", metavar="HOST:PORT", help="the cluster, of ray (the one of RAY_ADDRESS, or this machine)")
    add("--logs", type=Path, metavar="DIR", help="folder of the logs (data/<NAME>_<N>samples_ranks_of<k>)")
    add("--no-plan", action="store_true", help="launch without a plan of the whole before (PLAN=1: the plan alone)")
    return parser


def main(argv: list[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    end = argv.index("--") if "--" in argv else len(argv)
    args, words = flags().parse_args(argv[:end]), tuple(argv[end + 1 :])
    settings = settings_for(args)
    name, last = names_of(settings)
    if not args.no_plan and (code := start(ROOT, words, {**settings, "PLAN": "1"}, None)):
        return code
    if os.environ.get("PLAN", "0") not in ("", "0"):
        return 0
    logs = (args.logs or ROOT / "data" / f"{name}_ranks_of{args.shards}").absolute()
    forget_undone(logs, ROOT / last, args.shards, digest(to_json([settings, words])))
    if cap := settings.get("MAX_COST"):
        apart = "{shard}" in settings.get("LEDGER", "")
        how = f"an equal part of it, {cap}/{args.shards}, for each shard's ledger" if apart else "one for all shards"
        print(f"the cap of {cap} USD is {how}", flush=True)
    ranks = RunShard(words, logs / "ranks", settings, ROOT)
    merge = RunMerge(args.shards, words, logs / "ranks", settings, ROOT)
    return launch(args, ranks, merge, logs)


def settings_for(args: argparse.Namespace) -> dict[str, str]:
    """Return the variables of run.sh for every rank. Where ranks may be on several machines, each has a ledger, and an
    equal part of the cap, unless LEDGER says otherwise; several on one machine share its cores."""
    settings = given_settings()
    if args.engine != "local":
        return {"LEDGER": "data/ledger{shard}.sqlite", "JOBS": str(args.cpus)} | settings
    args.at_once = args.at_once or min(args.shards, os.cpu_count() or 1)
    return {"JOBS": str(max(1, (os.cpu_count() or 1) // args.at_once))} | settings


def names_of(settings: dict[str, str]) -> tuple[str, str]:
    """Return the name of the run and the folder of its last stage before saving, as env.sh makes them."""
    script = 'source src/env.sh && printf "%s\\n" "$BASE_NAME" "$STEP5"'
    environment = {**os.environ, "SHARD": "", "MERGE": "", "PYTHON": sys.executable, **settings}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise UserError(done.stderr.strip() or "src/env.sh cannot be read")
    name, last = done.stdout.splitlines()[-2:]
    return name, last


def forget_undone(logs: Path, last: Path, shards: int, made_with: str) -> None:
    """Let ranks run again whose folders are gone, and all of them with other settings or flags (`made_with`, a hash):
    what a shard has done it does not do again."""
    (logs / "completions").mkdir(parents=True, exist_ok=True)
    kept = logs / "made_with"
    same = kept.is_file() and kept.read_text() == made_with
    for rank in range(shards):
        ended = last.with_name(last.name + Shard(rank, shards).suffix) / MANIFEST_FILE
        if not (same and ended.is_file()):
            (logs / "completions" / f"{rank:05d}").unlink(missing_ok=True)
    write_atomic(kept, made_with)


def report_undone(ranks: Sequence[int], logs: Path) -> int:
    for rank in ranks[:5]:
        log = logs / f"{rank:05d}.log"
        print(f"shard {rank} is not done: {last_line(log)} ({shown_path(log)})", file=sys.stderr)
    more = f" (and {len(ranks) - 5} more)" if len(ranks) > 5 else ""
    print(f"{len(ranks)} shards are not done{more}: the same command does only these, and merges then", file=sys.stderr)
    return 1


def launch(args: argparse.Namespace, ranks: RunShard, merge: RunMerge, logs: Path) -> int:
    """Launch the ranks; return the exit code, once they are merged or, of slurm, submitted."""
    try:
        from threadweaver.runs import engines
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: pip install -r requirements-scale.txt") from None
    cluster = engines.Cluster(args.cpus, args.memory, args.at_once, args.time, args.partition, tuple(args.sbatch))
    if args.engine == "slurm":
        array, last = engines.slurm(ranks, merge, cluster, logs)
        print(
            f"submitted: {f'array {array}' if array else 'no rank, all are done'}; merge {last}: squeue shows them, "
            f"and {shown_path(ranks.logs)} what they print"
        )
        return 0
    if args.engine == "local":
        executor = engines.local(ranks, args.shards, args.at_once, logs)
    else:
        executor = engines.ray(ranks, args.shards, cluster, logs, args.address)
    executor.run()
    if undone := engines.undone(executor):
        return report_undone(undone, ranks.logs)
    print(f"{args.shards} shards are done; {shown_path(ranks.logs)} holds what they printed", flush=True)
    return start(ROOT, merge.flags, {**merge.settings, "MERGE": str(args.shards)}, None)


if __name__ == "__main__":
    run_command(main)
