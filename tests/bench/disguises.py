"""Run the sample's chains against the local server in the disguises of five endpoints, and compare the datasets.

python tests/bench/disguises.py               24 chains, run.sh from collecting to saving, for each disguise
python tests/bench/disguises.py --count 6 mistral gemini

Prints a line per disguise: the same dataset as the plain server gives, or how the run ended and the line that says why.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from fake_answers import answer
from fake_endpoints import DISGUISES, Disguise
from fake_openai import FakeOpenAI
from project import Project


def run(folder: Path, disguise: Disguise, count: int) -> tuple[subprocess.CompletedProcess[str], dict[str, bytes], str]:
    """Run the whole pipeline; return its end, its dataset, and the calls that the server saw by status."""
    project = Project(folder)
    with FakeOpenAI(answer=answer, disguise=disguise) as server:
        flags = ("--use-chat-completions", "--openai_model", "local-model")
        done = project.sample_run(*flags, count=count, ANNOTATOR="llm", OPENAI_BASE_URL=server.url)
        stats = server.stats()
    calls = ", ".join(f"{number} × {status}" for status, number in stats["status"].items())
    return done, project.files("dataset"), f"{calls}, {stats['answered_twice']} paid twice"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("disguise", nargs="*", choices=[[], *DISGUISES])
    parser.add_argument("--count", type=int, default=24)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        done, expected, calls = run(Path(made) / "plain", Disguise(), args.count)
        if done.returncode:
            raise SystemExit(done.stderr)
        print(f"plain: {len(expected)} files in the dataset; {calls}", flush=True)
        for name in args.disguise or DISGUISES:
            done, files, calls = run(Path(made) / name, DISGUISES[name](), args.count)
            same = "the same dataset" if files == expected else f"another dataset ({len(files)} files)"
            said = (
                same if not done.returncode else f"ended with {done.returncode}: {done.stderr.strip().splitlines()[-1]}"
            )
            print(f"{name}: {said}; {calls}", flush=True)
            for line in done.stderr.strip().splitlines():
                print(f"    {line[:200]}", flush=True)


if __name__ == "__main__":
    main()
