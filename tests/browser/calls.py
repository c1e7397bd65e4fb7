"""The calls of the fixture's first sample, as a ledger keeps them: a repaired reply, a thought, a hostile reply."""

from __future__ import annotations

from pathlib import Path

from ledgers import write
from threadweaver.ledger import NANO, LedgerEntry, canonical, request_key

SCRIPT = "<script>window.broken = true</script>"
LONG = "Every line of this reply is about L7.\n" * 4_000


def conversation(stage: str, turns: list[tuple[str, str, str, str]]) -> list[LedgerEntry]:
    """Return the calls of one conversation; a turn is what is asked, the reply, its verdict and why."""
    entries: list[LedgerEntry] = []
    messages: list[list[str]] = [["system", "You annotate chains."]]
    for number, (asked, reply, verdict, why) in enumerate(turns, 1):
        messages = [*messages, ["user", asked]]
        request = {"api": "responses", "attempt": 0, "messages": messages, "model": "gpt-5", "params": {}}
        key = request_key(request)
        entries.append(
            LedgerEntry(
                key=key,
                base=key,
                attempt=0,
                api="responses",
                model="gpt-5",
                stage=stage,
                turn=number,
                request=canonical(request),
                reply=reply,
                status="ok",
                finish="stop",
                input=1_200 * number,
                cached=1_000 * (number - 1),
                output=300,
                reasoning=120,
                cost=NANO // 200,
                tier="default",
                sent=100.0,
                done=101.5,
                verdict=verdict,
                why=why or None,
            )
        )
        messages = [*messages, ["assistant", reply]]
    return entries


STEPS = conversation(
    "step1",
    [
        ("Mark the steps of L1: and the others.", "S1 is L1-L2, S2 is L4-L6.", "accepted", ""),
        ("Now the blocks.", f"{SCRIPT} one block from L4 to L99", "repaired", "out_of_file"),
        ("L99 does not exist.", "<think>Let me look at L8 again.</think>One block, L4-L10.", "accepted", ""),
    ],
)
EDITS = conversation("step3", [("Rewrite thread 2.", LONG, "rejected", "unreadable_reply")])


def facts(*talks: tuple[str, list[LedgerEntry]]) -> dict:
    """Return the fact of an account that names these conversations."""
    return {"ledger": [{"about": about, "keys": [entry.key[:16] for entry in calls]} for about, calls in talks]}


def write_ledger(folder: Path) -> None:
    write(folder / "ledger.sqlite", [*STEPS, *EDITS])
