"""Hold every command that asks a server against odd answers, each in a process of its own with a watchdog.

python tests/bench/server_answers.py               all: 69 answers × steps 1, 3, 4 and generate, 72 odd batch services,
                                                   33 odd served models; every command twice, over one ledger
python tests/bench/server_answers.py --only WORD   only the answers with this word in their name; again for more

A run is sound if it ends within 60 s with exit code 0, 1 or 2, without a traceback, with no part of the key in what
it prints or writes, with no reply billed twice, and with the spending under its cap; generate sends no key and pays
nothing. The waits between retries are shortened. Prints a line per unsound run, and the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from odd_answers import KEY
from odd_services import ANSWERS, BATCHES, SERVED, UNPAID, OddServer
from project import load
from threadweaver.client import settings
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.generation import engine
from threadweaver.runs.command import run_command

SAMPLE = ROOT / "data" / "sample"
TOKENIZER = SAMPLE / "tokenizer"
SECONDS = 60
CAP = 20.0
COUNT = 3
COMMANDS = (
    "collect_trajectories",
    "gpt",
    "extract_v1",
    "rewrite-context_v1",
    "generate-outline_v1",
    "generate_trajectories",
)


@dataclass(frozen=True)
class Scenario:
    """A command against an answer; `url` is added to its flags."""

    name: str
    answer: str
    command: str
    flags: tuple[str, ...]
    paid: bool = True


def scenarios(base: Path) -> Iterator[Scenario]:
    """Yield all scenarios; the inputs of the steps lie in `base`."""
    steps = {
        "step 1": ("gpt", base / "s0", "--openai_model", "gpt-5"),
        "step 1, chat": ("gpt", base / "s0", "--openai_model", "gpt-5", "--use-chat-completions"),
        "step 3": ("rewrite-context_v1", base / "s2", "--openai_model", "gpt-5", "--use-chat-completions"),
        "step 4": ("generate-outline_v1", base / "s3", "--openai_model", "gpt-5"),
    }
    for answer in ANSWERS:
        for step, (command, source, *flags) in steps.items():
            yield Scenario(step, answer, command, ("--input", str(source), *flags))
    quick = ("--batch", "--batch-quiet", "0.2", "--batch-poll", "0.2")
    for answer in BATCHES:
        yield Scenario("batch", answer, "gpt", ("--input", str(base / "s0"), "--openai_model", "gpt-5", *quick))
    generate = ("--model_name", str(TOKENIZER), "--skip-model-check", "--data-type", str(SAMPLE / "problems.parquet"))
    for answer in (*ANSWERS, *SERVED):
        for mode in ("--autoregressive", "--branching") if answer in SERVED else ("--autoregressive",):
            flags = (*generate, mode, "--limit", "2", "-n", "1", "--max-context-length", "4096", "--timeout", "20")
            yield Scenario(f"generate {mode[2:]}", answer, "generate_trajectories", flags, paid=False)


# ---- one run


def run(words: Sequence[str], folder: Path) -> tuple[int | None, str]:
    """Run a command in a fork of this process; return its exit code, None if it had to be killed, and what it said."""
    said = folder / "said.txt"
    child = os.fork()
    if not child:
        _become(words, folder, said)
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None, said.read_text(errors="replace")


def _become(words: Sequence[str], folder: Path, said: Path) -> None:
    """Be the command, in this fork; never returns."""
    code = 70
    try:
        os.chdir(folder)
        with open(said, "w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.environ |= {"OPENAI_API_KEY": KEY, "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
        settings.Retrying, engine.PROBES = Quick, (0.05,)
        engine.random = Hurry()
        sys.argv = [f"{words[0]}.py", *words[1:]]
        run_command(load(words[0]).main)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


@dataclass(frozen=True)
class Quick(settings.Retrying):
    tries: int = 3
    limited_tries: int = 4
    first: float = 0.02
    longest: float = 0.1


class Hurry:
    def uniform(self, low: float, high: float) -> float:
        return 0.01


def faults(scenario: Scenario, url: str, folder: Path) -> list[str]:
    """Run a scenario twice and return what is unsound in it."""
    get(f"{url.removesuffix('/v1')}/odd?answer={urllib.parse.quote(scenario.answer)}")
    ledger = folder / "ledger.sqlite"
    words = [scenario.command, *scenario.flags, "--base-url", url]
    if scenario.paid:
        out = folder / "out"
        words += ["--output", str(out), "--ledger", str(ledger), "--max-cost", str(CAP), "--timeout", "20"]
    found = []
    for number in (1, 2):
        code, said = run(words, folder)
        found += [f"run {number} hangs"] if code is None else []
        found += [f"run {number} ends with {code}"] if code not in (None, 0, 1, 2) else []
        found += [f"run {number} prints a traceback"] if "Traceback" in said else []
        found += [f"run {number}: {said.strip()[-400:]}"] if found else []
    if scenario.paid:
        twice = get(f"{url.removesuffix('/v1')}/stats")["answered_twice"]
        found += [f"{twice} replies are billed twice"] if twice and scenario.answer not in UNPAID else []
        spent = spending(ledger)
        found += [f"${spent:.2f} spent"] if spent > CAP else []
        found += [f"the key is in {path.relative_to(folder)}" for path in told(folder)]
    return found


def get(url: str) -> dict:
    with urllib.request.urlopen(url) as reply:
        return json.load(reply)


def spending(ledger: Path) -> float:
    if not ledger.exists():
        return 0.0
    with sqlite3.connect(ledger) as db:
        return db.execute("SELECT spent / 1e9 FROM totals").fetchone()[0]


def told(folder: Path) -> Iterator[Path]:
    """Yield the files that hold the key, or a part of it that gives it away."""
    parts = [KEY[at : at + 10].encode() for at in range(len(KEY) - 9)]
    for path in folder.rglob("*"):
        if path.is_file() and any(part in path.read_bytes() for part in parts):
            yield path


# ---- all of them


def prepare(base: Path) -> None:
    """Make the inputs of the steps, by rules."""
    rules = ("--annotator", "rules", "--max-failed", "100%")
    for name, *flags in (
        (
            "collect_trajectories",
            "--dataset_path",
            SAMPLE / "chains.jsonl",
            "--max_samples",
            COUNT,
            "--output_path",
            base / "s0",
        ),
        ("gpt", "--input", base / "s0", "--output", base / "s1", *rules),
        ("extract_v1", "-t", base / "s0", "-a", base / "s1", "-o", base / "s2"),
        ("rewrite-context_v1", "--input", base / "s2", "--output", base / "s3", *rules),
    ):
        code, said = run([name, *map(str, flags)], base)
        if code:
            raise SystemExit(f"{name}: {said}")


def preload() -> None:
    """Import what the commands import on the way, once for all forks."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for name in (*COMMANDS, "openai", "aiohttp", "genai_prices", "tqdm", "math_verify", "pyarrow.parquet"):
        load(name) if name in COMMANDS else importlib.import_module(name)
    load_tokenizer(str(TOKENIZER)).ids("x")


def serve() -> None:
    import fake_answers

    def answer(turns, body):
        try:
            return fake_answers.answer(turns, body)
        except ValueError:  # generate's prompts
            return "Let n = 2. So the answer is \\boxed{4}."

    server = OddServer(answer=answer)
    asyncio.run(server.serve(asyncio.Event(), lambda: print(server.url, flush=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve()
    preload()
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    counts: Counter[str] = Counter()
    try:
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as made:
            base = Path(made) / "base"
            base.mkdir()
            prepare(base)
            for scenario in scenarios(base):
                where = f"{scenario.name}: {scenario.answer}"
                if args.only and not all(word in where for word in args.only):
                    continue
                folder = Path(made) / "run"
                folder.mkdir()
                found = faults(scenario, url, folder)
                counts["scenarios"] += 1
                counts["unsound"] += bool(found)
                if found:
                    print(f"{where}: {'; '.join(found)}", flush=True)
                shutil.rmtree(folder)
    finally:
        server.terminate()
        server.wait()
    print(f"{counts['scenarios']} scenarios, each run twice: {counts['unsound']} unsound")
    raise SystemExit(counts["unsound"] > 0)


if __name__ == "__main__":
    main()
