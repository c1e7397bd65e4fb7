"""Do shards that are killed give the run in one piece, and do all together keep to the cap? Runs the sample in 1, 2 and
8 shards against a failing server; in each run a random shard is killed (SIGKILL to all its processes) at a random moment.

    python tests/bench/shards.py --runs 3     # of each number of shards

In every other run each shard has a ledger of its own, and an equal part of the cap. The merged folders, account,
statistics, report and dataset are compared with a run in one piece that replays the merged ledger, and the dataset with
that of a clean run in one piece. Exits with 1 if one differs, or if more was billed than the cap allows.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import fake_answers
from bench.chaos import KEYS, MODEL, Chaos
from fake_openai import FakeOpenAI
from project import Project
from sharding import made, merge, remove

SHARDS = (1, 2, 8)
AT_ONCE = 4
CAP = 0.7  # USD at first, twice the worst case of a call: it is reached, and then raised by as much


class Sharded(Chaos):
    """A run in shards, one of which is killed."""

    def __init__(self, server: FakeOpenAI, count: int, scratch: Path):
        super().__init__(server, count, False, scratch)
        self.cap, self.over, self.kills, self.raised, self.calls = CAP, False, 0, 0, 0

    def settings(self, ledger: str) -> dict[str, str]:
        url, key = self.server.url, self.server.keys[0]
        own = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": key, "LEDGER": ledger}
        return own | {"ANNOTATOR": "llm", "MODEL": MODEL, "MAX_FAILED": "0", "REPEAT": "2"}

    def run_shard(self, project: Project, number: int, shards: int, ledger: str, kill_at: int | None) -> None:
        """Run a shard until it is done, killed once when all shards have so many replies; whoever reaches the cap
        raises it for all."""
        while True:
            cap = self.cap
            settings = self.settings(ledger) | {"SRC_NAME": "sample", "NUM_SAMPLES": str(self.count)}
            process = subprocess.Popen(
                ["bash", "run.sh", "--retry-failed", "--timeout", "10"],
                cwd=project.root,
                env=project.environment(**settings, MAX_COST=str(cap), SHARD=f"{number}/{shards}"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            if kill_at is not None and self.has_come_to(process, kill_at):
                os.killpg(process.pid, signal.SIGKILL)
                self.kills, kill_at = self.kills + 1, None
            errors = process.communicate()[1]
            self.over |= self.bill() > self.cap
            if process.returncode == 0:
                return
            if "--max-cost is reached" in errors and self.cap == cap:
                self.cap, self.raised = cap + CAP, self.raised + 1
            elif process.returncode == 2:
                raise SystemExit(errors)

    def has_come_to(self, process: subprocess.Popen[str], replies: int) -> bool:
        """Wait for a number of replies; return False if the run has ended before."""
        while process.poll() is None and self.server.counts["answered"] < replies:
            time.sleep(0.005)
        return process.poll() is None

    def trial_of(self, name: str, shards: int, seed: int, fault_rate: float) -> tuple[bool, str]:
        """Run in shards, merge, compare; return whether it is sound, and a line."""
        dice, project = random.Random(f"shards {seed}"), Project(self.scratch / name)
        ledger = "data/ledger{shard}.sqlite" if seed % 2 else "data/ledger.sqlite"
        self.reset(fault_rate, seed)
        self.cap, self.over, self.kills, self.raised = CAP * (shards if seed % 2 else 1), False, 0, 0
        victim, begun = dice.randrange(min(shards, AT_ONCE)), time.monotonic()
        moments = {victim: dice.randrange(1, self.calls * min(shards, AT_ONCE) // shards // 2)}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda n: self.run_shard(project, n, shards, ledger, moments.get(n)), range(shards)))
        merged = merge(project, shards, self.count, **self.settings(ledger))
        assert merged.returncode == 0, merged.stderr
        files, billed = made(project, self.count), self.bill()
        remove(project, self.count)
        whole = self.settings("data/ledger.sqlite") | {"OFFLINE": "1"}
        rebuilt = project.sample_run(count=self.count, **whole)
        assert rebuilt.returncode == 0, rebuilt.stderr
        same = made(project, self.count) == files
        dataset = {path: data for path, data in files.items() if path.startswith("dataset/")}
        self.clean = self.clean or dataset
        as_clean = dataset == self.clean
        line = (
            f"{shards} shards, {'a ledger each' if seed % 2 else 'one ledger'}: {time.monotonic() - begun:.0f} s, "
            f"{self.kills} killed (shard {victim}), {self.server.counts['answered']} answered, "
            f"${billed:.2f} billed of ${self.cap:g} (raised {self.raised} times), "
            f"{'same' if same else 'OTHER'} bytes as in one piece, {'same' if as_clean else 'OTHER'} dataset as a clean run"
        )
        return same and as_clean and not self.over, line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=16, help="sample chains")
    parser.add_argument("--runs", type=int, default=3, help="runs per number of shards")
    parser.add_argument("--fault-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sound = total = 0
    with tempfile.TemporaryDirectory() as scratch, FakeOpenAI(answer=fake_answers.answer, keys=KEYS[:1]) as server:
        chaos = Sharded(server, args.count, Path(scratch))
        project = Project(Path(scratch) / "clean")
        chaos.reset(0.0, args.seed)
        begun = time.monotonic()
        done = project.sample_run(count=args.count, **chaos.settings("data/ledger.sqlite"))
        assert done.returncode == 0, done.stderr
        chaos.calls, chaos.clean = server.counts["answered"], project.files("dataset")
        print(f"clean, in one piece: {time.monotonic() - begun:.0f} s, {chaos.calls} answered", flush=True)
        for shards in SHARDS:
            for number in range(1, args.runs + 1):
                seed = args.seed + number
                ok, line = chaos.trial_of(f"{shards}_{number}", shards, seed, args.fault_rate)
                sound, total = sound + ok, total + 1
                print(f"{'sound' if ok else 'NOT SOUND'}: {line}", flush=True)
    print(f"{sound} of {total} runs sound")
    return 0 if sound == total else 1


if __name__ == "__main__":
    raise SystemExit(main())
