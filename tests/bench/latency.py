"""Do independent calls run in parallel? Steps 1, 3 and 4 against a local server with slow replies.

    python tests/bench/latency.py --chains data/sample/chains.jsonl --count 24 --latency 2 --workers 512

Prints per step the wall time, its rounds of latency (6, 1, 1: only the turns of one conversation wait for each
other), the command's own CPU time, and wall / (rounds * latency + CPU). The server runs in its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = {"step 1": 6, "step 3": 1, "step 4": 1}


@contextmanager
def server(latency: float, port: int):
    command = [sys.executable, str(ROOT / "tests/fake_openai.py"), "--port", str(port), "--latency", str(latency)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    process = subprocess.Popen(
        [*command, "--answer", "fake_answers:answer"], env=environment, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{url}/stats", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def run(command: list[str], url: str) -> tuple[float, float]:
    """Return the wall and CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    environment = {**os.environ, "OPENAI_BASE_URL": f"{url}/v1"}
    subprocess.run([sys.executable, *command], check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=Path, required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--latency", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=512)
    parser.add_argument("--port", type=int, default=8161)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, server(args.latency, args.port) as url:
        folder = Path(scratch)
        source = str(ROOT / "src")
        common = ["--workers", str(args.workers), "--ledger", str(folder / "ledger.sqlite")]
        run(
            [
                f"{source}/collect_trajectories.py",
                "--dataset_path",
                str(args.chains),
                "--output_path",
                f"{folder}/c",
                "--max_samples",
                str(args.count),
                "--keep-wrong",
            ],
            url,
        )
        steps = {
            "step 1": [f"{source}/gpt.py", "--input", f"{folder}/c", "--output", f"{folder}/s1", *common],
            "step 2": [f"{source}/extract_v1.py", "-t", f"{folder}/c", "-a", f"{folder}/s1", "-o", f"{folder}/s2"],
            "step 3": [
                f"{source}/rewrite-context_v1.py",
                "--input",
                f"{folder}/s2",
                "--output",
                f"{folder}/s3",
                *common,
            ],
            "step 4": [
                f"{source}/generate-outline_v1.py",
                "--input",
                f"{folder}/s3",
                "--output",
                f"{folder}/s4",
                *common,
            ],
        }
        asked = 0
        for name, command in steps.items():
            wall, cpu = run(command, url)
            total = json.load(urllib.request.urlopen(f"{url}/stats"))["received"]
            if name in ROUNDS:
                least = ROUNDS[name] * args.latency + cpu
                print(
                    f"{name}: {total - asked} calls, {wall:.1f} s wall, {ROUNDS[name]} rounds of {args.latency:g} s, "
                    f"{cpu:.1f} s CPU, ratio {wall / least:.2f}"
                )
            asked = total


if __name__ == "__main__":
    main()
