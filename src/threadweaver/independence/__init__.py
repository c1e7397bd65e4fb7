"""What a passage defines, uses and points back to; leaks between sibling passages.

`leaks(context, passages)` gives for every ordered pair of siblings the evidence that one uses what the other
introduced; `pair_scores` sums it up, and from `DEPENDENT` on the sum counts. Linear in the text. `Passage`, `Context` and `Lookup` are texts read once, for callers that
cut one chain in many ways.
"""

from __future__ import annotations

from threadweaver.independence.context import Context, Lookup
from threadweaver.independence.evidence import CONFIDENT, MATHEMATICAL, Leak
from threadweaver.independence.finds import Role
from threadweaver.independence.leaks import DEPENDENT_PAIR, leaks, leaks_of, pair_scores
from threadweaver.independence.passage import Passage

__all__ = [
    "CONFIDENT",
    "DEPENDENT_PAIR",
    "MATHEMATICAL",
    "Context",
    "Leak",
    "Lookup",
    "Passage",
    "Role",
    "leaks",
    "leaks_of",
    "pair_scores",
]
