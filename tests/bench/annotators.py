"""Compare annotators on the same chains: what each makes of them, and how far they agree.

    python tests/bench/annotators.py [--annotator rules recorded NAME:BASE_URL:MODEL …] [--chains FILE --count 12] [--json FILE]

Reads   chains (the sample's), and for `recorded` data/sample/recorded.jsonl
Writes  the table on stdout, with --json everything as JSON; the runs in a temporary folder (or --keep FOLDER)
Calls   the commands of steps 0 to 5, once per annotator; a named one calls its endpoint and may cost money
Exits   1 if no trajectory of an annotator is accepted
Any other flag goes to the commands that ask the annotators (--effort low, --use-chat-completions, --max-cost 5).

Yield: accepted trajectories out of chains read. Blocks, ratio (mean over trajectories), speedup, threads per block
and tokens per thread (over all blocks, all threads) are of the accepted trajectories. Leaks are between siblings,
as counted by step 3 before and after rewriting. Agreement is measured on the line ranges of step 4, over the chains
that both annotators finished (including chains without a block), in non-blank lines:
  lines     lines inside a block of both, as a share of those inside a block of either
  kappa     Cohen's kappa of inside / outside over all lines
  together  share of the neighbouring lines inside blocks of both on which they agree whether there is a cut between them
  blocks    F1 of the blocks' first and last lines, matched one to one within --tolerance lines
  cuts      the same of the lines at which a thread ends and the next begins
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from bench.damage import command
from threadweaver.annotators import registry
from threadweaver.runs.folder import read_account
from threadweaver.samples import list_samples, read_collected, read_sample
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory.edits import Lineage
from threadweaver.trajectory.measures import Measures, dataset_speedup

SAMPLE = ROOT / "data" / "sample"


@dataclass(frozen=True)
class Figures:
    """The figures of one annotator's run."""

    read: int
    accepted: int
    yield_: float
    blocks: int
    blocks_a_trajectory: float
    threads_a_block: float
    tokens_a_thread: float
    parallel_ratio: float
    speedup: float
    leaks_before: int
    leaks_after: int
    edits: int
    calls: int
    cost_usd: float | None
    """None where a price is not known."""


def flags_of(spec: str, folder: Path) -> list[str]:
    """Return the flags that name this annotator to the commands."""
    ledger = ["--ledger", str(folder / "ledger.sqlite")]
    if spec in registry.NAMES:
        return ["--annotator", spec, *ledger]
    if spec == "recorded":
        command("ledger", "import", SAMPLE / "recorded.jsonl", *ledger)
        return ["--offline", *ledger]
    _, _, place = spec.partition(":")
    url, _, model = place.partition("|") if "|" in place else place.rpartition(":")
    return [*(["--base-url", url] if url else []), "--openai_model", model, *ledger]


def known(spec: str) -> str:
    """An annotator's name, `recorded`, or a model at an endpoint, for argparse."""
    if spec not in (*registry.NAMES, "recorded") and ":" not in spec:
        names = ", ".join((*registry.NAMES, "recorded"))
        raise argparse.ArgumentTypeError(f"{spec!r} is not an annotator: {names}, or NAME:BASE_URL:MODEL")
    return spec


def run(spec: str, folder: Path, chains: Path, tokenizer: str, more: Sequence[str]) -> Figures:
    """Run steps 1 to 5 into `folder`."""
    folder.mkdir(parents=True)
    who = [*flags_of(spec, folder), *more, "--max-failed", "100%"]
    at = {step: folder / f"s{step}" for step in range(1, 6)}
    command("gpt", "--input", chains, "--output", at[1], *who)
    command("extract_v1", "-t", chains, "-a", at[1], "-o", at[2], "--max-failed", "100%")
    command("rewrite-context_v1", "--input", at[2], "--output", at[3], *who)
    command("generate-outline_v1", "--input", at[3], "--output", at[4], *who)
    command(
        "filter-format-correct-and-obtain-stats",
        "--tokenizer",
        tokenizer,
        "--skip_conclusion_check",
        "--input",
        at[4],
        "--output",
        at[5],
        "--max-failed",
        "100%",
    )
    return figures(len(read_collected(chains / "collected.jsonl")), at)


def figures(read: int, at: Mapping[int, Path]) -> Figures:
    accounts = {step: [entry.facts for entry in read_account(folder)] for step, folder in at.items()}
    rows = [Measures(**facts["measures"]) for facts in accounts[5] if "measures" in facts]
    asked = [facts for step in (1, 3, 4) for facts in accounts[step] if facts.get("calls")]
    blocks = sum(row.parallel_count for row in rows)
    threads = sum(row.avg_threads_per_parallel_block * row.parallel_count for row in rows)
    lengths = sum(row.avg_thread_length * row.avg_threads_per_parallel_block * row.parallel_count for row in rows)
    priced = all("cost_usd" in facts for facts in asked)
    return Figures(
        read,
        len(rows),
        len(rows) / read if read else 0.0,
        blocks,
        blocks / len(rows) if rows else 0.0,
        threads / blocks if blocks else 0.0,
        lengths / threads if threads else 0.0,
        fmean(row.parallel_ratio for row in rows) if rows else 0.0,
        dataset_speedup(rows),
        *(sum(facts.get(name, 0) for facts in accounts[3]) for name in ("leaks_before", "leaks_after", "edits")),
        sum(facts["calls"] for facts in asked),
        sum(facts["cost_usd"] for facts in asked) if priced else None,
    )


# ---------------------------------------------------------------------------------------------------------------
# agreement


