"""The exact choice of blocks beside the simple ones, on the same annotations: tokens saved on the critical path.

    python tests/bench/choice.py COLLECTED STEP1 [--tokenizer PATH]

`chosen` is what stage 2 takes; `first come` keeps each candidate that shares no line with one named before it, as an
annotation without a program to choose would be read; `largest first` takes the greatest saving that still fits. Outlines
do not exist yet in stage 2: they would take the same from each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "src"))

from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.runs.given import Given
from threadweaver.runs.runner import read_task
from threadweaver.stages import choice, parallel
from threadweaver.stages.choice import Candidate
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import dataset_speedup, measure


def largest_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    return choice.first_come(sorted(candidates, key=lambda item: -item.value))


RULES: dict[str, Callable[[Sequence[Candidate]], list[Candidate]]] = {
    "chosen": choice.choose,
    "first come": choice.first_come,
    "largest first": largest_first,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collected", type=Path)
    parser.add_argument("step1", type=Path)
    parser.add_argument("--tokenizer", default=str(ROOT / "data" / "sample" / "tokenizer"))
    args = parser.parse_args()
    tokenizer = load_tokenizer(args.tokenizer)
    places, read = parallel.places(Given.open(args.collected), Given.open(args.step1))
    tasks = [read_task(task, read) for task in places]
    print(f"{'':16}{'blocks':>8}{'tokens':>10}{'saved':>10}{'speedup':>9}   of {len(tasks)} chains")
    for name, rule in RULES.items():
        with mock.patch("threadweaver.stages.extraction.choose", rule):
            marked = [
                parallel.mark(task.payload, parallel.ParallelOptions(min_gain=parallel.MIN_GAIN))
                for task in tasks
                if not task.fault
            ]
        texts = [markup.parse(result.value.text) for result in marked if result.value]
        found = [measure(trajectory, tokenizer.starts(trajectory.text)) for trajectory in texts]
        total = sum(row.total_num_tokens for row in found)
        saved = total - sum(row.num_tokens_in_the_longest_thread for row in found)
        blocks = sum(row.parallel_count for row in found)
        print(f"{name:16}{blocks:>8}{total:>10,}{saved:>10,}{dataset_speedup(found):>9.3f}")


if __name__ == "__main__":
    main()
