"""Time stage 2 and stage 5 in one process, compared with the minimum they could cost.

    python tests/bench/stages.py --chains data/sample/chains.jsonl --tokenizer data/sample/tokenizer [--times 5]

Prints seconds of processor time for annotating by rules, extraction (with and without merging dependent threads),
inspection with its measures, and only tokenizing the same texts; and the ratio of the last two, which are measured in
turn. Medians of several passes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.corpus.readers import read_rows
from threadweaver.corpus.sources import to_sample
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.stages import collecting, extraction, inspection
from threadweaver.trajectory import annotation
from threadweaver.trajectory.edits import Lineage, fingerprint
from threadweaver.trajectory.measures import measure


def seconds(times: int, *works) -> list[float]:
    """Return the median processor time of each of these, done in turn."""
    spent = [[] for _ in works]
    for _ in range(times):
        for work, found in zip(works, spent, strict=True):
            begun = time.process_time()
            work()
            found.append(time.process_time() - begun)
    return [statistics.median(found) for found in spent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    samples = [to_sample(row, "bench") for row in read_rows(args.chains)]
    samples = [sample for sample in samples if collecting.unfit(sample) is None]
    lines = sum(sample.thinking.count("\n") + 1 for sample in samples)
    print(f"{len(samples)} chains, {lines} lines")

    annotations = [annotate_steps(sample.problem, sample.thinking) for sample in samples]
    [spent] = seconds(args.times, lambda: [annotate_steps(s.problem, s.thinking) for s in samples])
    report("rules annotator", spent, lines)

    def extracted(merge: bool) -> list[extraction.Extraction]:
        return [extract_one(sample, text, merge) for sample, text in zip(samples, annotations, strict=True)]

    merged, unmerged = seconds(args.times, lambda: extracted(True), lambda: extracted(False))
    report("stage 2", merged, lines)
    report("stage 2, no merging", unmerged, lines)

    texts = [(found.trajectory, found.lineage) for found in extracted(True)]
    tokenizer = load_tokenizer(args.tokenizer)
    rules_of_filter = inspection.Rules(keep_sequential=True)

    def judged() -> None:
        for text, record in texts:
            verdict = inspection.inspect(text, record, rules_of_filter)
            measure(verdict.trajectory, tokenizer.starts(text))

    bare, whole = seconds(args.times, lambda: [tokenizer.starts(text) for text, _ in texts], judged)
    report("bare tokenization", bare, lines)
    report("stage 5, verdict and measures", whole, lines)
    print(f"stage 5 / bare tokenization: {whole / bare:.2f}")


def extract_one(sample, text: str, merge: bool) -> extraction.Extraction:
    chain_lines = annotation.lines(sample.thinking)
    record = Lineage(
        sample.index,
        sample.uuid,
        sample.problem,
        "",
        None,
        fingerprint(sample.thinking),
        len(sample.thinking),
        len(chain_lines),
    )
    return extraction.extract(sample.thinking, annotation.parse(text, chain_lines), record, merge_dependent=merge)


def report(name: str, spent: float, lines: int) -> None:
    print(f"{name:32}{spent:8.2f} s  {lines / 300 / spent:8.0f} chains of 300 lines a second")


if __name__ == "__main__":
    main()
