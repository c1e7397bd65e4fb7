"""Outlines: what each thread of a block sets out to do, told before any of them begins.

`questions` asks for them, `faults` says what is wrong with an answer, whoever gave it, `insert` writes them.
"""

from __future__ import annotations

from threadweaver.outline.faults import CODES, MAX_CHARS, TOLD, UNFIT, Fault, fault, faults, is_placeholder, unfit
from threadweaver.outline.questions import Question, insert, questions
from threadweaver.outline.told import OPENING, results_told

__all__ = [
    "CODES",
    "MAX_CHARS",
    "OPENING",
    "TOLD",
    "UNFIT",
    "Fault",
    "Question",
    "fault",
    "faults",
    "insert",
    "is_placeholder",
    "questions",
    "results_told",
    "unfit",
]
