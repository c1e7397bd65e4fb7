"""How fast collect reads a large corpus, beside plain reading, and how much memory it takes.

    python tests/bench/collect.py [--rows 200000] [--chars 22000] [--folder DIR]

Makes a JSONL of rows with one chain each (in DIR, else a temporary folder), reads it plainly (json.loads of every
line), shows it with --inspect, and collects it. The figures are those of one process on this machine.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "so we add the two terms and see that this sum is even, which gives a bound on n for every prime p we try".split()
)


def make(path: Path, rows: int, chars: int) -> None:
    draw = random.Random(0)
    pieces = [" ".join(draw.choices(WORDS, k=18)) for _ in range(5000)]
    with open(path, "w", encoding="utf-8") as file:
        for number in range(rows):
            chain, length = [], 0
            while length < chars:
                chain.append(f"{draw.choice(pieces)} {draw.randrange(10**6)}.")
                length += len(chain[-1]) + 2
            thinking = "\n\n".join(chain)
            said = f"<think>\n{thinking}\n</think>\n\nThe answer is \\boxed{{{number}}}."
            row = {
                "problem": f"What is {number} plus zero?",
                "generated_solution": said,
                "expected_answer": str(number),
            }
            file.write(json.dumps(row) + "\n")


def plain(path: Path) -> float:
    begun = time.monotonic()
    with open(path, "rb") as file:
        for line in file:
            json.loads(line)
    return time.monotonic() - begun


def command(*flags: str) -> tuple[float, int]:
    """Return the seconds a collect takes, and the peak of its memory in MB."""
    begun = time.monotonic()
    script = str(ROOT / "src" / "collect_trajectories.py")
    subprocess.run([sys.executable, script, *flags], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--chars", type=int, default=22_000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "rows.jsonl"
        make(path, args.rows, args.chars)
        print(f"{args.rows} rows, {path.stat().st_size / 1e9:.2f} GB")
        seconds = plain(path)
        print(f"plain reading  {args.rows / seconds:8.0f} rows/s")
        seconds, memory = command("--dataset_path", str(path), "--inspect")
        print(f"--inspect      {seconds:8.1f} s, {memory} MB")
        output = str(Path(folder) / "out")
        seconds, memory = command("--dataset_path", str(path), "--output_path", output, "--max_samples", str(args.rows))
        print(f"collect        {args.rows / seconds:8.0f} rows/s, {memory} MB")


if __name__ == "__main__":
    main()
