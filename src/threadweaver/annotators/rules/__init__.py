"""The rules annotator: the three questions of the pipeline, answered from the text alone.

Pure functions, deterministic, no network: `annotate_steps` says which passages may run side by side,
`propose_edits` mends a thread's beginning, `propose_outlines` tells what each thread sets out to do.
"""

from __future__ import annotations

from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.annotators.rules.wording import propose_edits

__all__ = ["annotate_steps", "propose_edits", "propose_outlines"]
