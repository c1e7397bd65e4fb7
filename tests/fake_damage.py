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
from threadweaver.trajectory import edits

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


def with_gap(block: str, dice: random.Random) -> str:
    """Leave lines between the first two threads of a block to none of them; not where each has one line."""
    one, two = list(_NOTE.finditer(block))[:2]
    (_, end), (start, last) = bounds(one), bounds(two)
    moved = min(start + 2, last)
    if moved == start:
        return moved_to(block, one, bounds(one)[0], max(bounds(one)[0], end - 2))
    return moved_to(block, two, moved, last)


def with_overlap(block: str, dice: random.Random) -> str:
    one, two = list(_NOTE.finditer(block))[:2]
    return moved_to(block, two, bounds(one)[1], bounds(two)[1])


def bounds(note: re.Match[str]) -> tuple[int, int]:
    return int(note[2]), int(note[4])


def moved_to(block: str, note: re.Match[str], first: int, last: int) -> str:
    return f"{block[: note.start()]}{note[1]}{first}{note[3]}{last}{block[note.end() :]}"


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
    """Add a replacement to those of the first thread that allows one after the first of the block, or put it in their
    place; `raw`: without doubling its backslashes."""

    def damage(reply: str, first: str, dice: random.Random) -> str | None:
        asked = passages_of(first)
        made = ((number, make(text, dice)) for number, text in asked.items() if number > 1)
        number, pair = next((item for item in made if item[1]), (0, None))
        if pair is None:
            return None
        item = json.dumps({"src": pair[0], "dest": pair[1]}, ensure_ascii=False)
        item = item.replace("\\\\", "\\") if raw else item
        written = {at: written_edits(items) for at, items in edits.parse_reply(reply, asked).items()}
        written[number] = [*([] if alone else written.get(number, [])), item]
        return "{" + ", ".join(f'"{at}": [{", ".join(items)}]' for at, items in written.items()) + "}"

    return damage


def passages_of(first: str) -> dict[int, str]:
    """Return number → text of the threads that a request of step 3 asks about."""
    threads = fake_answers.threads_in(fake_answers.section(first, "threads"))
    return {number: threads[number - 1] for number in fake_answers.asked_in(first)}


def written_edits(items: Sequence[edits.Replacement]) -> list[str]:
    return [json.dumps({"src": item.src, "dest": item.dest}, ensure_ascii=False) for item in items]


def head_of(thread: str) -> str:
    """Return whole words at the beginning of the thread, on one line."""
    return " ".join(thread.split("\n")[0].split(" ")[:4])


def latex(thread: str, dice: random.Random) -> tuple[str, str] | None:
    found = [piece for piece in re.findall(r"\$[^$\n]*\\[a-z]+[^$\n]*\$", thread) if thread.count(piece) == 1]
    return (found[0], f"the formula {found[0]}") if found else None


def most_of(thread: str, dice: random.Random) -> tuple[str, str] | None:
    src = thread[: len(thread) * 7 // 10].rpartition(" ")[0]
    return (src, "") if len(src) > len(thread) * 0.55 else None


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
    """Let the first outline whose thread works out a number state that number; `n = 10` may be assumed."""
    known = fake_answers.section(first, "problem") + fake_answers.section(first, "context")
    lines = reply.strip().split("\n")
    for at, thread in enumerate(fake_answers.threads_in(fake_answers.section(first, "threads"))):
        numbers = re.findall(r"(?<== )(?<![A-Za-z] = )\d{2,4}(?=[.,$])(?![.,]\d| ?/)", thread[len(thread) // 2 :])
        new = [n for n in numbers if n not in known and n not in thread[:250]]
        if new and at < len(lines):
            lines[at] = f"{lines[at].rstrip('.')}, and find {new[-1]}."
            return "\n".join(lines)
    return None


WAYS: dict[str, tuple[str, Damage | str]] = {
    "gap": ("steps", in_every_block(with_gap)),
    "overlap": ("steps", in_every_block(with_overlap)),
    "out_of_file": ("steps", in_every_block(beyond_the_end)),
    "out_of_order": ("steps", in_every_block(shuffled)),
    "single_thread": ("steps", in_every_block(single)),
    "missing_range": ("steps", in_every_block(without_ranges)),
    "unbalanced_tag": ("steps", in_every_block(unbalanced)),
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
    "edits_half_deleted": ("edits", with_edit(most_of, alone=True)),
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
"""Name → which replies, and the damage: a function, or a mode of the server."""
STEP_OF = {"steps": 1, "edits": 3, "outlines": 4}

# ---------------------------------------------------------------------------------------------------------------
# the server

_COPY = re.compile(r" \(Copy\.+\)")


@dataclass(frozen=True)
class Asked:
    """One question: `kind` is steps, edits or outlines."""

    kind: str
    first: str
    repair: bool

    @classmethod
    def read(cls, messages: Messages) -> Asked:
        repair = messages[-1]["content"].startswith(REPAIR_OPENING)
        first = messages[0]["content"]
        kind = "steps" if "<chain>" in first else "edits" if "\n<outlines>\n" in first else "outlines"
        return cls(kind, first, repair)

    @property
    def key(self) -> str:
        return hashlib.sha256(self.first.encode()).hexdigest()


@dataclass
class Damaging(FakeOpenAI):
    """Answers as recorded, else by the rules; `plan` has the keys of the replies to damage: 1 once, 2 also the
    repair."""

    recorded: Mapping[str, str] = field(default_factory=dict)
    damage: Damage | str | None = None
    plan: Mapping[str, int] = field(default_factory=dict)
    log: dict[str, tuple[Asked, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answer = self.respond_to
        super().__post_init__()

    def undamaged(self, messages: Messages, asked: Asked) -> str:
        plain = [{**message, "content": _COPY.sub("", message["content"])} for message in messages]
        found = self.recorded.get(plain[0]["content"])
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
    """Draw the replies of the undamaged run to damage, and how often."""
    group, damage = WAYS[way]
    keys = [
        key
        for key, (asked, reply) in sorted(log.items())
        if asked.kind == group
        and (isinstance(damage, str) or damage(reply, asked.first, dice_of(key)) not in (None, reply))
    ]
    drawn = dice_of(way).sample(keys, min(len(keys), max(1, round(share * len(keys)))))
    twice = max(1, round(again * len(drawn))) if again else 0
    return {key: 2 if at < twice else 1 for at, key in enumerate(drawn)}


def read_recorded(path: Path) -> dict[str, str]:
    """Read first message → the reply that was accepted: the repaired one, where there was a repair."""
    found: dict[str, tuple[int, str]] = {}
    for line in read_text(path).rstrip("\n").split("\n"):
        row = json.loads(line)
        messages = row["request"]["messages"]
        first, turns = messages[0][1], len(messages)
        if turns >= found.get(first, (0, ""))[0]:
            found[first] = turns, row["reply"]
    return {first: reply for first, (_, reply) in found.items()}
