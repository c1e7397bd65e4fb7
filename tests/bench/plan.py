"""Does a plan predict what a run costs? The first half of the chains is paid, the second planned from it, then
paid.

    python tests/bench/plan.py chains/collected.jsonl --shuffle 1
    python tests/bench/plan.py data/sample/chains.jsonl

The annotator is a local server that answers as the rules do. Prints per step what was planned and what it cost;
exits with 1 if the sum is off by more than 15 %.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import fake_answers
from fake_openai import FakeOpenAI
from project import Project
from threadweaver.ledger import NANO, Ledger

ALLOWED = 0.15
STEPS = {"step 1": "step1", "step 3": "step3", "step 4": "step4"}


def run(project: Project, server: FakeOpenAI, chains: Path, count: int, **environment: str) -> str:
    """Return the output of a run up to step 4: later steps cost nothing."""
    settings = project.environment(
        SRC_NAME="half",
        NUM_SAMPLES=str(count),
        DATASET_PATH=str(chains),
        KEEP_WRONG="1",
        WORKERS="64",
        OPENAI_BASE_URL=server.url,
        **environment,
    )
    lines = (
        ["./run.sh"]
        if "PLAN" in environment
        else [
            f"$PYTHON src/collect_trajectories.py --dataset_path $DATASET_PATH --max_samples {count} --keep-wrong "
            f"--output_path data/half_{count}samples",
            *(f"./step{k}.sh" for k in (1, 2, 3, 4)),
        ]
    )
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)], cwd=project.root, env=settings, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"the run failed with {done.returncode}")
    return done.stdout


def paid(project: Project) -> dict[str, float]:
    """Return the USD per step of all replies in the ledger."""

    async def read() -> dict[str, float]:
        ledger = Ledger.open_for_reading(project.root / "data/ledger.sqlite")
        rows = await ledger.thread.run(
            lambda db: db.execute("SELECT stage, sum(cost) FROM replies GROUP BY stage").fetchall(), write=False
        )
        await ledger.aclose()
        return {stage: cost / NANO for stage, cost in rows}

    return asyncio.run(read())


def planned(table: str) -> dict[str, float]:
    rows = (line.split() for line in table.split("\n") if line.startswith("  step"))
    return {STEPS[" ".join(row[:2])]: float(row[-1].replace(",", "")) for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chains", type=Path)
    parser.add_argument(
        "--shuffle", type=int, metavar="SEED", help="seed to shuffle the chains first (keep their order)"
    )
    args = parser.parse_args()
    rows = args.chains.read_text(encoding="utf-8").rstrip("\n").split("\n")
    if args.shuffle is not None:
        random.Random(args.shuffle).shuffle(rows)
    with tempfile.TemporaryDirectory() as scratch, FakeOpenAI(answer=fake_answers.answer) as server:
        project = Project(Path(scratch) / "project")
        chains = Path(scratch) / "half.jsonl"
        chains.write_text("\n".join(rows) + "\n", encoding="utf-8")
        run(project, server, chains, len(rows) // 2)
        before = paid(project)
        table = run(project, server, chains, len(rows), PLAN="1")
        print(table)
        run(project, server, chains, len(rows))
        after = paid(project)
    expected = planned(table)
    actual = {step: after[step] - before.get(step, 0.0) for step in after}
    for step in actual:
        print(f"{step}: ${expected[step]:.3f} planned, ${actual[step]:.3f} paid")
    off = sum(expected.values()) / sum(actual.values()) - 1
    print(f"together: ${sum(expected.values()):.3f} planned, ${sum(actual.values()):.3f} paid, {off:+.1%}")
    return int(abs(off) > ALLOWED)


if __name__ == "__main__":
    raise SystemExit(main())
