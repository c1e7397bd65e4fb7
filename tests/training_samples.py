"""A collected sample and its trajectory, for tests of training rows and of saving."""

from __future__ import annotations

from threadweaver.samples import Sample
from threadweaver.trajectory import markup

RESERVED = {"prompt", "completion", "messages", "conversations", "input_ids"}
REASONING = (
    f"We begin.\n{markup.write_block(['first way', 'second way'], ['directly', 'by the complement'])}\nSo it is 5."
)


def sample(n: int = 0, **changes) -> Sample:
    fields = {
        "index": n,
        "uuid": f"set-{n}",
        "problem": f"What is {n} + 5?",
        "thinking": "We begin.",
        "solution": "5",
        "correctness": True,
        "output": r"\boxed{5}",
    }
    return Sample(**{**fields, **changes})
