"""What a passage defines, uses and points back to; leaks between sibling passages; loops in a chain.

`leaks(context, passages)` gives for every ordered pair of siblings the evidence that one uses what the other
introduced; `pair_scores` sums it up, and from `DEPENDENT` on the sum counts; `looping` says how much of a chain
only repeats itself. Linear in the text. `Passage`, `Context` and `Lookup` are texts read once, for callers that
cut one chain in many ways.
"""

from __future__ import annotations

from threadweaver.dependencies.context import Context, Lookup
from threadweaver.dependencies.evidence import CERTAIN, SUBSTANCE, Leak
from threadweaver.dependencies.finds import Role
from threadweaver.dependencies.leaks import DEPENDENT, leaks, leaks_of, pair_scores
from threadweaver.dependencies.loops import DEGENERATE_SHARE, looping
from threadweaver.dependencies.passage import Passage

__all__ = [
    "CERTAIN",
    "DEGENERATE_SHARE",
    "DEPENDENT",
    "SUBSTANCE",
    "Context",
    "Leak",
    "Lookup",
    "Passage",
    "Role",
    "leaks",
    "leaks_of",
    "looping",
    "pair_scores",
]
