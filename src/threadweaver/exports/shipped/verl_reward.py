"""The reward for a `verl-rl` export: 1.0 if the last box of the answer equals the reference, else 0.0.

Give it to verl as `reward.custom_reward_function.path=…/verl_reward.py` (`name=compute_score`). Needs math-verify.
"""

from __future__ import annotations

from math_verify import parse, verify


def compute_score(data_source, solution_str, ground_truth, extra_info=None) -> float:
    answer = solution_str.rpartition("</think>")[2]
    # an unwrapped reference is parsed as prose, and a third of all answers would not equal themselves
    return float(verify(parse(f"\\boxed{{{ground_truth}}}"), parse(answer)))
