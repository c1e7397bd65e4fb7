"""The engines that launch ranks: datatrove's executors for local processes, Slurm and Ray.

Importing this needs requirements-scale.txt. An executor keeps in its folder which ranks are done, and runs only others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor
from datatrove.utils.stats import PipelineStats

from threadweaver.runs.ranks import ROOT, TRIES, RankFailed, RunMerge, RunShard


@dataclass(frozen=True)
class Cluster:
    """What a rank gets on a cluster, and how many run at a time (None: all)."""

    cpus: int
    memory: int
    """GB per core."""
    at_once: int | None = None
    time: str = "24:00:00"
    partition: str = ""
    sbatch: tuple[str, ...] = ()
    """Further options of sbatch, NAME=VALUE."""


class Local(LocalPipelineExecutor):
    """Processes on this machine. When one rank has failed, the others continue."""

    def _launch_run_for_rank(self, rank, *rest, **named) -> PipelineStats:
        try:
            return super()._launch_run_for_rank(rank, *rest, **named)
        except RankFailed:
            return PipelineStats()


class Slurm(SlurmPipelineExecutor):
    """An array of Slurm. An option without a value is left to the cluster."""

    def get_sbatch_args(self, max_array: int = 1) -> dict:
        return {name: value for name, value in super().get_sbatch_args(max_array).items() if value or name == "requeue"}


def local(ranks: RunShard, count: int, at_once: int, logs: Path) -> PipelineExecutor:
    return Local([ranks], tasks=count, workers=at_once, logging_dir=str(logs))


def ray(ranks: RunShard, count: int, cluster: Cluster, logs: Path, address: str | None) -> PipelineExecutor:
    """Return an executor on a Ray cluster, or on a Ray of this machine, which is started."""
    import ray

    here = not (address or os.environ.get("RAY_ADDRESS"))
    own = {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if here else {}
    # not the key: Ray keeps the variables of a job where others can read them
    variables = {"PYTHONPATH": str(ROOT / "src")}
    ray.init(address=address, runtime_env={"env_vars": variables}, log_to_driver=False, **own)
    return RayPipelineExecutor(
        [ranks],
        tasks=count,
        workers=cluster.at_once or -1,
        logging_dir=str(logs),
        cpus_per_task=cluster.cpus,
        mem_per_cpu_gb=cluster.memory,
    )


def slurm(ranks: RunShard, merge: RunMerge, cluster: Cluster, logs: Path) -> tuple[str, str]:
    """Submit the ranks as an array and, depending on all of them, the merge; return the ids of both jobs, "" for ranks
    that are all done."""
    name = logs.name
    options = {
        "time": cluster.time,
        "partition": cluster.partition,
        "cpus_per_task": cluster.cpus,
        "mem_per_cpu_gb": cluster.memory,
        "qos": "",
        "sbatch_args": dict(option.partition("=")[::2] for option in cluster.sbatch),
        "env_command": _prepared(ROOT),
        "with_srun": False,
    }
    shards = Slurm(
        [ranks], merge.shards, workers=cluster.at_once or -1, job_name=name, logging_dir=str(logs), **options
    )
    last = Slurm(
        [merge],
        1,
        job_name=f"{name}_merge",
        logging_dir=str(logs / "merge"),
        depends=shards,
        skip_completed=False,
        **options,
    )
    last.run()
    return "" if shards.job_id == -1 else shards.job_id, last.job_id


def _prepared(root: Path) -> str:
    """Return the shell's words before a rank begins: where Python and our code are, and that a rank whose process is
    killed, as the kernel does when memory is short, is queued again."""
    killed = '[ "$code" -gt 128 ] && [ "$code" != 130 ] && [ "$code" != 143 ]'
    again = f'if {killed} && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {TRIES} ]; then scontrol requeue "$SLURM_JOB_ID"; fi'
    paths = f"export PATH='{Path(sys.executable).parent}':\"$PATH\" PYTHONPATH='{root / 'src'}'"
    return f"{paths}; cd '{root}'; trap 'code=$?; {again}' EXIT"


def undone(executor: PipelineExecutor) -> Sequence[int]:
    """Return the ranks that are not done."""
    return executor.get_incomplete_ranks(skip_completed=True)
