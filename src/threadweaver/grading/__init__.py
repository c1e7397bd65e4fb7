"""Decide whether an answer is the reference answer.

`final_answer` cuts the answer out of a model's output; `grade` and `grade_many` judge it: by comparison after
normalization where that settles it (three answers of four), else by algebra in processes that can be killed.
"""

from threadweaver.grading.boxed import final_answer
from threadweaver.grading.statements import settled_at
from threadweaver.grading.verdict import Verdict
from threadweaver.grading.workers import Grader, Reference, at_once, expect, grade, grade_many

__all__ = ["Grader", "Reference", "Verdict", "at_once", "expect", "final_answer", "grade", "grade_many", "settled_at"]
