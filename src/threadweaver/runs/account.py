"""The account of a run: what became of every sample, from the source to the dataset, and whether the numbers add
up.

Each stage's folder names the folder that it read, so the whole run is found from its last folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.runs import statistics
from threadweaver.runs.entries import LOSSES, PASSED, AccountEntry, chosen, ids_of
from threadweaver.runs.given import ALTERED
from threadweaver.runs.records import read_finished
from threadweaver.runs.stages import STAGES


@dataclass(frozen=True, slots=True)
class StageAccount:
    stage: str
    folder: Path
    settings: Mapping[str, object]
    entries: Sequence[AccountEntry]

    @property
    def label(self) -> str:
        """The word for the samples that pass the stage."""
        return STAGES[self.stage].passed if self.stage in STAGES else self.stage

    @property
    def passed(self) -> Sequence[AccountEntry]:
        return chosen(self.entries, PASSED)

    @property
    def with_blocks(self) -> int | None:
        """How many samples got a parallel block, of the stage that marks them."""
        return len(chosen(self.entries, ("ok",))) if self.stage == "parallel" else None

    @property
    def lost(self) -> Sequence[AccountEntry]:
        return chosen(self.entries, LOSSES)


@dataclass(frozen=True, slots=True)
class Account:
    """The stages of one run, in order."""

    stages: tuple[StageAccount, ...]

    def stage(self, name: str) -> StageAccount | None:
        return next((stage for stage in self.stages if stage.stage == name), None)


def read(last: Path) -> Account:
    """Read the account of the run that ends in the folder `last`, back to its first stage or to a folder that is missing
    or somebody else's. Raises UserError when a stage in between did not end, or its account was changed."""
    found: list[StageAccount] = []
    folder: Path | None = last
    while folder and (done := read_finished(folder)) and done.stage not in {item.stage for item in found}:
        found.append(StageAccount(done.stage, folder, done.settings, done.entries))
        if done.stage == "collect":
            break
        previous = (folder / str(done.settings.get("input"))).resolve()
        previous = previous.parent if previous.is_file() else previous
        folder = previous if previous != folder.resolve() else None
    return Account(tuple(reversed(found)))


def check(account: Account) -> None:
    """Raise UserError if the samples of a stage are not those that the stage before it passed on."""
    for before, stage in zip(account.stages, account.stages[1:], strict=False):
        given = {*ids_of(before.passed)}
        # a file that no stage passed on failed where it was found
        strangers = {entry.id for entry in stage.lost if entry.id not in given and entry.reason == ALTERED}
        held = {*ids_of(stage.entries)} - strangers
        if stage.settings.get("matched_only") is False:  # saved together with sequential chains
            held &= given
        if given != held:
            missing, extra = sorted(given - held), sorted(held - given)
            parts = [f"missing: {', '.join(missing[:5])}"] if missing else []
            parts += [f"unexpected: {', '.join(extra[:5])}"] if extra else []
            raise UserError(
                f"the account does not add up: {before.folder} passed on {len(given)} samples, {stage.folder} has "
                f"{len(held)} ({'; '.join(parts)}): run that stage again"
            )


def losses(stage: StageAccount) -> list[tuple[str, list[str]]]:
    """Return each reason with the ids of the samples that a stage lost for it, most frequent first."""
    reasons: dict[str, list[str]] = {}
    for entry in stage.lost:
        reasons.setdefault(entry.reason or entry.outcome, []).append(entry.id)
    return sorted(reasons.items(), key=lambda item: -len(item[1]))


def funnel(account: Account, *, colour: bool = False) -> str:
    """Return the funnel as text: one line per stage, and below it the reasons for its losses; on a terminal, in
    `colour` and with a bar per stage."""
    from termcolor import colored

    def paint(text: str, *style: str) -> str:
        return colored(text, style[0], attrs=list(style[1:]), force_color=True) if colour else text

    total = len(account.stages[0].entries) if account.stages else 0
    rows = [("read", total, [])] if account.stages and account.stages[0].stage == "collect" else []
    for stage in account.stages:
        rows.append((stage.label, len(stage.passed), losses(stage)))
        if stage.with_blocks is not None:
            rows.append(("  with parallel blocks", stage.with_blocks, []))
    lines = []
    for label, count, lost in rows:
        bar = "█" * round(30 * count / total) if total and colour else ""
        lines.append(f"  {label:<24}{count:>7}  {paint(bar, 'cyan')}")
        for reason, ids in lost:
            lines.append(paint(f"{'':26}{-len(ids):>5}  {reason} ({_few(ids)})", "yellow"))
    return "\n".join(line.rstrip() for line in lines)


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:6]) + (", …" if len(ids) > 6 else "")


def totals(account: Account) -> dict[str, object]:
    """Return blocks, edits, outline faults and rows kept though wrong over the whole run."""
    parallel, rewriting, outlines = (account.stage(name) for name in ("parallel", "rewrite", "outlines"))
    result: dict[str, object] = {}
    if parallel:
        result["blocks"] = _sum(parallel.entries, "blocks")
        result["threads"] = _sum(parallel.entries, "threads")
        unused = Counter(code for entry in parallel.entries for code in entry.facts.get("unused", ()))
        result["blocks_not_used"] = dict(unused.most_common())
    if rewriting:
        result["edits"] = _sum(rewriting.entries, "edits")
        result["edited_characters"] = _sum(rewriting.entries, "edited_characters")
        result["leaks_before"], result["leaks_after"] = (
            _sum(rewriting.entries, f"leaks_{when}") for when in ("before", "after")
        )
    if outlines:
        found = Counter()
        for entry in outlines.entries:
            found.update(entry.facts.get("outline_faults", {}))
        result["outline_faults"] = dict(found.most_common())
        back = Counter(code for entry in outlines.entries for code in entry.facts.get("unused", ()))
        result["blocks_sequentialized"] = dict(back.most_common())
    if worth := _worth(account):
        result["worth"] = worth
    result |= {fact: len(ids) for fact, ids in kept_wrong(account).items()}
    return result


