"""The figures of an evaluation as text and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

_Figures = Mapping[str, object]
_percent: Callable[[object], str] = "{:.1%}".format
_count: Callable[[object], str] = "{:,.0f}".format
_ratio: Callable[[object], str] = "{:.2f}".format

ROWS: tuple[tuple[str, str, Callable[[object], str]], ...] = (
    ("problems", "problems", _count),
    ("samples", "samples", _count),
    ("accuracy", "accuracy (avg@n)", _percent),
    ("accuracy_interval", "  95 % interval", lambda ends: f"{ends[0]:.1%}–{ends[1]:.1%}"),
    ("solved", "problems solved at least once", _percent),
    ("format_correct", "strict format", _percent),
    ("branching", "samples that branch", _percent),
    ("as_inference_builds_them", "  of these, built as inference does", _percent),
    ("total_tokens", "tokens", _count),
    ("critical_path_tokens", "tokens on the critical path", _count),
    ("speedup", "speedup (mean tokens / mean critical path)", _ratio),
    ("speedup_mean", "  mean of the samples", _ratio),
    ("speedup_max", "  highest", _ratio),
    ("blocks", "blocks per sample", _ratio),
    ("threads_per_block", "threads per block", _ratio),
    ("seconds", "seconds per sample", _ratio),
)


def table(found: _Figures) -> str:
    """Return the table: one column per run, then the faults of format, the comparison, and the figures by blocks."""
    runs: Mapping[str, _Figures] = found["runs"]
    lines = [f"{'':44}" + "".join(f"{name:>16}" for name in runs)]
    for key, label, form in ROWS:
        if any(key in figures for figures in runs.values()):
            cells = (form(figures[key]) if key in figures else "" for figures in runs.values())
            lines.append(f"  {label:42}" + "".join(f"{cell:>16}" for cell in cells))
    for name, figures in runs.items():
        if faults := figures["format_faults"]:
            lines.append(f"  {name}, not strict: " + ", ".join(f"{count} {fault}" for fault, count in faults.items()))
    if comparison := found.get("comparison"):
        low, high = comparison["accuracy_difference_interval"]
        lines += [
            f"  on the {comparison['problems']:,} problems that both have: accuracy "
            f"{comparison['accuracy_difference']:+.1%} ({low:+.1%} to {high:+.1%}), "
            f"critical path {comparison['critical_path_speedup']:.2f} × shorter than the sequential run's tokens"
        ]
    for name, figures in runs.items():
        if figures["branching"]:
            lines += ["", *_by_blocks(name, figures["by_blocks"])]
    return "\n".join(lines) + "\n"


def _by_blocks(name: str, groups: list[_Figures]) -> list[str]:
    lines = [f"  {name}, by blocks {'samples':>10}{'accuracy':>10}{'tokens':>10}{'critical':>10}{'speedup':>10}"]
    width = len(name) + len(", by blocks ")
    for group in groups:
        cells = (
            _count(group["samples"]),
            _percent(group["accuracy"]),
            _count(group["total_tokens"]),
            _count(group["critical_path_tokens"]),
            _ratio(group["speedup"]),
        )
        lines.append(f"  {group['blocks']:>{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return lines


def plot(found: _Figures) -> bytes:
    """Draw a PNG: accuracy with its interval, and tokens beside the critical path; the same figures give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    runs: Mapping[str, _Figures] = found["runs"]
    names, places = list(runs), range(len(runs))
    figure = Figure(figsize=(7, 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    accuracies = [figures["accuracy"] for figures in runs.values()]
    ends = [figures["accuracy_interval"] for figures in runs.values()]
    below = [value - low for value, (low, _) in zip(accuracies, ends, strict=True)]
    above = [high - value for value, (_, high) in zip(accuracies, ends, strict=True)]
    left.errorbar(places, accuracies, yerr=[below, above], fmt="o", color="#4c72b0", capsize=5)
    left.set_ylim(0, 1)
    left.set_ylabel("accuracy, 95 % interval")
    total = [figures["total_tokens"] for figures in runs.values()]
    critical = [figures["critical_path_tokens"] for figures in runs.values()]
    right.bar([at - 0.2 for at in places], total, 0.38, label="all", color="#a9bcd8")
    right.bar([at + 0.2 for at in places], critical, 0.38, label="critical path", color="#4c72b0")
    right.set_ylabel("tokens per sample")
    right.legend(frameon=False, fontsize="small")
    for axes in (left, right):
        axes.set_xticks(list(places), names)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.spines[["top", "right"]].set_visible(False)
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
