"""Measure what a tenth of damaged replies costs: blocks, parallel ratio and yield compared with the undamaged run.

    python tests/bench/damage.py [--copies 20] [--share 0.1] [--again 0.3] [--limit 0.05] [--way NAME …]

Reads   data/sample: chains and a model's recorded answers to them (other --chains files are answered by the rules)
Writes  nothing (a temporary folder)
Calls   the commands of steps 1 to 5 in this process, against a local server over HTTP
Exits   1 if a kind of damage changes one of the three by more than --limit, or text is lost

The chains are used --copies times with different problems, so that shares are meaningful. Of the replies that a
kind of damage applies to, --share are damaged, drawn by seed; of these, --again are damaged again in the repair turn.
Annotated outlines are damaged in every block.

The table lists replies damaged; used as they are (read or fixed without asking again); repaired by asking once
more; damaged twice; then blocks, mean parallel ratio and yield of the accepted trajectories, and samples with lost
text.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from fake_damage import STEP_OF, WAYS, Damaging, plan_of, read_recorded
from project import load, no_plot
from threadweaver.files import read_text
from threadweaver.runs.folder import read_account
from threadweaver.samples import read_collected
from threadweaver.stages.traced import read_traced
from threadweaver.trajectory import edits, markup

SAMPLE = ROOT / "data" / "sample"


@dataclass(frozen=True)
class Outcome:
    """The result of one run: chains read, trajectories accepted, their blocks, the mean of their parallel ratios,
    and samples of any stage from whose text the chain cannot be restored."""

    read: int
    accepted: int
    blocks: int
    ratio: float
    lost: int

    def differences(self, plain: Outcome) -> tuple[float, float, float]:
        """Return the differences in blocks, parallel ratio and yield, relative to the undamaged run."""
        return (
            self.blocks / plain.blocks - 1,
            self.ratio / plain.ratio - 1,
            (self.accepted / self.read) / (plain.accepted / plain.read) - 1,
        )


def command(name: str, *flags: object) -> None:
    """Run a command of the pipeline in this process, without its output and without the plots of step 5, which
    would take longer than everything else."""
    with contextlib.redirect_stdout(io.StringIO()), mock.patch("threadweaver.runs.statistics.histogram", no_plot):
        code = load(name).main([str(flag) for flag in flags])
    if code and not (code == 1 and name.startswith("filter")):  # nothing accepted: an outcome like another here
        raise SystemExit(f"{name} ended with {code}")


def run(folder: Path, before: Path, url: str, first_step: int, workers: int = 64) -> Outcome:
    """Run steps `first_step` to 5 into `folder`; earlier steps are read from the folder `before` of another run."""
    model = ["--base-url", url, "--ledger", folder / "ledger.sqlite", "--workers", workers, "--max-failed", "100%"]
    at = lambda step: (folder if step >= first_step else before) / f"s{step}"  # noqa: E731
    folder.mkdir(exist_ok=True)
    chains = before / "s0"
    steps = {
        1: ("gpt", "--input", chains, "--output", at(1), *model),
        2: ("extract_v1", "-t", chains, "-a", at(1), "-o", at(2), "--max-failed", "100%"),
        3: ("rewrite-context_v1", "--input", at(2), "--output", at(3), *model),
        4: ("generate-outline_v1", "--input", at(3), "--output", at(4), *model),
        5: (
            "filter-format-correct-and-obtain-stats",
            "--tokenizer",
            SAMPLE / "tokenizer",
            "--skip_conclusion_check",
            "--input",
            at(4),
            "--output",
            at(5),
            "--max-failed",
            "100%",
        ),
    }
    for step, words in steps.items():
        if step >= first_step:
            command(*words)
    measures = [entry.facts["measures"] for entry in read_account(at(5)) if entry.outcome == "ok"]
    return Outcome(
        len(read_collected(chains / "collected.jsonl")),
        len(measures),
        sum(row["parallel_count"] for row in measures),
        sum(row["parallel_ratio"] for row in measures) / max(1, len(measures)),
        text_lost([at(step) for step in (2, 3, 4, 5)]),
    )


def text_lost(folders: Sequence[Path]) -> int:
    """Return the samples in these stage folders from which the chain cannot be restored character for character."""
    lost = 0
    for path in (path for folder in folders for path in sorted(folder.glob("[0-9]*.txt"))):
        sample = read_traced(path)
        try:
            edits.restore(markup.parse(sample.text), sample.lineage)
        except (edits.ConservationError, markup.MarkupError):
            lost += 1
    return lost


def copied(source: Path, count: int, copies: int) -> Iterator[str]:
    """Return the first `count` chains, `copies` times; the copies differ by dots, which no rule reacts to."""
    rows = [json.loads(line) for line in read_text(source).split("\n")[:count] if line]
    for copy in range(copies):
        for row in rows:
            mark = f" (Copy{'.' * (copy + 1)})"
            named = {"uuid": f"copies-{copy * len(rows) + rows.index(row)}", "problem": row["problem"] + mark}
            yield json.dumps({**row, **named}, ensure_ascii=False)


def compare(
    folder: Path, ways: Sequence[str], chains: Path, count: int, copies: int, share: float, again: float
) -> Iterator[tuple[str, Outcome, Mapping[str, int]]]:
    """Yield the undamaged run, named "", then one run per kind of damage, with the server's counts."""
    source = folder / "chains.jsonl"
    source.write_text("\n".join(copied(chains, count, copies)) + "\n", encoding="utf-8")
    recorded = read_recorded(SAMPLE / "recorded.jsonl")
    plain = folder / "plain"
    command(
        "collect_trajectories", "--dataset_path", source, "--output_path", plain / "s0", "--max_samples", count * copies
    )
    with Damaging(recorded=recorded) as server:
        yield "", run(plain, plain, server.url, 1), server.counts
        log = server.log
    for way in ways:
        group, damage = WAYS[way]
        with Damaging(recorded=recorded, damage=damage, plan=plan_of(log, way, share, again)) as server:
            yield way, run(folder / way, plain, server.url, STEP_OF[group]), server.counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chains", type=Path, default=SAMPLE / "chains.jsonl")
    parser.add_argument("--count", type=int, default=12, help="number of chains (12: those with recorded answers)")
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.1, help="share of the replies that are damaged (0.1)")
    parser.add_argument(
        "--again", type=float, default=0.3, help="share of these that are damaged again in the repair turn (0.3)"
    )
    parser.add_argument(
        "--limit", type=float, default=0.05, help="difference from the undamaged run that is allowed (0.05)"
    )
    parser.add_argument("--way", nargs="*", choices=WAYS, default=list(WAYS), help="kinds of damage (all)")
    args = parser.parse_args()
    bad, plain = [], None
    print(
        f"{'way':22}{'damaged':>8}{'as it is':>9}{'repaired':>9}{'twice':>6}{'blocks':>7}{'ratio':>8}{'yield':>8}{'lost':>6}   difference in percent"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for way, found, counts in compare(
            Path(scratch), args.way, args.chains, args.count, args.copies, args.share, args.again
        ):
            plain = plain or found
            moved = found.differences(plain)
            print(
                f"{way or 'undamaged':22}{counts['damaged']:8}{counts['damaged'] - counts['repairs']:9}"
                f"{counts['repairs'] - counts['damaged again']:9}{counts['damaged again']:6}{found.blocks:7}"
                f"{found.ratio:8.3f}{found.accepted / found.read:8.3f}{found.lost:6}   "
                + "  ".join(f"{100 * difference:+5.1f}" for difference in moved),
                flush=True,
            )
            if found.lost or max(map(abs, moved)) > args.limit + 1e-9:
                bad.append(way)
    print(
        f"beyond {args.limit:.0%} or with text lost: {', '.join(bad)}"
        if bad
        else f"all within {args.limit:.0%}, no text lost"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
