"""What a command prints at its end: a summary of the samples, and the exit code."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from threadweaver.errors import runs_in_a_chain
from threadweaver.runs.entries import LOSSES, OUTCOMES, PASSED, AccountEntry, chosen, counts
from threadweaver.runs.flags import allowed_failures
from threadweaver.runs.runner import CAP_REACHED, NOT_IN_LEDGER, StageReport
from threadweaver.text import shown


def print_summary(title: str, report: StageReport, folder: Path) -> None:
    """Print what became of the samples and where they are, and one line per reason for a loss."""
    total = len(report.entries)
    found = counts(report.entries)
    shown_counts = ", ".join(f"{found[outcome]} {outcome}" for outcome in OUTCOMES if found[outcome])
    if not report.fresh and total:
        print(f"{title}: nothing to do, all {total} samples are done ({shown_counts}) in {folder}")
        return
    kept = f" ({total - report.fresh} done before)" if total > report.fresh else ""
    print(f"{title}: {total} samples{kept}: {shown_counts or 'none'} · {report.seconds:.1f} s → {folder}")
    reasons: dict[tuple, list[str]] = {}
    for entry in chosen(report.entries, LOSSES):
        reasons.setdefault((entry.outcome, entry.reason), []).append(entry.id)
    for (outcome, reason), ids in sorted(reasons.items(), key=lambda item: -len(item[1])):
        named = ", ".join(ids[:8]) + (", …" if len(ids) > 8 else "")
        print(shown(f"  {len(ids)} {outcome}: {reason} ({named})"))


UNREAD_SHARE = 0.2
"""From this share of questions without a usable reply on, the stage reports them: the model, the prompt or the server
does not do."""
_REMEDIES = {
    "truncated": "raise --output-limit",
    "incomplete": "look why the server breaks replies off",
    "empty": "look whether the server takes whole replies for thinking (its reasoning parser)",
}


def _print_unread(report: StageReport) -> None:
    """Print on stderr that at least a fifth of the questions has no usable reply, why, and what to do."""
    asked, unread = 0, Counter()
    for entry in report.entries:
        asked += entry.facts.get("asked", 0)
        unread.update(entry.facts.get("unread", {}))
    if not unread or unread.total() < UNREAD_SHARE * asked:
        return
    first = next(entry for entry in report.entries if entry.facts.get("unread"))
    codes = ", ".join(f"{code} {count}" for code, count in unread.most_common())
    remedy = _REMEDIES.get(unread.most_common(1)[0][0], "choose another model or --prompt")
    print(
        f"{unread.total()} of {asked} questions have no reply that could be read, not even when asked again "
        f"({codes}; {first.id}: {_in_short(first.facts.get('error'))}): {remedy} and run the stage again with "
        "--overwrite, or with --overwrite --retry-failed to ask the same model once more",
        file=sys.stderr,
    )


def _in_short(error: object) -> str:
    text = shown(" ".join(str(error or "no reply was accepted").split()))
    return text if len(text) <= 160 else f"{text[:160]}…"


def print_no_calls(title: str) -> int:
    """Report that a stage calls no model, for `--plan`."""
    print(f"plan of {title}: no model is called")
    return 0


def exit_code(report: StageReport, max_failed: str) -> int:
    """Return 0, or 1 when more samples failed than allowed, none is left for the next stage, or the cap left some
    undone, with one line on stderr.

    One line, too, if many questions have no reply that could be read, though that fails no sample, and if all samples
    failed and a stage that runs alone was allowed to lose them all: no stage follows it. A shard may lose them all:
    only the cap ends its run.
    """
    failed = report.failed
    if stopped := [entry.id for entry in failed if entry.reason == CAP_REACHED]:
        print(
            f"--max-cost is reached: {len(stopped)} of {len(report.entries)} samples are left undone "
            f"({', '.join(stopped[:20])}{', …' if len(stopped) > 20 else ''}; {_why(failed, CAP_REACHED)}); what was paid for is kept: "
            "give a higher limit and run the same command again to do only these",
            file=sys.stderr,
        )
        return 1
    if report.shard:
        _print_failed_of_shard(failed, len(report.entries))
        return 0
    nothing_left = bool(report.entries) and not any(map(report.count, PASSED))
    if nothing_left and not failed:
        print(
            f"no sample is left: all {len(report.entries)} were rejected ({_reasons(report.entries)})", file=sys.stderr
        )
        return 1
    allowed = len(failed) <= allowed_failures(max_failed, len(report.entries))
    if allowed and not nothing_left:
        _print_unread(report)
        return 0
    hint = "run again to do only these, or allow more"
    if all(entry.facts.get("refused") for entry in failed):  # the ledger would give the same replies
        hint = "run again with --retry-failed to ask the model about these once more, or allow more"
    if all(entry.reason == NOT_IN_LEDGER for entry in failed):
        hint = "leave out --offline (OFFLINE) to call the model, import a ledger that contains them, or allow more"
    examples = "; ".join(f"{entry.id}: {entry.facts.get('error') or entry.reason}" for entry in failed[:3])
    limit = "and no sample is left" if nothing_left else f"more than --max-failed {max_failed} allows"
    told = " ".join(
        shown(f"{len(failed)} of {len(report.entries)} samples failed, {limit} ({examples}): {hint}").split("\n")
    )
    print(told, file=sys.stderr)
    return 0 if allowed and not runs_in_a_chain() else 1


def _print_failed_of_shard(failed: Sequence[AccountEntry], total: int) -> None:
    """Print on stderr how many samples of a shard failed; whether they are too many is decided by the whole."""
    if failed:
        examples = "; ".join(f"{entry.id}: {entry.facts.get('error') or entry.reason}" for entry in failed[:3])
        told = f"{len(failed)} of {total} samples of this shard failed ({examples}): run it again to do only these; "
        print(
            " ".join(shown(f"{told}how many may fail is decided when the shards are merged").split("\n")),
            file=sys.stderr,
        )


def _reasons(entries: Sequence[AccountEntry]) -> str:
    counts = Counter(str(entry.reason) for entry in entries)
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common())


def _why(failed: Sequence[AccountEntry], reason: str) -> str:
    """Return the error of the first sample that failed for this reason."""
    error = next(str(entry.facts.get("error") or reason) for entry in failed if entry.reason == reason)
    return error.strip().rstrip(".")
