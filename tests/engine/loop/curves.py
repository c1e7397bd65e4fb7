"""Draw the losses of trainings: one line per model, over the tokens that it has seen.

Usage   python tests/engine/loop/curves.py OUTPUT.png MODEL/trained.json …
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from statistics import fmean

WINDOW = 20
"""Steps that a point of a line is the mean of."""


def read(folder: Path) -> tuple[list[int], list[float]]:
    """Return tokens seen and mean loss."""
    with open(folder / "loss.csv", newline="") as file:
        rows = [(int(row["tokens"]), float(row["loss"])) for row in csv.DictReader(file)]
    pieces = [rows[first : first + WINDOW] for first in range(0, len(rows), WINDOW)]
    return [piece[-1][0] for piece in pieces], [fmean(loss for _, loss in piece) for piece in pieces]


def main() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    output, *trained = map(Path, sys.argv[1:])
    figure = Figure(figsize=(7, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for folder in (path.parent for path in trained):
        tokens, losses = read(folder)
        axes.plot([count / 1e6 for count in tokens], losses, label=folder.name)
    axes.set_yscale("log")
    axes.set_xlabel("million tokens seen")
    axes.set_ylabel("loss per trained token")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, metadata={"Software": None})
    print(f"→ {output}")


if __name__ == "__main__":
    main()
