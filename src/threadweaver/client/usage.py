"""Counts of calls, tokens and dollars by label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from threadweaver.client.requests import Reply, Usage


@dataclass
class Tally:
    """What one label asked for. `paid` and `cost` are of this run, `usage_before` and `cost_before` of
    replies that were in the ledger; costs in USD, None once a reply without a known price is among them.
    """

    asked: int = 0
    sent: int = 0
    from_ledger: int = 0
    retried: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    paid: Usage = field(default_factory=Usage)
    cost: float | None = 0.0
    usage_before: Usage = field(default_factory=Usage)
    cost_before: float | None = 0.0

    def add(self, reply: Reply) -> None:
        self.asked += 1
        if reply.from_ledger:
            self.from_ledger += 1
            self.usage_before += reply.usage
            self.cost_before = _plus(self.cost_before, reply.cost)
        else:
            self.paid += reply.usage
            self.cost = _plus(self.cost, reply.cost)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.asked + other.asked,
            self.sent + other.sent,
            self.from_ledger + other.from_ledger,
            self.retried + other.retried,
            self.refused + other.refused,
            self.failed + other.failed,
            self.verdicts + other.verdicts,
            self.paid + other.paid,
            _plus(self.cost, other.cost),
            self.usage_before + other.usage_before,
            _plus(self.cost_before, other.cost_before),
        )

    def line(self) -> str:
        """One line for people: calls, tokens, dollars."""
        parts = [f"{self.sent} calls", f"{self.from_ledger} from the ledger"]
        parts += [f"{count} {name}" for name, count in (("retried", self.retried), ("refused", self.refused)) if count]
        parts += [f"{count} {code}" for code, count in sorted(self.failed.items())]
        used = self.paid
        if used.input or used.output:
            parts.append(f"{used.input:,} tokens in ({used.cached:,} cached), {used.output:,} out")
            parts.append("no price known" if self.cost is None else f"${self.cost:.4f}")
        return ", ".join(parts)


REPAIR = "+repair"


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


@dataclass
class Tallies:
    """By label; a label is `stage` or `stage/sample`."""

    by_label: dict[str, Tally] = field(default_factory=dict)

    def of(self, label: str) -> Tally:
        return self.by_label.setdefault(label, Tally())

    def sum(self, prefix: str = "") -> Tally:
        """Of a stage, a sample (its whole label) or, without a prefix, of everything; repairs are of their stage."""
        chosen = (
            tally
            for label, tally in self.by_label.items()
            if not prefix or f"{label.replace(REPAIR, '', 1)}/".startswith(f"{prefix}/")
        )
        return sum(chosen, Tally())

    def stages(self) -> dict[str, Tally]:
        return {stage: self.sum(stage) for stage in sorted({stage_of(label) for label in self.by_label})}


def stage_of(label: str) -> str:
    return label.partition("/")[0]


def repair_of(label: str) -> str:
    """The label of a repair turn: told apart, so that a plan can say how many there will be."""
    stage, slash, sample = label.partition("/")
    return f"{stage}{REPAIR}{slash}{sample}"
