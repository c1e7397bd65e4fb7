"""Does a run survive everything, and is nothing paid twice? Runs the sample against a failing server, with many
kills.

    python tests/bench/chaos.py --runs 20            # ordinary calls
    python tests/bench/chaos.py --batch --kills 10   # the Batch API: one batch expires, half of one fails, the key changes

First a clean run; then runs in which a share of the calls fails, each killed (SIGKILL to all its processes) at
random moments and restarted until it is done. For each: is the dataset byte for byte that of the clean run; was a
request answered twice although it was not under way at a kill; did the bill exceed --max-cost? Exits with 1 if a
run fails one of these.
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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import fake_answers
from fake_answers import REPAIR_OPENING
from fake_faults import TRANSPORT
from fake_openai import FakeOpenAI
from project import Project
from threadweaver.client import Usage
from threadweaver.client.prices import price_of
from threadweaver.files import digest

MODES = (*TRANSPORT, "slow", "truncated", "empty", "refused", "code_fence", "extra_prose")
"""All faults that a client must survive; replies with wrong content are another matter."""
CAP = 10.0  # USD at first, and the amount by which it is raised when it is reached
LOST_SECONDS = 2.0  # a reply sent within this time before a kill may not be stored: 0.8 s were seen on a busy machine
MODEL = "gpt-5"
KEYS = ("sk-chaos-first-0123456789", "sk-chaos-second-0123456789")


def is_repair(messages: Sequence[Mapping[str, str]]) -> bool:
    """Whether a conversation is a repair turn: a reply damaged twice changes the data, which damage.py measures."""
    return messages[-1]["content"].startswith(REPAIR_OPENING)


@dataclass
class Trial:
    """What became of one run."""

    seconds: float = 0.0
    starts: int = 0
    kills: int = 0
    raised: int = 0
    calls: int = 0
    faults: int = 0
    twice: int = 0
    ages: list[float] = field(default_factory=list)
    unexplained: int = 0
    billed: float = 0.0
    cap: float = CAP
    over_cap: bool = False
    same: bool = False
    digest: str = ""
    batches: list[str] = field(default_factory=list)
    failed_rows: int = 0

    @property
    def sound(self) -> bool:
        return self.same and not self.over_cap and not self.unexplained

    def line(self) -> str:
        parts = [
            f"{'sound' if self.sound else 'NOT SOUND'}: {self.seconds:.0f} s",
            f"{self.starts} starts",
            f"{self.kills} kills",
            f"{self.calls} answered",
            f"{self.faults} faults",
            f"{self.twice} twice",
            f"${self.billed:.2f} billed of ${self.cap:g}",
            f"{'same' if self.same else 'OTHER'} bytes ({self.digest})",
        ]
        if self.twice:
            parts[5] += f" ({self.unexplained} not in flight at a kill: sent {self.ages} s before one)"
        if self.batches:
            ended = ", ".join(f"{count} {how}" for how, count in sorted(Counter(self.batches).items()))
            parts.append(f"{len(self.batches)} batches ({ended}; {self.failed_rows} rows failed)")
        return ", ".join(parts)


class Chaos:
    """Runs one project after another against one server, so that answers are computed only once."""

    script = "run.sh"
    lost_seconds = LOST_SECONDS
    modes = MODES
    timeout = 10  # seconds; a call that hangs lasts as long
    polling = 0.3  # seconds

    def __init__(self, server: FakeOpenAI, count: int, batch: bool, scratch: Path):
        self.server, self.count, self.batch, self.scratch = server, count, batch, scratch
        self.clean: dict[str, bytes] = {}
        self.usual = 0.0  # seconds of a clean run

    def trial(self, name: str, *, fault_rate: float, seed: int, kills: int) -> Trial:
        """Run in a new project, from the first start until it is done."""
        project = self.prepare(self.scratch / name)
        self.reset(fault_rate, seed)
        trial, dice = Trial(), random.Random(f"chaos {seed}")
        ages: dict[str, float] = {}  # request -> seconds from its reply to the nearest kill after it
        begun = time.monotonic()
        while True:
            trial.starts += 1
            # short enough for this many kills in one run
            patience = dice.uniform(0.3, min(0.8, 1.5 / (kills + 1)) * self.usual) if trial.kills < kills else None
            ended = self.start(project, trial, patience)
            trial.billed = self.bill()
            trial.over_cap |= trial.billed > trial.cap
            if ended is None:
                trial.kills += 1
                ages = {request: min(age, ages.get(request, age)) for request, age in self.server.ages().items()}
                self.change_key(trial.kills == kills // 2)
            elif ended.returncode == 0:
                break
            elif "--max-cost is reached" in ended.stderr:
                trial.cap += CAP
                trial.raised += 1
            elif trial.starts > kills + 40:
                print(ended.stderr[-2000:], file=sys.stderr)
                break
        trial.seconds = time.monotonic() - begun
        # a reply is asked for again (--retry-failed) if its repair was damaged too
        again = [request for request, count in self.server.paid.items() if count - self.server.damaged[request] > 1]
        trial.twice = len(again)
        trial.ages = sorted(round(ages.get(request, float("inf")), 2) for request in again)
        trial.unexplained = sum(age > self.lost_seconds for age in trial.ages)
        trial.calls = self.server.counts["answered"]
        trial.faults = sum(count for name, count in self.server.counts.items() if name.startswith("fault "))
        batches = self.server.desk.stats()
        trial.batches, trial.failed_rows = batches["status"], sum(batches["failed_rows"])
        made = self.made(project)
        trial.digest = digest(repr(sorted(made.items())))
        self.clean = self.clean or made
        trial.same = made == self.clean and bool(made)
        self.usual = self.usual or trial.seconds
        return trial

    def prepare(self, root: Path) -> Project:
        return Project(root)

    def made(self, project: Project) -> dict[str, bytes]:
        """Return what has to be the same after every run."""
        return project.files("dataset")

    def start(self, project: Project, trial: Trial, patience: float | None) -> subprocess.CompletedProcess[str] | None:
        """Start the run; return None if it was killed after this time."""
        flags = ["--retry-failed", "--max-failed", "0", "--timeout", str(self.timeout), "--max-cost", str(trial.cap)]
        if self.batch:
            flags += ["--batch-poll", str(self.polling), "--batch-quiet", str(self.polling)]
        environment = project.environment(
            SRC_NAME="sample",
            ANNOTATOR="llm",
            MODEL=MODEL,
            NUM_SAMPLES=str(self.count),
            OPENAI_BASE_URL=self.server.url,
            OPENAI_API_KEY=self.server.keys[0],
            BATCH="1" if self.batch else "",
        )
        process = subprocess.Popen(
            ["bash", self.script, *flags],
            cwd=project.root,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if patience is not None and self.is_at_work(process, patience):
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None
        _, errors = process.communicate()
        return subprocess.CompletedProcess("run.sh", process.returncode, "", errors)

    def is_at_work(self, process: subprocess.Popen[str], patience: float) -> bool:
        """Wait for the moment of a kill; return False if the run has ended before."""
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return process.poll() is None

    def reset(self, fault_rate: float, seed: int) -> None:
        server = self.server
        server.fault_rate, server.seed, server.modes, server.keys = fault_rate, seed, self.modes, KEYS[:1]
        server.slow_seconds, server.latency, server.unharmed = 1.0, 0.2, is_repair
        for counter in (
            server.counts,
            server.seen,
            server.paid,
            server.damaged,
            server.tokens,
            server.on_the_way,
            server.prefixes,
        ):
            counter.clear()
        desk = server.desk
        desk.batches.clear()
        desk.files.clear()
        desk.delay, desk.expire, desk.half_fail = 1.0, (1,) if fault_rate else (), (3,) if fault_rate else ()

    def change_key(self, now: bool) -> None:
        if self.batch and now:
            self.server.keys = KEYS[1:]

    def bill(self) -> float:
        """Return the USD that a provider would have billed for all its replies."""
        tokens = self.server.tokens
        usage = Usage(tokens["input"], tokens["cached"], tokens["output"], tokens["reasoning"])
        return price_of(MODEL).cost(usage, "batch" if self.batch else "default") / 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24, help="sample chains")
    parser.add_argument("--runs", type=int, default=None, help="runs after the clean one (20; with --batch 1)")
    parser.add_argument("--kills", type=int, default=None, help="kills per run (a random 1 to 5; with --batch 10)")
    parser.add_argument("--fault-rate", type=float, default=0.2)
    parser.add_argument("--batch", action="store_true", help="use the Batch API")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    runs = args.runs or (1 if args.batch else 20)
    sound = 0
    with tempfile.TemporaryDirectory() as scratch, FakeOpenAI(answer=fake_answers.answer, keys=KEYS[:1]) as server:
        chaos = Chaos(server, args.count, args.batch, Path(scratch))
        print(f"clean: {chaos.trial('clean', fault_rate=0.0, seed=args.seed, kills=0).line()}", flush=True)
        for number in range(1, runs + 1):
            seed = args.seed + number
            kills = args.kills or (10 if args.batch else random.Random(seed).randint(1, 5))
            trial = chaos.trial(f"run{number}", fault_rate=args.fault_rate, seed=seed, kills=kills)
            sound += trial.sound
            print(f"{number:>3} {trial.line()}", flush=True)
    print(f"{sound} of {runs} runs sound")
    return 0 if sound == runs else 1


if __name__ == "__main__":
    raise SystemExit(main())
