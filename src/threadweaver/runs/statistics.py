"""Statistics of accepted trajectories: a summary, histograms, extremes, and a table for the terminal."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO, StringIO
from math import ceil, sqrt
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import read_text, to_json, to_pretty_json, write_atomic
from threadweaver.runs.entries import AccountEntry
from threadweaver.runs.pool import Died, in_order
from threadweaver.text import whole
from threadweaver.trajectory.measures import (
    MAX_BLOCKS,
    PUBLISHED,
    PUBLISHED_SPEEDUP,
    Measures,
    dataset_speedup,
    speedup_of,
    summarize_measures,
)

EXTREMES = 5
"""Number of trajectories listed at each end of each measure."""

FEWEST, BINS = 6, 36
"""Bins of a histogram, at least and at most."""
USUAL = 0.995
"""The share of the values that the bins of equal width cover where the rest would flatten the histogram."""

LABELS = {
    "total_num_tokens": "tokens per trajectory",
    "num_tokens_in_the_longest_thread": "tokens on the critical path",
    "acceleration_ratio": "acceleration ratio",
    "parallel_ratio": "parallel ratio",
    "parallel_count": "blocks per trajectory",
    "avg_threads_per_parallel_block": "threads per block",
    "avg_thread_length": "tokens per thread",
    "avg_tokens_per_parallel_block": "tokens per block",
    "avg_outlines_block_length": "outline tokens per block",
    "avg_conclusion_block_length": "conclusion tokens per block",
    "training_length": "training length (tokens)",
}


def measures_of(entries: Sequence[AccountEntry]) -> dict[str, Measures]:
    """Map the ids of the accepted samples to their measures, in the order of the account."""
    return {id: measures for id, measures, _ in measured(entries)}


def measured(entries: Iterable[AccountEntry]) -> Iterator[tuple[str, Measures, Sequence[dict]]]:
    """Yield the id and the measures of every accepted sample, and what each of its blocks is worth."""
    for entry in entries:
        if entry.outcome == "ok" and "measures" in entry.facts:
            yield entry.id, Measures(**entry.facts["measures"]), entry.facts.get("worth", ())


def summarize(entries: Sequence[AccountEntry]) -> dict:
    found = [(measures, worth) for _, measures, worth in measured(entries)]
    rows, worth = [measures for measures, _ in found], worth_of(found)
    rejected, conserved, answers, counted, edited = Counter(), Counter(), Counter(), Counter(), []
    for entry in entries:
        rejected.update((entry.reason,) if entry.outcome == "rejected" else ())
        conserved[str(entry.facts.get("conserved"))] += 1
        answers.update((str(entry.facts["answer"]),) if "answer" in entry.facts else ())
        counted.update({name: int(entry.facts.get(name, False)) for name in ("disagreement", "kept_wrong")})
        edited += [entry.id] if entry.facts.get("answer_edits") else []
    return {
        "samples": len(entries),
        "accepted": len(rows),
        "rejected": dict(rejected.most_common()),
        "speedup": dataset_speedup(rows),
        "speedup_of_new_work": worth.pop("speedup_of_new_work"),
        "worth": worth,
        "over_15_blocks": sum(row.parallel_count > MAX_BLOCKS for row in rows),
        "answers": dict(answers),
        "disagreements": counted["disagreement"],
        "kept_wrong": counted["kept_wrong"],
        "edited_answers": edited,
        "conservation": {"held": conserved["True"], "broken": conserved["False"], "unchecked": conserved["None"]},
        "measures": summarize_measures(rows),
        "published": {**PUBLISHED, "speedup": PUBLISHED_SPEEDUP},
    }


def _saved(blocks: Sequence[dict], *, new: bool) -> int:
    return sum(block["saved_tokens"] for block in blocks if block["new"] or not new)


def worth_of(found: Sequence[tuple[Measures, Sequence[dict]]]) -> dict:
    """Return what the blocks of the accepted trajectories are worth, given what `measured` finds of each: counts and
    saved tokens by kind and novelty, what was settled before them, and the speedup of the dataset if only new work saved
    any time."""
    blocks = [block for _, worths in found for block in worths]
    result: dict = {"blocks": len(blocks), "new": sum(block["new"] for block in blocks)}
    result["saved_tokens"] = _saved(blocks, new=False)
    saved = [_saved(worths, new=True) for _, worths in found]
    result["speedup_of_new_work"] = speedup_of([measures for measures, _ in found], saved)
    result["after_answer"] = sum(block["after_answer"] for block in blocks)
    for name in ("kind", "novelty"):
        values = sorted({block[name] or "unnamed" for block in blocks})
        groups = {value: [block for block in blocks if (block[name] or "unnamed") == value] for value in values}
        result[name] = {
            value: {"blocks": len(group), "saved_tokens": _saved(group, new=False)} for value, group in groups.items()
        }
    settled = [block["settled"] for block in blocks if block["settled"] is not None]
    result["settled"] = round(sum(settled) / len(settled), 3) if settled else None
    return result


def write(
    folder: Path, name: str, summary: dict, entries: Sequence[AccountEntry], *, fresh: bool, jobs: int = 1
) -> None:
    """Write the sidecar folder, but only if something changed or is missing; at most `jobs` processes draw."""
    path = folder / name
    text = to_pretty_json(summary)
    if not fresh and path.is_file() and read_text(path) == text:
        return
    rows = [
        {"id": whole(id), **{name: getattr(row, name) for name in LABELS}} for id, row in measures_of(entries).items()
    ]
    write_atomic(folder / "trajectories.jsonl", "".join(to_json(row) + "\n" for row in rows))
    write_atomic(folder / "trajectories.csv", _csv(rows))
    write_atomic(folder / "extremes.json", to_pretty_json(extremes(rows)))

    def draw(measure: str) -> bytes:
        return histogram(measure, [row[measure] for row in rows])

    with closing(in_order(LABELS if rows else (), draw, jobs)) as drawn:
        for measure, picture in drawn:
            if isinstance(picture, Died):
                raise UserError(f"{measure}.png cannot be drawn: {picture.detail}")
            write_atomic(folder / f"{measure}.png", picture)
    write_atomic(path, text)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    out = StringIO()
    writer = csv.DictWriter(out, ["id", *LABELS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def extremes(rows: Sequence[Mapping[str, object]]) -> dict:
    """Return the ids with the highest and the lowest values of each measure, each with its value."""
    result = {}
    for name in LABELS:
        ordered = sorted((row[name], row["id"]) for row in rows)
        lowest, highest = ordered[:EXTREMES], ordered[::-1][:EXTREMES]
        result[name] = {
            end: [{"id": id, "value": value} for value, id in found]
            for end, found in (("lowest", lowest), ("highest", highest))
        }
    return result


@dataclass(frozen=True, slots=True)
class Bins:
    """The bins of a histogram: `number` of equal width from `low` on, and one more up to `highest` if that is beyond them.

    A bin holds its lower edge. The same bins are drawn in the viewer, on the account's page and in the PNGs.
    """

    low: float
    width: float
    number: int
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Bins:
        """Return the bins of values, of which there must be one."""
        ordered = sorted(values)
        whole = all(value == int(value) for value in ordered)
        number = len(ordered)
        return cls.between(ordered[0], ordered[cls.usual_rank(number)], ordered[-1], number, whole=whole)

    @classmethod
    def between(cls, low: float, usual: float, highest: float, number: int, *, whole: bool) -> Bins:
        """Return the bins of so many values from `low` to `highest`; `usual` is the value at `usual_rank`.

        Few values get few bins. Bins of whole numbers hold equally many of them: one each if these are at most BINS.
        """
        bins = min(BINS, max(FEWEST, 2 * ceil(sqrt(number))))
        if highest - low <= 1.5 * (usual - low):
            usual = highest
        span = (usual if usual > low else highest) - low
        if whole:
            width = 1 if span < BINS else ceil((span + 1) / bins)
            return cls(low - 0.5, float(width), ceil((span + 1) / width), highest)
        return cls(low, span / bins, bins, highest) if span else cls(low - 0.5, 1.0, 1, highest)

    @staticmethod
    def usual_rank(number: int) -> int:
        """Return the position of the highest usual one among so many ordered values."""
        return ceil(USUAL * (number - 1))

    @property
    def end(self) -> float:
        """The upper edge of the last bin of equal width."""
        return self.low + self.number * self.width

    @property
    def is_cut(self) -> bool:
        """Whether the last bin holds what is beyond those of equal width."""
        return self.highest > self.end + 1e-9 * abs(self.end)

    def __len__(self) -> int:
        return self.number + self.is_cut

    @property
    def edges(self) -> list[float]:
        ends = [float(f"{self.low + at * self.width:.9g}") for at in range(self.number + 1)]
        return [*ends, self.highest] if self.is_cut else ends

    def counts(self, values: Sequence[float]) -> list[int]:
        counts = [0] * len(self)
        for value in values:
            counts[min(len(self) - 1, int((value - self.low) / self.width))] += 1
        return counts

    def to_json(self) -> dict:
        return {"edges": self.edges, "cut": self.is_cut, "highest": self.highest}


def histogram(measure: str, values: Sequence[float]) -> bytes:
    """Draw a PNG with lines at the mean and at the published mean, if any; the same values give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 3.4), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.12, 0.16, 0.84, 0.8))  # automatic layout would draw each figure twice
    bins = Bins.of(values)
    counts, style = bins.counts(values), {"width": bins.width, "align": "edge", "edgecolor": "white", "linewidth": 0.5}
    axes.bar([bins.low + at * bins.width for at in range(bins.number)], counts[: bins.number], color="#4c72b0", **style)
    if bins.is_cut:
        beyond = f"{counts[-1]} from {number(bins.end)} to {number(bins.highest)}"
        axes.bar(bins.end + bins.width / 2, counts[-1], color="#b8c6de", label=beyond, **style)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    mean = sum(values) / len(values)
    axes.axvline(mean, color="#c44e52", linewidth=1.5, label=f"mean {number(mean)}")
    if measure in PUBLISHED:
        published = PUBLISHED[measure]
        axes.axvline(published, color="#8c8c8c", linewidth=1.5, linestyle="--", label=f"published {number(published)}")
    axes.set_xlabel(LABELS[measure])
    axes.set_ylabel("trajectories")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def table(summary: dict) -> str:
    """Return the measures, one per line: mean, min, max, std, and the published mean."""
    if not summary["accepted"]:
        return "  nothing was accepted, so there is nothing to measure"
    lines = [f"  {'':30}{'mean':>10}{'min':>10}{'max':>10}{'std':>10}{'published':>11}"]
    for name, label in LABELS.items():
        row = summary["measures"][name]
        cells = "".join(f"{number(row[key]):>10}" for key in ("mean", "min", "max", "std"))
        lines.append(f"  {label:30}{cells}{_published(name):>11}")
    speedup = f"{number(summary['speedup']):>10}{'':30}{number(PUBLISHED_SPEEDUP):>11}"
    new = f"{number(summary['speedup_of_new_work']):>10}"
    worth = summary["worth"]
    lines += [f"  {'speedup (self-parallelism)':30}{speedup}", f"  {'speedup of new work alone':30}{new}"]
    lines += [
        f"  {worth['new']} of {worth['blocks']} blocks are new work, {worth['after_answer']} begin after the answer"
        + (
            f"; {worth['settled']:.0%} of the values that threads end with were known"
            if worth["settled"] is not None
            else ""
        )
    ]
    return "\n".join(lines)


def comparison(summary: dict) -> str:
    """Return the means next to those of the published run, for the measures that it reports."""
    lines = [f"  {'':30}{'here':>10}{'published':>11}"]
    for name in PUBLISHED:
        lines.append(f"  {LABELS[name]:30}{number(summary['measures'][name]['mean']):>10}{_published(name):>11}")
    speedup = f"{number(summary['speedup']):>10}{number(PUBLISHED_SPEEDUP):>11}"
    return "\n".join([*lines, f"  {'speedup (self-parallelism)':30}{speedup}"])


def _published(name: str) -> str:
    return number(PUBLISHED[name]) if name in PUBLISHED else ""


def number(value: float) -> str:
    """Format a number for people: without decimals from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
