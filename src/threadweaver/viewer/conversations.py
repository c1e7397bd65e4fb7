"""Present the calls about one sample as conversations: what was asked, what came back, what it cost, what became of it.

The accounts name the calls by the keys of their requests; what was said is in the ledger.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.corpus import thinking
from threadweaver.errors import UserError
from threadweaver.ledger import NANO, Ledger, LedgerEntry
from threadweaver.text import parse_json
from threadweaver.viewer import documents, scan
from threadweaver.viewer.documents import Source
from threadweaver.viewer.runs import Run

LEDGER = "ledger.sqlite"
MESSAGE_LIMIT = 60_000
"""The most characters of one message that are shown."""
MOST_CALLS = 2_000
"""Calls of one sample in one stage that are read: a damaged account may name any number."""
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation as the account of a stage names it: what it is about, and the keys of its requests."""

    about: str
    keys: tuple[str, ...]


def ledger_of(run: Run, named: Path | None) -> Path | None:
    """Return the ledger: the one that is named, or the one beside the run's folders; None if there is none.

    Raises UserError when the one that is named does not exist.
    """
    if named and not named.is_file():
        raise UserError(f"the ledger {named} was not found: name another --ledger, or leave it out")
    beside = run.root.parent / LEDGER
    return named or (beside if beside.is_file() else None)


def conversations(run: Run, source: Source, path: Path | None) -> dict:
    """Return by stage what is known of each call, without the texts."""
    found: list[dict] = []
    notes: dict[str, None] = {}
    for place in run.places:
        facts = scan.facts_of(place, source.row.id)
        talks = _talks(facts)
        if not talks:
            if facts.get("calls"):
                notes[
                    f"The account of {place.path.name} does not name its calls: run that stage again, which costs nothing."
                ] = None
            continue
        shown = []
        for number, (talk, entries, fault) in enumerate(_read(path, talks)):
            missing = len(talk.keys) - len({entry.base for entry in entries})
            if fault:
                notes[fault] = None
            shown.append(
                {"number": number, "about": talk.about, "missing": missing, "calls": list(map(_call, entries))}
            )
        found.append({"stage": place.stage, "title": documents.title_of(place.stage), "conversations": shown})
    missing = sum(talk["missing"] for stage in found for talk in stage["conversations"])
    if missing and not notes:
        where = f"the ledger {path.name}" if path else "a ledger: none was found, name one with --ledger"
        notes[f"{missing} of the calls are not in {where}."] = None
    return {"stages": found, "notes": list(notes)}


def turns(run: Run, source: Source, path: Path | None, stage: str, number: int) -> list[dict] | None:
    """Return the texts of one conversation, call by call; None for one that no account names."""
    place = run.place(stage)
    talks = _talks(scan.facts_of(place, source.row.id)) if place else []
    if not 0 <= number < len(talks):
        return None
    _, entries, _ = next(_read(path, talks[number : number + 1], with_request=True))
    return list(_turns(entries))


def _talks(facts: Mapping) -> list[Talk]:
    """Return the conversations that the facts of an account name; what is not one is left out."""
    named = facts.get("ledger")
    talks = []
    for item in named if isinstance(named, list) else []:
        keys = item.get("keys") if isinstance(item, dict) else None
        if isinstance(keys, list):
            kept = [key for key in keys if isinstance(key, str) and _KEY.fullmatch(key)]
            talks.append(Talk(str(item.get("about", ""))[:200], tuple(kept[:MOST_CALLS])))
    return talks[:MOST_CALLS]


def _read(
    path: Path | None, talks: Sequence[Talk], *, with_request: bool = False
) -> Iterator[tuple[Talk, list[LedgerEntry], str]]:
    """Yield each conversation with its calls in the ledger, and what keeps them from being read."""
    if path is None:
        yield from ((talk, [], "") for talk in talks)
        return
    try:
        ledger = Ledger(path, read_only=True)
    except UserError as error:
        yield from ((talk, [], str(error)) for talk in talks)
        return
    with contextlib.closing(ledger):
        for talk in talks:
            try:
                yield talk, ledger.of_requests(talk.keys, with_request=with_request), ""
            except UserError as error:
                yield talk, [], str(error)


def _call(entry: LedgerEntry) -> dict:
    return {
        "attempt": entry.attempt,
        "turn": entry.turn,
        "model": entry.model,
        "tier": entry.tier,
        "tokens": {"in": entry.input, "cached": entry.cached, "out": entry.output, "thinking": entry.reasoning},
        "cost": None if entry.cost is None else entry.cost / NANO,
        "seconds": round(max(0.0, entry.done - entry.sent), 2),
        "recorded": entry.imported,
        "status": entry.status,
        "finish": entry.finish,
        "verdict": entry.verdict,
        "why": entry.why,
    }


def _turns(entries: Sequence[LedgerEntry]) -> Iterator[dict]:
    """Yield what each call adds to the conversation: a request repeats all that was said before."""
    before: list[list[str]] = []
    reply = ""
    for entry in entries:
        messages = parse_json(entry.request)["messages"]
        common = 0
        while common < min(len(messages), len(before)) and messages[common] == before[common]:
            common += 1
        added = [message for message in messages[common:] if message != ["assistant", reply.strip()]]
        spoken = thinking.after_thinking(entry.reply)
        thought = entry.reply.removesuffix(spoken) if spoken and entry.reply.endswith(spoken) else ""
        yield {
            "asked": [{"role": str(role), **_shown(str(text))} for role, text in added],
            "reply": _shown(entry.reply if spoken is None else spoken),
            "thinking": _shown(thought) if thought.strip() else None,
        }
        before, reply = messages, entry.reply


def _shown(text: str) -> dict:
    """Return a text as far as it is shown, and its whole length."""
    return {"text": text[:MESSAGE_LIMIT], "chars": len(text)}
