"""The mathematics that a passage introduces and uses, and leaks of it between sibling passages.

`leaks(context, passages)` returns the evidence that a passage uses what a sibling introduced: symbols, values,
expressions, labelled results, equations continued. Wording ("as above") is not looked at. Linear in the text.
`Passage`, `Context` and `Lookup` are texts read once, for callers that cut one chain in several ways.
"""

from __future__ import annotations

from threadweaver.independence.context import Context, Lookup
from threadweaver.independence.evidence import CONFIDENT, Leak
from threadweaver.independence.finds import Role
from threadweaver.independence.leaks import leaks, leaks_of
from threadweaver.independence.passage import Passage

__all__ = ["CONFIDENT", "Context", "Leak", "Lookup", "Passage", "Role", "leaks", "leaks_of"]
