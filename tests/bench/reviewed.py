"""Hold what a reader judged in the viewer against what the program finds: answers by question, leaks by threshold.

Reads:   a review.jsonl with judgements, and the folder of trajectories that was reviewed
Writes:  nothing
Calls:   threadweaver.independence, one process
Exits:   2 if the file holds no judgement of a block in the folder
Example: python tests/bench/reviewed.py data/sample_24samples_step5_v1_v1_v1
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver.independence import CONFIDENT
from threadweaver.stages.block_leaks import SUSPECTED, BlockLeaks
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory import markup
from threadweaver.trajectory.judgements import QUESTIONS, Judged
from threadweaver.viewer.reviews import Reviews


def strongest_leaks(path: Path) -> list[float]:
    """Return the score of the strongest leak of each block of a trajectory, 0 where it has none."""
    traced = read_traced(path)
    found = BlockLeaks.read(markup.parse(traced.text), traced.problem).blocks
    return [leaks[0].score if leaks else 0.0 for leaks in found]


def scored(folder: Path, judged: dict[str, Judged]) -> list[tuple[bool, float]]:
    """Return for each block that was judged whether it is dependent, and its strongest leak."""
    found = []
    for id, places in judged.items():
        path = folder / f"{id}.txt"
        answers = {int(place): given.get("independent") for place, given in places.items() if "." not in place}
        scores = strongest_leaks(path) if path.is_file() and any(answers.values()) else []
        found += [(given == "no", scores[at - 1]) for at, given in answers.items() if given and at <= len(scores)]
    return found


def table(judged: dict[str, Judged]) -> list[str]:
    """Return how often each answer was given, about blocks and about threads."""
    lines = []
    for question, answers in QUESTIONS.items():
        for of, dotted in (("blocks", False), ("threads", True)):
            given = Counter(
                found[question]
                for places in judged.values()
                for place, found in places.items()
                if question in found and ("." in place) is dotted
            )
            if given:
                counts = ", ".join(f"{answer} {given[answer]}" for answer in answers)
                lines.append(f"{question:<12} {of:<8} {given.total():>4}: {counts}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--review", type=Path, help="review.jsonl in the folder")
    args = parser.parse_args()
    judged = Reviews(args.review or args.folder / "review.jsonl").judged()
    blocks = scored(args.folder, judged)
    if not judged:
        print("nothing was judged: answer the questions in the viewer (v)", file=sys.stderr)
        return 2
    print("\n".join(table(judged)))
    dependent = sum(bad for bad, _ in blocks)
    for threshold in (SUSPECTED, CONFIDENT):
        hits, alarms = (sum(score >= threshold for bad, score in blocks if bad is wanted) for wanted in (True, False))
        print(
            f"leaks from {threshold} on: {hits} of {dependent} dependent blocks found, "
            f"{alarms} of {len(blocks) - dependent} independent ones flagged"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
