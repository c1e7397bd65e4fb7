"""Facts about the run as a whole, for the page."""

from __future__ import annotations

from dataclasses import asdict

from threadweaver.viewer import stages
from threadweaver.viewer.gauge import ESTIMATE
from threadweaver.viewer.indexing import Indexer
from threadweaver.viewer.reviews import Reviews
from threadweaver.viewer.runs import Run
from threadweaver.viewer.table import FACETS, MEASURES

EXPORT_LIMIT = 500
"""Samples on one exported page: a trajectory of 35 KB becomes some 150 KB with its formulas, so 500 make 75 MB."""


def about(run: Run, indexer: Indexer, kept: Reviews) -> dict:
    """Return what the page shows of the run: its stages, the measures, the state of the index."""
    filtered = run.place("filter")
    counted = (filtered.settings.get("tokenizer") if filtered and run.kind == "filter" else None) or ""
    return {
        "name": run.root.name,
        "kind": run.kind,
        "stages": stages.funnel(run),
        "measures": [{"name": name, "label": label, "unit": unit} for name, (label, unit) in MEASURES.items()],
        "facets": [{"name": name, "title": title} for name, title in FACETS.items()],
        "index": asdict(indexer.status),
        "generation": indexer.generation,
        "review": kept.path.name,
        "tokenizer": {"name": indexer.gauge.name if indexer.gauge.exact else counted, "estimate": ESTIMATE},
        "export_limit": EXPORT_LIMIT,
        "static": False,
    }
