"""Tokens and dollars: of one reply, and of all that was asked under one label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

REPAIR = "+repair"


@dataclass(frozen=True)
class Usage:
    """Tokens. `cached` is part of `input`, `reasoning` is part of `output`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


@dataclass
class Tally:
    """What was asked under one label. `recorded` counts the imported ones among `from_ledger`; `paid` (tokens) and `cost` (USD) are of this run; `cost` is None once a reply
    without a known price is among it.
    """

    asked: int = 0
    sent: int = 0
    from_ledger: int = 0
    recorded: int = 0
    retried: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    paid: Usage = field(default_factory=Usage)
    cost: float | None = 0.0

    def add(self, usage: Usage, cost: float | None, *, from_ledger: bool, recorded: bool = False) -> None:
        """Count a reply."""
        self.asked += 1
        if from_ledger:
            self.from_ledger += 1
            self.recorded += recorded
        else:
            self.paid += usage
            self.cost = _plus(self.cost, cost)

    def add_failure(self, code: str) -> None:
        self.asked += 1
        self.failed[code] += 1

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.asked + other.asked,
            self.sent + other.sent,
            self.from_ledger + other.from_ledger,
            self.recorded + other.recorded,
            self.retried + other.retried,
            self.refused + other.refused,
            self.failed + other.failed,
            self.verdicts + other.verdicts,
            self.paid + other.paid,
            _plus(self.cost, other.cost),
        )

    def line(self) -> str:
        """One line for people: calls, tokens, dollars."""
        parts = [f"{self.sent} calls", f"{self.from_ledger} from the ledger"]
        if self.recorded:
            which = "all" if self.recorded == self.from_ledger else self.recorded
            parts[-1] += f" ({which} recorded, $0 paid now)"
        parts += [f"{count} {name}" for name, count in (("retried", self.retried), ("refused", self.refused)) if count]
        parts += [f"{count} {code}" for code, count in sorted(self.failed.items())]
        used = self.paid
        if used.input or used.output:
            parts.append(f"{used.input:,} tokens in ({used.cached:,} cached), {used.output:,} out")
            parts.append("no price known" if self.cost is None else f"${self.cost:.4f}")
        return ", ".join(parts)


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


@dataclass
class Tallies:
    """Tallies by label; a label is `stage` or `stage/sample`."""

    by_label: dict[str, Tally] = field(default_factory=dict)

    def of(self, label: str) -> Tally:
        return self.by_label.setdefault(label, Tally())

    def sum(self, prefix: str = "") -> Tally:
        """Sum over a stage, a sample (its whole label) or, without a prefix, over everything; a repair counts for its
        stage.
        """
        chosen = (
            tally
            for label, tally in self.by_label.items()
            if not prefix or f"{label.replace(REPAIR, '', 1)}/".startswith(f"{prefix}/")
        )
        return sum(chosen, Tally())


def stage_of(label: str) -> str:
    return label.partition("/")[0]


def repair_of(label: str) -> str:
    """Return the label of a repair turn: counted apart, so that a plan can say how many there will be."""
    stage, slash, sample = label.partition("/")
    return f"{stage}{REPAIR}{slash}{sample}"
