"""Statistics of accepted trajectories: a summary, a histogram of each measure, the extremes, a table for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from threadweaver.files import to_json, write_atomic
from threadweaver.runs.folder import AccountEntry
from threadweaver.trajectory.measures import (
    MAX_BLOCKS,
    PUBLISHED,
    PUBLISHED_SPEEDUP,
    Measures,
    dataset_speedup,
    summarize_measures,
)

EXTREMES = 5
"""Trajectories named at each end of each measure."""

LABELS = {
    "total_num_tokens": "tokens a trajectory",
    "num_tokens_in_the_longest_thread": "tokens on the critical path",
    "acceleration_ratio": "acceleration ratio",
    "parallel_ratio": "parallel ratio",
    "parallel_count": "blocks a trajectory",
    "avg_threads_per_parallel_block": "threads a block",
    "avg_thread_length": "tokens a thread",
    "avg_tokens_per_parallel_block": "tokens a block",
    "avg_outlines_block_length": "tokens of outlines a block",
    "avg_conclusion_block_length": "tokens of conclusion a block",
    "training_length": "training length (tokens)",
}


def measures_of(entries: Sequence[AccountEntry]) -> dict[str, Measures]:
    """Sample id -> measures, of the accepted ones, in the order of the account."""
    return {
        entry.id: Measures(**entry.facts["measures"])
        for entry in entries
        if entry.outcome == "ok" and "measures" in entry.facts
    }


def summarize(entries: Sequence[AccountEntry]) -> dict:
    rows = list(measures_of(entries).values())
    conserved = Counter(str(entry.facts.get("conserved")) for entry in entries)
    return {
        "samples": len(entries),
        "accepted": len(rows),
        "rejected": dict(Counter(entry.reason for entry in entries if entry.outcome == "rejected").most_common()),
        "speedup": dataset_speedup(rows),
        "over_15_blocks": sum(row.parallel_count > MAX_BLOCKS for row in rows),
        "answers": dict(Counter(str(entry.facts["answer"]) for entry in entries if "answer" in entry.facts)),
        "edited_answers": [entry.id for entry in entries if entry.facts.get("answer_edits")],
        "conservation": {"held": conserved["True"], "broken": conserved["False"], "unchecked": conserved["None"]},
        "measures": summarize_measures(rows),
        "published": {**PUBLISHED, "speedup": PUBLISHED_SPEEDUP},
    }


def write(folder: Path, name: str, summary: dict, entries: Sequence[AccountEntry], *, fresh: bool) -> None:
    """The sidecar folder; drawn again only when something changed or is missing."""
    path = folder / name
    text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
    if not fresh and path.is_file() and path.read_text() == text:
        return
    rows = measures_of(entries)
    lines = [to_json({"id": id, **_plain(row)}) for id, row in rows.items()]
    write_atomic(folder / "trajectories.jsonl", "".join(line + "\n" for line in lines))
    write_atomic(folder / "extremes.json", json.dumps(extremes(rows), indent=1) + "\n")
    if rows:
        for measure in LABELS:
            write_atomic(
                folder / f"{measure}.png", histogram(measure, [getattr(row, measure) for row in rows.values()])
            )
    write_atomic(path, text)


def _plain(row: Measures) -> dict:
    return {name: getattr(row, name) for name in LABELS}


def extremes(rows: dict[str, Measures]) -> dict:
    """Of each measure, the ids with the highest and the lowest values, each with its value."""
    result = {}
    for name in LABELS:
        ordered = sorted(((getattr(row, name), id) for id, row in rows.items()), key=lambda pair: (pair[0], pair[1]))
        ends = {"lowest": ordered[:EXTREMES], "highest": ordered[::-1][:EXTREMES]}
        result[name] = {end: [{"id": id, "value": value} for value, id in pairs] for end, pairs in ends.items()}
    return result


def histogram(measure: str, values: Sequence[float]) -> bytes:
    """A PNG, the same bytes for the same values; the mean is marked, and the published one where there is one."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, 0.16, 0.88, 0.8))  # automatic layout would draw each figure twice
    axes.hist(values, bins=min(30, max(5, len(set(values)))), color="#4c72b0", edgecolor="white", linewidth=0.5)
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
    """The measures, one a line: mean, min, max, std, and the published mean."""
    if not summary["accepted"]:
        return "  nothing was accepted, so there is nothing to measure"
    lines = [f"  {'':30}{'mean':>10}{'min':>10}{'max':>10}{'std':>10}{'published':>11}"]
    for name, label in LABELS.items():
        row = summary["measures"][name]
        cells = "".join(f"{number(row[key]):>10}" for key in ("mean", "min", "max", "std"))
        lines.append(f"  {label:30}{cells}{_published(name):>11}")
    speedup = f"{number(summary['speedup']):>10}{'':30}{number(PUBLISHED_SPEEDUP):>11}"
    return "\n".join([*lines, f"  {'speedup (self-parallelism)':30}{speedup}"])


def comparison(summary: dict) -> str:
    """The means beside those of the published run, where it names one."""
    lines = [f"  {'':30}{'here':>10}{'published':>11}"]
    for name in PUBLISHED:
        lines.append(f"  {LABELS[name]:30}{number(summary['measures'][name]['mean']):>10}{_published(name):>11}")
    speedup = f"{number(summary['speedup']):>10}{number(PUBLISHED_SPEEDUP):>11}"
    return "\n".join([*lines, f"  {'speedup (self-parallelism)':30}{speedup}"])


def _published(name: str) -> str:
    return number(PUBLISHED[name]) if name in PUBLISHED else ""


def number(value: float) -> str:
    """A figure as people read it: no decimals from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
