"""The account of a run as a self-contained page and as JSON: funnel, losses with examples, measures, edits, cost, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from threadweaver.files import to_pretty_json, write_atomic
from threadweaver.runs import account, statistics
from threadweaver.runs.account import Account, StageAccount
from threadweaver.runs.entries import counts
from threadweaver.runs.statistics import Bins
from threadweaver.samples import read_sample
from threadweaver.text import whole
from threadweaver.trajectory.measures import PUBLISHED, PUBLISHED_SPEEDUP, Measures, dataset_speedup, summarize_measures

WIDE, TALL = 240, 58
"""Of a histogram, in units of its drawing."""
EXAMPLE_CHARS = 600
TEMPLATE = Path(__file__).with_name("page.html")


def build(run: Account) -> dict:
    """Return all that the page shows as plain values; the same run gives the same values."""
    filtered = run.stage("filter")
    accepted = list(statistics.measures_of(filtered.entries).values()) if filtered else []
    summaries = summarize_measures(accepted)
    return {
        "name": run.stages[0].folder.name if run.stages else "",
        "funnel": [_stage(stage) for stage in run.stages],
        "read": len(run.stages[0].entries) if run.stages else 0,
        "totals": account.totals(run),
        "cost": _cost(run, len(accepted)),
        "measures": [_measure(name, accepted, summaries[name]) for name in statistics.LABELS] if accepted else [],
        "speedup": {"here": dataset_speedup(accepted), "published": PUBLISHED_SPEEDUP},
        "settings": [dict(stage.settings) for stage in run.stages],
    }


def _stage(stage: StageAccount) -> dict:
    return {
        "stage": stage.stage,
        "label": stage.label,
        "folder": stage.folder.name,
        "in": len(stage.entries),
        "passed": len(stage.passed),
        "with_blocks": stage.with_blocks,
        "outcomes": dict(counts(stage.entries)),
        "losses": [
            {"reason": reason, "count": len(ids), "ids": ids, "example": _example(stage, ids[0])}
            for reason, ids in account.losses(stage)
        ],
    }


def _example(stage: StageAccount, id: str) -> dict:
    """Return the first sample lost for a reason, with the detail and the beginning of its text, if that was kept."""
    entry = next(entry for entry in stage.lost if entry.id == id)
    detail = str(entry.facts.get("detail") or entry.facts.get("error") or "")
    kept = stage.folder / "rejected" / f"{id}.txt"
    text = read_sample(kept)[:EXAMPLE_CHARS] if kept.is_file() else ""
    return {"id": id, "uuid": entry.uuid, "detail": detail, "text": text}


def _cost(run: Account, accepted: int) -> list[dict]:
    """Return calls, tokens and dollars of each stage that called a model, and its dollars per accepted sample."""
    return [
        {
            **row,
            "cost_per_accepted_sample": row["cost_usd"] / accepted
            if accepted and row["cost_usd"] is not None
            else None,
        }
        for row in account.spending(run)
    ]


def _measure(name: str, rows: Sequence[Measures], summary: Mapping) -> dict:
    values = [float(getattr(row, name)) for row in rows]
    bins = Bins.of(values)
    return {
        "name": name,
        "label": statistics.LABELS[name],
        "published": PUBLISHED.get(name),
        **bins.to_json(),
        "counts": bins.counts(values),
        **summary,
    }


def drawn(measure: Mapping) -> dict:
    """Return where the bars and lines of a measure's histogram are, in units of the drawing; see `Bins`.

    The bar of what is beyond the bins of equal width is as wide as they are, and half a bin apart.
    """
    edges, counts = list(measure["edges"]), measure["counts"]
    width = edges[1] - edges[0]
    if measure["cut"]:
        edges[-2:] = [edges[-2] + width / 2, edges[-2] + 1.5 * width]
    marks = {name: measure[name] for name in ("mean", "published") if measure[name] is not None}
    low, high = min(edges[0], *marks.values()), max(edges[-1], *marks.values())
    scale, peak = WIDE / (high - low), max(counts)
    bars = [
        {"x": (edge - low) * scale, "width": width * scale, "height": TALL * number / peak, "count": number}
        for edge, number in zip(edges, counts, strict=False)
        if number
    ]
    return {"bars": bars, "marks": {name: (value - low) * scale for name, value in marks.items()}, "peak": peak}


def write(run: Account, stem: Path) -> Path:
    """Write `<stem>.json` and `<stem>.html`; return the path of the page."""
    data = build(run)
    write_atomic(stem.with_name(stem.name + ".json"), to_pretty_json(data))
    page = stem.with_name(stem.name + ".html")
    write_atomic(page, whole(render(data)))
    return page


def render(data: Mapping) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": statistics.number, "drawn": drawn}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(run=data)
