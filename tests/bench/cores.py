"""Time and memory of every command that works on all cores, with one process and with several, in turn.

    python tests/bench/cores.py CHAINS.jsonl --tokenizer DIR [--samples 3000] [--jobs 2] [--times 3] [--only step2 step5]

CHAINS is a collected.jsonl; it is repeated until there are as many chains as --samples, each with a problem of its own.
The chains pass through the stages by rules once; then each command runs with --jobs 1 and --jobs K in turn, --times
times, each time into a folder of its own (ext4 takes ten times as long to create files for minutes after many were
deleted, so nothing is deleted before the end). Printed are the medians: seconds of the whole command, seconds of processor time of all its
processes, and the ratio of the former; and the peak of the memory of all its processes, shared pages counted once (PSS,
looked up every 0.2 s the first time). Step 5 keeps sequential chains, so that it measures every one. Nothing else should run on the
machine; the processor time says what to expect of one that is idle, and the first line what its cores can do: how much
more K processes tokenize than one, that share nothing and do nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
sys.path.insert(0, str(SRC))
TICK_S = 0.2


def make(chains: Path, count: int, here: Path) -> None:
    """Write the chains, and the same as a journal of outputs with its problems, for the conversion."""
    import pyarrow as pa
    from pyarrow import parquet

    with open(chains, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    problems = []
    with open(here / "chains.jsonl", "w") as made, open(here / "some-data_1.jsonl", "w") as journal:
        for number in range(count):
            row = rows[number % len(rows)]
            problem = f"{row['problem']} (No. {number})"
            made.write(json.dumps({**row, "uuid": f"bench-{number}", "problem": problem}) + "\n")
            text = f"<think>\n{row['thinking']}\n</think>\n\n{row['output']}"
            journal.write(json.dumps({"message_idx": number, "sample_idx": 0, "result": text}) + "\n")
            problems.append(
                {
                    "prompt": [{"role": "user", "content": problem}],
                    "reward_model": {"ground_truth": str(row["solution"])},
                }
            )
    parquet.write_table(pa.Table.from_pylist(problems), here / "problems.parquet")


def commands(here: Path, count: int, tokenizer: str) -> dict[str, list[str]]:
    """Return the words of each command, by its name; `{out}` is its output. Those of steps 3 and 4 are not measured."""
    at = {name: str(here / name) for name in ("collect", "step1", "step2", "step3", "step4", "step5")}
    rules, tokens = ["--annotator", "rules"], ["--tokenizer", tokenizer]
    step5 = ["filter-format-correct-and-obtain-stats.py", *tokens, "--skip_conclusion_check", "--keep-sequential"]
    chains, accepted = str(here / "chains.jsonl"), f"{at['step5']}/*.txt"
    save = ["save_dataset.py", *tokens, "--input", f"{at['collect']}/collected.jsonl", "--trajectory-glob", accepted]
    convert = ["generated_data_to_training_data_polaris.py", "--dataset-json", str(here / "some-data_1.jsonl")]
    problems = ["--polaris-parquet", str(here / "problems.parquet")]
    reading = ["--dataset_path", chains, "--max_samples", str(count)]
    return {
        "collect": ["collect_trajectories.py", *reading, "--output_path", "{out}"],
        "step1": ["gpt.py", *rules, "--input", at["collect"], "--output", "{out}"],
        "step2": ["extract_v1.py", "-t", at["collect"], "-a", at["step1"], "-o", "{out}"],
        "step3": ["rewrite-context_v1.py", *rules, "--input", at["step2"], "--output", "{out}"],
        "step4": ["generate-outline_v1.py", *rules, "--input", at["step3"], "--output", "{out}"],
        "step5": [*step5, "--input", at["step4"], "--output", "{out}"],
        "save": [*save, "--trajectory-matched-only", "--build-chat", "--output", "{out}"],
        "convert": [*convert, *problems, *tokens, "--output-dir", "{out}"],
    }


UNMEASURED = ("step3", "step4")


def run(words: list[str], out: Path, jobs: int | None, *, watched: bool = False) -> tuple[float, float, float]:
    """Run a command into a new folder; return its seconds, the peak of its memory in MB if it is `watched`, and the
    seconds of processor time of all its processes."""
    filled = [sys.executable, str(SRC / words[0]), *(word.replace("{out}", str(out)) for word in words[1:])]
    if jobs:
        filled += ["--jobs", str(jobs)]
    begun, peaks, ended = time.monotonic(), [0.0], threading.Event()
    process = subprocess.Popen(filled, stdout=subprocess.DEVNULL, cwd=ROOT)

    def watch() -> None:
        while watched and not ended.wait(TICK_S):
            peaks.append(sum(pss(pid) for pid in (process.pid, *below(process.pid))))

    watching = threading.Thread(target=watch)
    watching.start()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    ended.set()
    watching.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words[0]} ended with {process.returncode}")
    return seconds, max(peaks), used.ru_utime + used.ru_stime


def ceiling(chains: Path, tokenizer: str, jobs: int, times: int) -> float:
    """Return how much more this many processes tokenize in the same time than one: what no command can do better."""
    from threadweaver.corpus.tokenizer import load_tokens

    tokens = load_tokens(tokenizer)
    with open(chains, encoding="utf-8") as file:
        texts = [row["thinking"] for row, _ in zip(map(json.loads, file), range(200), strict=False)]

    def tokenized(processes: int) -> float:
        begun = time.monotonic()
        for _ in range(processes):
            if not os.fork():
                for text in texts:
                    tokens.starts(text)
                os._exit(0)
        for _ in range(processes):
            os.wait()
        return time.monotonic() - begun

    return statistics.median(jobs * tokenized(1) / tokenized(jobs) for _ in range(times))


def below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in (child, *below(child))]


def pss(pid: int) -> float:
    """Return the memory of a process in MB, of a page that n processes share an n-th."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.partition("\nPss:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chains", type=Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="measure only these: collect step1 step2 step5 save convert")
    parser.add_argument("--folder", type=Path, help="where the folders are made (a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        here = Path(folder)
        most = ceiling(args.chains, args.tokenizer, args.jobs, args.times)
        print(f"{args.jobs} processes that share nothing tokenize {most:.2f} times as much as one here")
        make(args.chains, args.samples, here)
        print(f"{args.samples} chains")
        columns = "".join(f"{f'--jobs {jobs}':>10}{'of CPU':>9}{'memory':>8}" for jobs in (1, args.jobs))
        print(f"{'':10}{columns}{'ratio':>8}", flush=True)
        for name, words in commands(here, args.samples, str(Path(args.tokenizer).resolve())).items():
            if name in UNMEASURED or (args.only and name not in args.only):
                if name not in ("save", "convert"):  # the next stage reads it
                    run(words, here / name, None)
                continue
            found: dict[int, list[tuple[float, float, float]]] = {1: [], args.jobs: []}
            for time_no in range(args.times):
                for jobs in found:
                    out = here / (
                        f"{name}_{jobs}_{time_no}" if time_no or jobs > 1 else name
                    )  # the next stage reads one
                    found[jobs].append(run(words, out, jobs, watched=not time_no))
            seconds = {jobs: statistics.median(one[0] for one in runs) for jobs, runs in found.items()}
            peaks = {jobs: max(one[1] for one in runs) for jobs, runs in found.items()}
            spent = {jobs: statistics.median(one[2] for one in runs) for jobs, runs in found.items()}
            cells = "".join(f"{seconds[jobs]:8.1f} s{spent[jobs]:7.1f} s{peaks[jobs]:5.0f} MB" for jobs in found)
            print(f"{name:10}{cells}{seconds[1] / seconds[args.jobs]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
