"""Kinds of damage to the content of an annotator's replies, and a server that answers with them.

The transport and the form of a reply are damaged in fake_faults.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fake_answers
from fake_answers import REPAIR_OPENING
from fake_openai import FakeOpenAI
from threadweaver.files import read_text

SEED = 7
Messages = Sequence[Mapping[str, str]]
Damage = Callable[[str, str, random.Random], str | None]
"""(reply, first message, dice) → the damaged reply; None if this kind of damage does not apply."""

# ---------------------------------------------------------------------------------------------------------------
# step 1

_THREAD = re.compile(r"<thread>\n(.*?)</thread>[^\n]*\n", re.S)
_BLOCK = re.compile(r"<parallel>[^\n]*\n.*?</parallel>[^\n]*", re.S)
_NOTE = re.compile(r"(</thread> \(range: L)(\d+)(-L)(\d+)")


def in_every_block(change: Callable[[str, random.Random], str]) -> Damage:
    def damage(reply: str, first: str, dice: random.Random) -> str | None:
        changed = _BLOCK.sub(lambda match: change(match[0], dice), reply)
        return changed if changed != reply else None

    return damage


def moved_bound(by: int) -> Damage:
    """Move the beginning of the second thread of every block by so many lines."""

    def change(block: str, dice: random.Random) -> str:
        notes = list(_NOTE.finditer(block))
        first = notes[1]
        start = max(1, min(int(first[2]) + by, int(first[4])))
        return f"{block[: first.start()]}{first[1]}{start}{first[3]}{first[4]}{block[first.end() :]}"

    return in_every_block(change)


def beyond_the_end(block: str, dice: random.Random) -> str:
    last = list(_NOTE.finditer(block))[-1]
    return f"{block[: last.start()]}{last[1]}90001{last[3]}90040{block[last.end() :]}"


def shuffled(block: str, dice: random.Random) -> str:
    one, two = list(_THREAD.finditer(block))[:2]
    return block[: one.start()] + two[0] + block[one.end() : two.start()] + one[0] + block[two.end() :]


def single(block: str, dice: random.Random) -> str:
    rest = list(_THREAD.finditer(block))[1:]
    return block[: rest[0].start()] + block[rest[-1].end() :]


def without_ranges(block: str, dice: random.Random) -> str:
    """Remove every range of a thread."""
    thread = dice.choice(list(_THREAD.finditer(block)))
    bare = re.sub(r"\(L\d+(?:-L\d+)?\)|range: L\d+-L\d+, ", "", thread[0])
    return block[: thread.start()] + bare + block[thread.end() :]


def unbalanced(block: str, dice: random.Random) -> str:
    tags = list(re.finditer(r"^(?:</thread>|<thread>|</parallel>).*\n?", block, re.M))
    lost = dice.choice(tags)
    return block[: lost.start()] + block[lost.end() :]


def fenced(reply: str, first: str, dice: random.Random) -> str:
    return f"Here it is:\n```\n{reply.strip()}\n```\n"


def prose(reply: str, first: str, dice: random.Random) -> str:
    return "I have read the material carefully. It could be divided in several ways, and I would say more if asked."


# ---------------------------------------------------------------------------------------------------------------
# step 3


def with_edit(
    make: Callable[[str, random.Random], tuple[str, str] | None], *, raw: bool = False, alone: bool = False
) -> Damage:
    """Add a replacement to the array, or return it alone; `raw`: without doubling its backslashes."""

    def damage(reply: str, first: str, dice: random.Random) -> str | None:
        pair = make(fake_answers.section(first, "thread_under_review"), dice)
        if pair is None:
            return None
        item = json.dumps({"src": pair[0], "dest": pair[1]}, ensure_ascii=False)
        item = item.replace("\\\\", "\\") if raw else item
        body = "" if alone else reply.strip()[1:-1].strip()
        return f"[{body}, {item}]" if body else f"[{item}]"

    return damage


def head_of(thread: str) -> str:
    """Return whole words at the beginning of the thread, on one line."""
    return " ".join(thread.split("\n")[0].split(" ")[:4])


def latex(thread: str, dice: random.Random) -> tuple[str, str] | None:
    found = [piece for piece in re.findall(r"\$[^$\n]*\\[a-z]+[^$\n]*\$", thread) if thread.count(piece) == 1]
    return (found[0], f"the formula {found[0]}") if found else None


def repeated_word(thread: str, dice: random.Random) -> tuple[str, str] | None:
    words = sorted(
        {word for word in re.findall(r"\b[a-z]{3,}\b", thread) if len(re.findall(rf"\b{word}\b", thread)) > 1}
    )
    return (dice.choice(words), "so") if words else None


# ---------------------------------------------------------------------------------------------------------------
# step 4


def lines_changed(change: Callable[[list[str]], list[str]]) -> Damage:
    return lambda reply, first, dice: "\n".join(change(reply.strip().split("\n")))


def gives_result(reply: str, first: str, dice: random.Random) -> str | None:
    """Let the first outline whose thread works out a number state that number."""
    known = fake_answers.section(first, "problem") + fake_answers.section(first, "context")
    lines = reply.strip().split("\n")
    for at, thread in enumerate(fake_answers.threads_in(fake_answers.section(first, "threads"))):
        numbers = re.findall(r"(?<=[ =])\d{2,4}(?=[ .,$])(?![.,]\d| ?/)", thread[len(thread) // 2 :])
        new = [n for n in numbers if n not in known and n not in thread[:250]]
        if new and at < len(lines):
            lines[at] = f"{lines[at].rstrip('.')}, and find {new[-1]}."
            return "\n".join(lines)
    return None


WAYS: dict[str, tuple[str, Damage | str]] = {
    "gap": ("outline", moved_bound(2)),
    "overlap": ("outline", moved_bound(-2)),
    "out_of_file": ("outline", in_every_block(beyond_the_end)),
    "out_of_order": ("outline", in_every_block(shuffled)),
    "single_thread": ("outline", in_every_block(single)),
    "missing_range": ("outline", in_every_block(without_ranges)),
    "unbalanced_tag": ("outline", in_every_block(unbalanced)),
    "steps_fenced": ("steps", fenced),
    "steps_prose": ("steps", prose),
    "steps_truncated": ("steps", "truncated"),
    "steps_empty": ("steps", "empty"),
    "edits_unparsable": ("edits", lambda reply, first, dice: reply.strip()[:-1] + ' {"src": "and'),
    "edits_raw_latex": ("edits", with_edit(latex, raw=True)),
    "edits_src_absent": ("edits", with_edit(lambda thread, dice: ("words that stand nowhere in this thread", "here"))),
    "edits_src_ambiguous": ("edits", with_edit(repeated_word)),
    "edits_tag_in_dest": ("edits", with_edit(lambda thread, dice: (head_of(thread), f"<Thread>{head_of(thread)}"))),
    "edits_control": ("edits", with_edit(lambda thread, dice: (head_of(thread), f"{head_of(thread)}\x07\x0crac"))),
    "edits_half_deleted": (
        "edits",
        with_edit(lambda thread, dice: (thread[: len(thread) * 7 // 10].rpartition(" ")[0], ""), alone=True),
    ),
    "edits_fenced": ("edits", fenced),
    "edits_truncated": ("edits", "truncated"),
    "edits_empty": ("edits", "empty"),
    "outlines_missing": ("outlines", lines_changed(lambda lines: lines[:-1])),
    "outlines_placeholder": ("outlines", lines_changed(lambda lines: ["1: Case 1", *lines[1:]])),
    "outlines_repeated": ("outlines", lines_changed(lambda lines: [lines[0], "2" + lines[0][1:], *lines[2:]])),
    "outlines_give_result": ("outlines", gives_result),
    "outlines_prose": ("outlines", prose),
    "outlines_truncated": ("outlines", "truncated"),
    "outlines_empty": ("outlines", "empty"),
}
"""Name → which replies (outline: the last turn of step 1), and the damage: a function, or a mode of the server."""
STEP_OF = {"outline": 1, "steps": 1, "edits": 3, "outlines": 4}

# ---------------------------------------------------------------------------------------------------------------
# the server

_COPY = re.compile(r" \(Copy\.+\)")


@dataclass(frozen=True)
class Asked:
    """One question: `kind` is steps, edits or outlines; `turn` counts from 1."""

    kind: str
    turn: int
    first: str
    repair: bool

    @classmethod
    def read(cls, messages: Messages) -> Asked:
        repair = messages[-1]["content"].startswith(REPAIR_OPENING)
        first = messages[0]["content"]
        kind = "steps" if "<chain>" in first else "edits" if "<thread_under_review>" in first else "outlines"
        return cls(kind, (len(messages) - 2 * repair) // 2 + 1, first, repair)

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.turn} {self.first}".encode()).hexdigest()

    def group(self, turns: int) -> str:
        return "outline" if self.kind == "steps" and self.turn == turns else self.kind


@dataclass
class Damaging(FakeOpenAI):
    """Answers as recorded, else by the rules; `plan` has the keys of the replies to damage: 1 once, 2 also the
    repair."""

    recorded: Mapping[tuple[str, int], str] = field(default_factory=dict)
    damage: Damage | str | None = None
    plan: Mapping[str, int] = field(default_factory=dict)
    log: dict[str, tuple[Asked, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answer = self.respond_to
        super().__post_init__()

    def undamaged(self, messages: Messages, asked: Asked) -> str:
        plain = [{**message, "content": _COPY.sub("", message["content"])} for message in messages]
        found = self.recorded.get((plain[0]["content"], asked.turn))
        return fake_answers.answer(plain, {}) if found is None else found

    def respond_to(self, messages: Messages, params: Mapping[str, Any]) -> str:
        asked = Asked.read(messages)
        reply = self.undamaged(messages, asked)
        if not asked.repair:
            self.log[asked.key] = (asked, reply)
        if self.is_damaged(asked) and not isinstance(self.damage, str):
            return self.damage(reply, asked.first, dice_of(asked.key)) or reply
        return reply

    def is_damaged(self, asked: Asked) -> bool:
        damaged = self.plan.get(asked.key, 0) > asked.repair
        with self.lock:
            self.counts["repairs"] += asked.repair
            self.counts["damaged again" if asked.repair else "damaged"] += damaged
        return damaged

    def make_reply(self, api: str, body: Mapping[str, Any], request_hash: str, mode: str | None) -> dict[str, Any]:
        if isinstance(self.damage, str):
            turns = [{"role": turn["role"], "content": turn["content"]} for turn in body["input"]]
            asked = Asked.read(turns)
            mode = self.damage if self.plan.get(asked.key, 0) > asked.repair else mode
        return super().make_reply(api, body, request_hash, mode)


def dice_of(text: str) -> random.Random:
    return random.Random(f"{SEED} {text}")


def plan_of(log: Mapping[str, tuple[Asked, str]], way: str, share: float, again: float) -> dict[str, int]:
    """Draw, within each turn, the replies of the undamaged run to damage, and how often."""
    group, damage = WAYS[way]
    turns = max(asked.turn for asked, _ in log.values())
    by_turn: dict[int, list[str]] = {}
    for key, (asked, reply) in sorted(log.items()):
        fits = asked.group(turns) == group if group == "outline" else asked.kind == group
        if fits and (isinstance(damage, str) or damage(reply, asked.first, dice_of(key)) not in (None, reply)):
            by_turn.setdefault(asked.turn, []).append(key)
    plan: dict[str, int] = {}
    for turn, keys in by_turn.items():
        drawn = dice_of(f"{way} {turn}").sample(keys, max(1, round(share * len(keys))))
        twice = max(1, round(again * len(drawn))) if again else 0
        plan |= {key: 2 if at < twice else 1 for at, key in enumerate(drawn)}
    return plan


def read_recorded(path: Path) -> dict[tuple[str, int], str]:
    """Read (first message, turn) → reply."""
    found = {}
    for line in read_text(path).rstrip("\n").split("\n"):
        row = json.loads(line)
        messages = row["request"]["messages"]
        found[messages[0][1], len(messages) // 2 + 1] = row["reply"]
    return found