def _worth(account: Account) -> dict[str, float]:
    """Return what the blocks of the accepted trajectories are worth; empty where stage 5 accepted none with a block."""
    filtered = account.stage("filter")
    measured = statistics.measured(filtered.entries) if filtered else ()
    worth = statistics.worth_of([(measures, worths) for _, measures, worths in measured])
    if not worth["blocks"]:
        return {}
    return {
        **{f"blocks {novelty}": group["blocks"] for novelty, group in worth["novelty"].items()},
        "after the answer": worth["after_answer"],
        "saved tokens": worth["saved_tokens"],
        "speedup of new work alone": round(worth["speedup_of_new_work"], 3),
    }


WRONG = {
    "kept_wrong": "kept though their source marks them wrong",
    "disagreement": "marked right by their source, though graded wrong",
}
"""Facts of stage 5 about rows that are kept, and what they mean."""


def kept_wrong(account: Account) -> dict[str, list[str]]:
    """Return, by the facts of `WRONG`, the samples that reach the end of the run though something calls them wrong."""
    judged = account.stage("filter")
    if not judged:
        return {}
    ends = {*ids_of(account.stages[-1].passed)}
    found = {
        fact: [entry.id for entry in judged.passed if entry.id in ends and entry.facts.get(fact)] for fact in WRONG
    }
    return {fact: ids for fact, ids in found.items() if ids}


def spending(account: Account) -> list[dict[str, object]]:
    """Return calls, tokens and dollars of each stage that called a model; `cost_usd` is None where a price is unknown.

    `recorded` of the calls were not made: their replies were imported, and cost `recorded_usd` wherever they were made.
    """
    rows = []
    for stage in account.stages:
        asked = [entry.facts for entry in stage.entries if entry.facts.get("calls")]
        if asked:
            row: dict[str, object] = {"stage": stage.stage}
            for key in ("calls", "repairs", "tokens_in", "tokens_cached", "tokens_out", "recorded"):
                row[key] = sum(int(facts.get(key) or 0) for facts in asked)
            row["recorded_usd"] = sum(float(facts.get("recorded_usd") or 0) for facts in asked)
            known = all("cost_usd" in facts for facts in asked)
            row["cost_usd"] = sum(float(facts["cost_usd"]) for facts in asked) if known else None
            rows.append(row)
    return rows


def _spending_line(account: Account) -> str:
    rows, last = spending(account), account.stages[-1]
    calls, recorded = (sum(row[key] for row in rows) for key in ("calls", "recorded"))
    tokens = sum(row["tokens_in"] + row["tokens_out"] for row in rows)
    line = f"  {calls} model calls, {tokens:,} tokens"
    if recorded == calls:
        return (
            f"{line}: recorded, $0 paid now (${sum(row['recorded_usd'] for row in rows):.4f} when they were recorded)"
        )
    if any(row["cost_usd"] is None for row in rows):
        return f"{line} (no price known: --in-cost-per-million, --out-cost-per-million)"
    cost, accepted = sum(row["cost_usd"] for row in rows), len(last.passed)
    line += f", ${cost:.4f} whenever they were paid"
    if recorded:
        return f"{line} ({recorded} of the calls are recorded ones, which cost nothing here)"
    return line + (f", ${cost / accepted:.4f} per accepted sample" if accepted else "")


def _sum(entries: Sequence[AccountEntry], fact: str) -> int:
    return sum(int(entry.facts.get(fact) or 0) for entry in entries)


def describe(account: Account, *, colour: bool = False) -> str:
    """Return the whole account as text, as printed at the end of a run."""
    lines = [funnel(account, colour=colour)]
    total = totals(account)
    if "blocks" in total:
        unused = ", ".join(f"{code} {count}" for code, count in total["blocks_not_used"].items())
        lines.append(
            f"  {total['blocks']} blocks with {total['threads']} threads" + (f"; not used: {unused}" if unused else "")
        )
    if "worth" in total:
        lines.append("  worth: " + ", ".join(f"{name} {value:,}" for name, value in total["worth"].items()))
    if "edits" in total:
        lines.append(
            f"  {total['edits']} edits, {total['edited_characters']} edited characters; a sibling's mathematics used "
            f"{total['leaks_before']} times before and {total['leaks_after']} times after rewriting"
        )
    for label, name in (
        ("outline faults that remain", "outline_faults"),
        ("blocks made sequential because of their outlines", "blocks_sequentialized"),
    ):
        if total.get(name):
            lines.append(f"  {label}: " + ", ".join(f"{code} {count}" for code, count in total[name].items()))
    lines += [f"  {len(ids)} {WRONG[fact]}: {_few(ids)}" for fact, ids in kept_wrong(account).items()]
    if spending(account):
        lines.append(_spending_line(account))
    return "\n".join(lines)
