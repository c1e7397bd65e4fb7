"""Measure how fast the rules annotator is, and what it finds.

Reads:   a collected.jsonl (`problem` and `thinking` of each line), or without one, generated chains
Writes:  nothing
Calls:   threadweaver.annotators.rules, one process
Exits:   1 if it annotates fewer chains of 300 lines per CPU second than --at-least
Example: python tests/bench/rules.py path/to/collected.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.trajectory import annotation

CHAIN_LINES = 300
LONG_CHAIN_LINES = 60


def made_chains(count: int) -> list[tuple[str, str]]:
    """Generate chains of 300 lines with cases, computations and second methods."""
    chains = []
    for seed in range(count):
        lines = ["First, let me see what is asked for."]
        while len(lines) < CHAIN_LINES:
            k = len(lines) + seed
            lines += [
                "",
                f"Case {k % 7 + 1}: $n = {k}$.",
                f"Then $n^2 + 1 = {k * k + 1}$, and the remainder is ${(k * k + 1) % 12}$.",
                "",
                f"So for this value f({k}) = {k * k} + x_{k % 9}, where x_{k % 9} is the part that is left over.",
                "",
                "Alternatively, we can count the complement: every second one drops out, as before.",
            ]
        chains.append((f"Find f({seed}).", "\n".join(lines[:CHAIN_LINES])))
    return chains


def read_chains(path: str) -> list[tuple[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["problem"], row["thinking"]) for row in map(json.loads, file)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chains", nargs="?", help="a collected.jsonl (else generated chains)")
    parser.add_argument(
        "--at-least", type=float, default=0.0, help="chains of 300 lines per CPU second (0: only report)"
    )
    arguments = parser.parse_args()
    chains = read_chains(arguments.chains) if arguments.chains else made_chains(50)
    annotate_steps(*chains[0])
    began, cpu_began = time.perf_counter(), time.process_time()
    written = [annotate_steps(problem, thinking) for problem, thinking in chains]
    cpu, wall = time.process_time() - cpu_began, time.perf_counter() - began
    lines = sum(thinking.count("\n") + 1 for _, thinking in chains)
    speed = lines / CHAIN_LINES / cpu
    print(f"{len(chains)} chains, {lines} lines: {cpu:.2f} s of CPU, {wall:.2f} s")
    print(f"{speed:.0f} chains of {CHAIN_LINES} lines a CPU second")
    report_blocks(chains, written)
    return 1 if speed < arguments.at_least else 0


def report_blocks(chains: list[tuple[str, str]], written: list[str]) -> None:
    threads, with_block, long_chains = [], 0, 0
    for (_, thinking), text in zip(chains, written, strict=True):
        blocks = annotation.parse(text, annotation.lines(thinking)).blocks
        threads += [len(block.threads) for block in blocks]
        long = thinking.count("\n") + 1 > LONG_CHAIN_LINES
        long_chains += long
        with_block += long and bool(blocks)
    print(f"{len(threads)} blocks, {statistics.mean(threads) if threads else 0:.2f} threads a block")
    print(
        f"{with_block} of {long_chains} chains over {LONG_CHAIN_LINES} lines have a block ({with_block / max(1, long_chains):.1%})"
    )


if __name__ == "__main__":
    raise SystemExit(main())
