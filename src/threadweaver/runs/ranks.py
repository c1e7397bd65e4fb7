"""The ranks of an engine: each runs one shard of a run with run.sh, and the merge runs when all are done.

The engine itself is datatrove's: these are the steps of its pipelines, called with (data, rank, world_size).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import FileLock
from threadweaver.runs.shards import Shard

ROOT = Path(__file__).resolve().parents[3]
TRIES = 3
"""Starts of a shard whose processes were killed, as those that need too much memory are: it continues where it was."""
LONGEST_WAIT = 900.0
"""Seconds to wait until an earlier start of a shard has ended: it waits for its calls under way."""
_WATCH = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from threadweaver.runs.ranks import watch
sys.exit(watch(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
"""
_SETTING = re.compile(r'^ *: "\$\{([A-Z0-9_]+):=', re.M)
_OWN = ("SHARD", "MERGE", "PLAN")


class RankFailed(Exception):
    """A shard's run ended with an error: the last line that it printed, and where the others are."""


def given_settings() -> dict[str, str]:
    """Return the variables of run.sh that are set here, which its runs elsewhere get, too. None of them is a secret: the
    key and the endpoint are those of the machine that runs a shard."""
    names = _SETTING.findall((ROOT / "src/env.sh").read_text())
    return {name: os.environ[name] for name in names if name in os.environ and name not in _OWN}


@dataclass(frozen=True)
class RunShard:
    """Runs shard `rank` of `world_size`; what it prints goes to `logs/<rank>.log`."""

    flags: tuple[str, ...]
    logs: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    root: Path = ROOT

    def __repr__(self) -> str:
        """Return it without the flags: engines write this into their logs, and an address may hold a password."""
        return f"RunShard({self.logs})"

    def __call__(self, data: object, rank: int, world_size: int) -> None:
        shard = Shard(rank, world_size)
        log = self.logs / f"{rank:05d}.log"
        for _ in range(TRIES):
            code = start(self.root, self.flags, {**self.settings, "SHARD": str(shard)}, log)
            if not was_killed(code):
                break
        if code:
            raise RankFailed(f"shard {shard} ended with {code}: {last_line(log)} ({log})")


@dataclass(frozen=True)
class RunMerge:
    """Merges `shards` shards and saves the dataset; what it prints goes to `logs/merge.log`."""

    shards: int
    flags: tuple[str, ...]
    logs: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    root: Path = ROOT

    def __repr__(self) -> str:
        return f"RunMerge({self.shards})"

    def __call__(self, data: object, rank: int, world_size: int) -> None:
        log = self.logs / "merge.log"
        if code := start(self.root, self.flags, {**self.settings, "MERGE": str(self.shards)}, log):
            raise RankFailed(f"the merge ended with {code}: {last_line(log)} ({log})")


def start(root: Path, flags: tuple[str, ...], settings: Mapping[str, str], log: Path | None) -> int:
    """Run run.sh with these settings and return its exit code. What it prints is added to the log; with one, the run
    has a process group of its own, which ends when this process does, however it does."""
    environment = {name: value for name, value in os.environ.items() if name not in _OWN}
    environment |= {"PYTHON": sys.executable, **settings}
    command = ["bash", str(root / "run.sh"), *flags]
    if log is None:
        return subprocess.run(command, cwd=root, env=environment).returncode
    log.parent.mkdir(parents=True, exist_ok=True)
    lock, parent = str(log.with_suffix(".lock")), str(os.getpid())
    watched = [sys.executable, "-c", _WATCH, str(ROOT / "src"), lock, parent, *command]
    with open(log, "ab") as file:
        process = subprocess.Popen(
            watched,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):  # what a killed watcher has left
                os.killpg(process.pid, signal.SIGKILL)


def watch(lock: Path, parent: int, command: Sequence[str]) -> int:
    """Run a command and return its exit code; end it, orderly, when `parent` has ended. It begins when the one before
    that has this lock has ended: a rank that is queued again may come sooner."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # sent to the whole group
    with _held(FileLock(lock)):
        process, told = subprocess.Popen(command), False
        while True:
            try:
                code = process.wait(timeout=1)
                return code if code >= 0 else 128 - code
            except subprocess.TimeoutExpired:
                if os.getppid() != parent and not told:
                    os.killpg(os.getpgrp(), signal.SIGTERM)
                    told = True


@contextlib.contextmanager
def _held(lock: FileLock) -> Iterator[None]:
    """Hold a lock, for which it waits; ends the program when that takes too long."""
    patience = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            lock.acquire("another process ({holder}) still runs this shard: end it, and run the same command again")
            break
        except UserError as error:
            if time.monotonic() > patience:
                raise SystemExit(str(error)) from None
            time.sleep(1)
    try:
        yield
    finally:
        lock.release()


def was_killed(code: int) -> bool:
    """Whether a process, or one that its shell waited for, was ended by a signal that nobody sends to stop a run."""
    number = -code if code < 0 else code - 128
    return number > 0 and number not in (signal.SIGINT, signal.SIGTERM) and code != 130


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").split("\n") if line.strip()] if log.is_file() else []
    return lines[-1].strip()[-300:] if lines else "it printed nothing"
