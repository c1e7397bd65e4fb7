"""Judge an answer against one reference: the steps in order, cheap ones first.

`in_parent` does what text and rational numbers can do and reports what remains; `by_algebra` and `by_rewards` do that in
a process that can be killed; `conclude` combines the findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from threadweaver.grading import compare, guards, rewards, words
from threadweaver.grading.normalize import key, normalize


@dataclass(frozen=True)
class Verdict:
    """`how` names the deciding step: exact, rules, algebra, math-verify, rewards, no answer, guard: …, time-out, …

    `rl` is the verdict of a reinforcement-learning reward, None if it is not known. "undecided" is not "wrong": a dataset
    should neither keep such an answer nor count it as a mistake.
    """

    verdict: Literal["correct", "wrong", "undecided"]
    how: str
    rl: bool | None

    @property
    def correct(self) -> bool:
        return self.verdict == "correct"


@dataclass(frozen=True)
class Finding:
    """What is known about a pair so far; `how` is "" until a step has settled it."""

    how: str = ""
    correct: bool | None = None
    rl: bool | None = None

    @property
    def asks_algebra(self) -> bool:
        return not self.how

    @property
    def asks_rewards(self) -> bool:
        return self.rl is None and not self.how.startswith("guard")


def in_parent(answer: str, reference: str) -> Finding:
    """Return what text and rational numbers settle. Takes milliseconds for any texts."""
    if answer.strip() == reference.strip():
        return Finding("exact", True, True)
    refused = guards.refusal(answer) or guards.refusal(reference)
    if refused:
        same_text = "".join(answer.split()) == "".join(reference.split())
        return Finding("exact", True, True) if same_text else Finding(f"guard: {refused}")
    mine, theirs = normalize(answer), normalize(reference)
    rl = rewards.without_algebra(answer, reference)
    if not key(theirs):
        return Finding("nothing to read", None, rl)
    if key(mine) == key(theirs):
        return Finding("exact", True, rl)
    correct = compare.same(mine, theirs)
    return Finding("" if correct is None else "rules", correct, rl)


def by_algebra(answer: str, reference: str) -> Finding:
    """Return what sympy and math-verify settle. May hang or run out of memory: for a process that can be killed."""
    from threadweaver.grading import algebra

    mine, theirs = normalize(answer), normalize(reference)
    try:
        correct = compare.same(mine, theirs, algebra.leaf)
        if correct is None:
            whole = algebra.whole(mine, theirs)
            if (words.turns if whole else words.leave_open)(mine, theirs):
                return Finding()
            return Finding("" if whole is None else "math-verify" if whole else "algebra", whole)
    except algebra.TooLong:
        return Finding("guard: too long for algebra")
    return Finding("algebra", correct)


def by_rewards(answer: str, reference: str) -> bool:
    return rewards.verdict(answer, reference)


def conclude(finding: Finding) -> Verdict:
    """Return the verdict; what no step settled is undecided."""
    if finding.correct is not None:
        return Verdict("correct" if finding.correct else "wrong", finding.how, finding.rl)
    return Verdict("undecided", finding.how or "no rule decides", finding.rl)


def combine(verdicts: list[Verdict]) -> Verdict:
    """Combine one answer's verdicts against several references, any of which is accepted."""
    rewards_say = [verdict.rl for verdict in verdicts]
    rl = True if True in rewards_say else None if None in rewards_say else False
    for wanted in ("correct", "undecided", "wrong"):
        chosen = next((verdict for verdict in verdicts if verdict.verdict == wanted), None)
        if chosen is not None:
            return Verdict(chosen.verdict, chosen.how, rl)
    return Verdict("undecided", "no reference", None)