@dataclass(frozen=True)
class Marks:
    """A chain as an annotator marked it, without its blank lines: which lines (from 0) are inside a block, the
    blocks as (first, last), and the lines after which a thread ends inside a block."""

    count: int
    inside: frozenset[int]
    blocks: tuple[tuple[int, int], ...]
    cuts: tuple[int, ...]

    @classmethod
    def read(cls, chain: str, record: Lineage) -> Marks:
        filled = [number for number, line in enumerate(chain.split("\n"), 1) if line.strip()]
        place = {number: at for at, number in enumerate(filled)}
        spans = [[place[n] for n in range(block.first, block.last + 1) if n in place] for block in record.blocks]
        cuts = [
            max(place[n] for n in range(thread.first, thread.last + 1) if n in place)
            for block in record.blocks
            for thread in block.threads[:-1]
        ]
        inside = frozenset(at for span in spans for at in span)
        return cls(len(filled), inside, tuple((span[0], span[-1]) for span in spans), tuple(cuts))


def agreement(pairs: Sequence[tuple[Marks, Marks]], tolerance: int) -> dict[str, float | None]:
    """Return the agreement described above, over the chains that both marked; None if there is nothing to agree on."""
    lines = sum(one.count for one, _ in pairs)
    both = sum(len(one.inside & two.inside) for one, two in pairs)
    either = sum(len(one.inside | two.inside) for one, two in pairs)
    ins = [sum(len(marks[k].inside) for marks in pairs) for k in (0, 1)]
    same = (lines - either + both) / lines if lines else 0.0
    chance = (ins[0] * ins[1] + (lines - ins[0]) * (lines - ins[1])) / lines**2 if lines else 1.0
    steps = [
        (at in one.cuts) == (at in two.cuts)
        for one, two in pairs
        for at, after in pairwise(sorted(one.inside & two.inside))
        if after == at + 1
    ]
    edges = [tuple([edge for block in marks.blocks for edge in block] for marks in pair) for pair in pairs]
    return {
        "chains": len(pairs),
        "lines": both / either if either else None,
        "kappa": (same - chance) / (1 - chance) if chance < 1 else None,
        "together": fmean(steps) if steps else None,
        "blocks": f1(edges, tolerance),
        "cuts": f1([(one.cuts, two.cuts) for one, two in pairs], tolerance),
    }


def f1(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], tolerance: int) -> float | None:
    """Return 2 · matched / all, for positions matched one to one in order; None if neither has any."""
    total = sum(len(one) + len(two) for one, two in pairs)
    return 2 * sum(matched(sorted(one), sorted(two), tolerance) for one, two in pairs) / total if total else None


def matched(one: Sequence[int], two: Sequence[int], tolerance: int) -> int:
    count = i = k = 0
    while i < len(one) and k < len(two):
        if abs(one[i] - two[k]) <= tolerance:
            count, i, k = count + 1, i + 1, k + 1
        elif one[i] < two[k]:
            i += 1
        else:
            k += 1
    return count


def marks_of(folder: Path, chains: Path) -> dict[str, Marks]:
    found = {}
    for path in list_samples(folder / "s4"):
        sample = read_traced(path)
        found[sample.id] = Marks.read(read_sample(chains / path.name), sample.lineage)
    return found


# ---------------------------------------------------------------------------------------------------------------


def report(made: Mapping[str, Figures], agreed: Sequence[Mapping]) -> None:
    width = max(12, *(len(name) + 2 for name in made))
    print(f"{'':22}" + "".join(f"{name:>{width}}" for name in made))
    for name in Figures.__dataclass_fields__:
        values = [getattr(row, name) for row in made.values()]
        print(f"{name.strip('_').replace('_', ' '):22}" + "".join(f"{number(value):>{width}}" for value in values))
    for row in agreed:
        values = "  ".join(f"{name} {number(row[name])}" for name in ("lines", "kappa", "together", "blocks", "cuts"))
        print(f"{row['one']} and {row['two']} on {row['chains']} chains: {values}")


def number(value: float | int | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--annotator",
        nargs="+",
        type=known,
        default=["rules", "recorded"],
        metavar="WHO",
        help=f"{', '.join(registry.NAMES)}, recorded, or NAME:BASE_URL:MODEL (a model name with a colon: NAME:BASE_URL|MODEL; no URL: the default one)",
    )
    parser.add_argument("--chains", type=Path, default=SAMPLE / "chains.jsonl")
    parser.add_argument("--count", type=int, default=12, help="chains read (12: those with recorded answers)")
    parser.add_argument("--tokenizer", default=str(SAMPLE / "tokenizer"))
    parser.add_argument(
        "--tolerance", type=int, default=1, help="distance in lines at which two boundaries count as one (1)"
    )
    parser.add_argument("--json", type=Path, help="write figures and agreement there")
    parser.add_argument("--keep", type=Path, help="folder in which to keep the runs")
    args, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = args.keep or Path(scratch)
        chains = root / "chains"
        command(
            "collect_trajectories", "--dataset_path", args.chains, "--output_path", chains, "--max_samples", args.count
        )
        names = {spec.partition(":")[0]: spec for spec in args.annotator}
        made = {name: run(spec, root / name, chains, args.tokenizer, more) for name, spec in names.items()}
        marked = {name: marks_of(root / name, chains) for name in names}
    agreed = [
        {"one": a, "two": b, "tolerance": args.tolerance}
        | agreement(
            [(marked[a][id], marked[b][id]) for id in sorted(marked[a].keys() & marked[b].keys())], args.tolerance
        )
        for a, b in combinations(names, 2)
    ]
    report(made, agreed)
    if args.json:
        figures = {"annotators": {name: asdict(row) for name, row in made.items()}, "agreement": agreed}
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.accepted for row in made.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
