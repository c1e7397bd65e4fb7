"""What a passage defines, uses and points back to; leaks between sibling passages; loops in a chain.

`leaks(context, passages)` gives for every ordered pair of siblings the evidence that one uses what the other
introduced; `pair_scores` sums it up; `looping` says how much of a chain only repeats itself. Linear in the text.
"""

from __future__ import annotations

from threadweaver.dependencies.leaks import CERTAIN, Leak, leaks, leaks_between, pair_scores
from threadweaver.dependencies.loops import DEGENERATE_SHARE, looping
from threadweaver.dependencies.mathscan import Facts, Role, scan

__all__ = [
    "CERTAIN", "DEGENERATE_SHARE", "Facts", "Leak", "Role", "leaks", "leaks_between", "looping", "pair_scores", "scan",
]
