"""What was changed in a text, and how to undo it.

Replacements are read from a model's reply, applied where their `src` occurs literally and once, and recorded so that
undoing them gives the text back. `Record` is the lineage of one sample: kept beside the text in every stage's trace,
it is all that is needed to restore the chain from the trajectory, character for character.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

from threadweaver import markup


class ConservationError(ValueError):
    """The trajectory and its record do not give the chain back."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What an annotator asks for: `src`, literally in the passage, becomes `dest`."""

    src: str
    dest: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What was done: at `offset` (characters, in the text as the edits before it left it) `src` became `dest`."""

    offset: int
    src: str
    dest: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A replacement that was not applied, and why (`not_found`, `ambiguous`, `tag_in_dest`, …)."""

    src: str
    dest: str
    code: str


@dataclass(frozen=True, slots=True)
class Applied:
    text: str
    edits: tuple[Edit, ...]
    skipped: tuple[Skipped, ...]


# ---------------------------------------------------------------------------------------------------------------
# reading a reply


class UnreadableReply(ValueError):
    """A reply that holds no JSON array of {"src", "dest"}; its text says what is missing."""


_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_COMMAND = re.compile(r"[A-Za-z]+")
# LaTeX commands whose first letter, after a backslash, is also a JSON escape. For b, f, r and t the control
# character itself is never meant in mathematics, so every run of two or more letters is a command; a newline is
# common in prose ("\nThe"), so for n the commands are listed.
_N_COMMANDS = frozenset(
    "nabla natural ncong ne nearrow neg negthinspace neq newline nexists ngeq ngtr ni nleftarrow nleq nless nmid "
    "nobreak nolimits nonumber normalsize not notag notin nparallel nprec nrightarrow nsim nsubseteq nsucc "
    "nsupseteq nu nwarrow".split()
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]|\r(?!\n)|\t(?=[a-z])")  # UTF-8 holds no surrogate
# What is left of such a command when its backslash and n were read as a line break; where the rest is a word of
# prose too ("less", "u"), only white space or an opening bracket before it tells.
_PROSE_RESTS = frozenset({"e", "i", "u", "less", "mid", "parallel", "exists"})
_LOST_N = re.compile(
    rf"(?:\n(?:{'|'.join(sorted({name[1:] for name in _N_COMMANDS} - _PROSE_RESTS))})"
    rf"|(?<=[ $({{\[|])\n(?:{'|'.join(sorted(_PROSE_RESTS))}))(?![A-Za-z])"
)
_ARRAY = re.compile(r"\[\s*+[{\]]")
_STRING_OR_BRACKET = re.compile(rf"{_STRING.pattern}|[\[\]]", re.S)


def parse_reply(text: str, passage: str = "") -> list[Replacement]:
    """The replacements of a reply: a JSON array, perhaps in a code fence or with prose around it.

    Mathematics may stand in it with its backslashes single (`\\frac`, `\\times`, `\\neq`) or doubled. Where both
    readings are JSON, the one whose `src` occur in `passage` holds. Raises UnreadableReply.
    """
    arrays = _candidate_arrays(text)
    if not arrays:
        raise UnreadableReply("the reply holds no JSON array")
    fault = "the reply's JSON array cannot be read"
    for raw in arrays:
        try:
            readings = [_replacements(reading) for reading in _readings(raw)]
        except UnreadableReply as error:
            fault = str(error)
            continue
        if readings:
            return max(readings, key=lambda reading: _fit(reading, passage))
    raise UnreadableReply(fault)


def _candidate_arrays(text: str) -> list[str]:
    """Balanced […] that begin with an object, the longest first; an empty one only when there is none of these."""
    found, at = [], 0
    while opening := _ARRAY.search(text, at):
        end = _array_end(text, opening.start())
        if end:
            found.append(text[opening.start() : end])
        at = end or opening.end()
    return sorted((raw for raw in found if "{" in raw), key=len, reverse=True) or found[:1]


def _array_end(text: str, start: int) -> int | None:
    """Where the array that opens at `start` ends; brackets inside its strings do not count."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text, start):
        depth += {"[": 1, "]": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return None


def _readings(raw: str) -> list[object]:
    """The array read as strict JSON and as JSON with raw LaTeX; the strict one first."""
    readings = []
    for candidate in dict.fromkeys((raw, _STRING.sub(_double_raw_backslashes, raw))):
        try:
            readings.append(json.loads(candidate, strict=False))
        except json.JSONDecodeError:
            continue
    return readings


def _double_raw_backslashes(match: re.Match[str]) -> str:
    body, out, at = match.group(1), [], 0
    while at < len(body):
        if body[at] != "\\":
            out.append(body[at])
            at += 1
            continue
        follows = body[at + 1 : at + 2]
        if follows in ("\\", '"', "/"):
            out.append(body[at : at + 2])
            at += 2
        else:
            out.append("\\" if _is_json_escape(body, at + 1) else "\\\\")
            at += 1
    return '"' + "".join(out) + '"'


def _is_json_escape(body: str, at: int) -> bool:
    """Whether what follows the backslash is JSON's escape rather than a LaTeX command."""
    letter = body[at : at + 1]
    if letter == "u":
        return re.fullmatch(r"[0-9a-fA-F]{4}", body[at + 1 : at + 5]) is not None
    if letter not in "bfnrt" or not letter:
        return False
    run = _COMMAND.match(body, at).group()
    return run not in _N_COMMANDS if letter == "n" else len(run) == 1


def _replacements(value: object) -> list[Replacement]:
    if not isinstance(value, list):
        raise UnreadableReply("the reply is not a JSON array")
    result = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("src", "dest")):
            raise UnreadableReply(f'element {number} is not an object with the strings "src" and "dest"')
        result.append(Replacement(item["src"], item["dest"]))
    return result


def _fit(reading: Sequence[Replacement], passage: str) -> tuple[int, int]:
    found = sum(bool(item.src) and item.src in passage for item in reading)
    texts = [text for item in reading for text in (item.src, item.dest)]
    damage = sum(len(_CONTROL.findall(text)) + len(_LOST_N.findall(text)) for text in texts)
    return found, -damage


# ---------------------------------------------------------------------------------------------------------------
# applying and undoing


def apply(text: str, replacements: Sequence[Replacement]) -> Applied:
    """Apply to a passage what can be applied; the result is trimmed, and that is recorded as an edit too.

    A `src` counts only where it does not cut a word in two, and only when it occurs once. One replacement that would
    leave less than half of the passage is left out, and so is one that overlaps another.
    """
    placed: list[tuple[int, Replacement]] = []
    skipped: list[Skipped] = []
    for item in replacements:
        offset, code = _locate(text, item)
        if code is None and any(_overlap(offset, item, at, other) for at, other in placed):
            code = "overlaps"
        if code is None and len(text) - len(item.src) + len(item.dest.strip()) < len(text) / 2:
            code = "shrinks_thread"
        if code is None and markup.TAG_SHAPED.search(text[:offset] + item.dest + text[offset + len(item.src) :]):
            code = "makes_tag"
        if code:
            skipped.append(Skipped(item.src, item.dest, code))
        else:
            placed.append((offset, item))
    placed.sort(key=lambda pair: pair[0])
    result, edits = _substitute(text, placed)
    shrinks = len(result.strip()) < len(text) / 2
    if together := "makes_tag" if markup.TAG_SHAPED.search(result) else "shrinks_thread" if shrinks else None:  # each alone would have passed
        skipped += [Skipped(item.src, item.dest, together) for _, item in placed]
        return Applied(text, (), tuple(skipped))
    result, trims = _trim(result)
    return Applied(result, (*edits, *trims), tuple(skipped))


def undo(text: str, edits: Sequence[Edit]) -> str:
    """The passage before the edits; raises ConservationError when the text is not what they left."""
    for edit in reversed(edits):
        end = edit.offset + len(edit.dest)
        if text[edit.offset : end] != edit.dest:
            raise ConservationError(f"at character {edit.offset} stands not what the edit wrote")
        text = text[: edit.offset] + edit.src + text[end:]
    return text


def _locate(text: str, item: Replacement) -> tuple[int, str | None]:
    """Where the replacement goes, or the code of why it goes nowhere."""
    if not item.src:
        return 0, "empty_src"
    if item.src == item.dest:
        return 0, "no_change"
    if markup.TAG_SHAPED.search(item.dest):
        return 0, "tag_in_dest"
    if _CONTROL.search(item.dest) and not _CONTROL.search(item.src):
        return 0, "control_character"
    whole = (at for at in _occurrences(text, item.src) if not _cuts_a_word(text, at, item.src))
    offsets = list(islice(whole, 2))
    if not offsets:
        return 0, "not_found"
    if len(offsets) > 1:
        return 0, "ambiguous"
    return offsets[0], None


def _occurrences(text: str, src: str) -> Iterator[int]:
    at = text.find(src)
    while at >= 0:
        yield at
        at = text.find(src, at + 1)


def _cuts_a_word(text: str, at: int, src: str) -> bool:
    end = at + len(src)
    before = at > 0 and text[at - 1].isalnum() and src[0].isalnum()
    after = end < len(text) and text[end].isalnum() and src[-1].isalnum()
    return before or after


def _overlap(offset: int, item: Replacement, other_offset: int, other: Replacement) -> bool:
    return offset < other_offset + len(other.src) and other_offset < offset + len(item.src)


def _substitute(text: str, placed: Sequence[tuple[int, Replacement]]) -> tuple[str, list[Edit]]:
    out, edits, cursor, length = [], [], 0, 0
    for offset, item in placed:
        out += [text[cursor:offset], item.dest]
        length += offset - cursor
        edits.append(Edit(length, item.src, item.dest))
        length += len(item.dest)
        cursor = offset + len(item.src)
    return "".join([*out, text[cursor:]]), edits


def _trim(text: str) -> tuple[str, list[Edit]]:
    edits = []
    if tail := text[len(text.rstrip()) :]:
        edits.append(Edit(len(text) - len(tail), tail, ""))
    text = text.rstrip()
    if head := text[: len(text) - len(text.lstrip())]:
        edits.append(Edit(0, head, ""))
    return text.lstrip(), edits


# ---------------------------------------------------------------------------------------------------------------
# the lineage of a sample


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """Lines of the chain, the white space trimmed at its edges, and the edits of the rewriting."""

    first: int
    last: int
    before: str = ""
    after: str = ""
    edits: tuple[Edit, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockRecord:
    first: int
    last: int
    threads: tuple[ThreadRecord, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unused:
    """A block that the annotation holds and the trajectory does not: its number there, its lines, and why not."""

    number: int
    first: int | None
    last: int | None
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """The lineage of one sample, written as `trace/<i>.json` by every stage from the extraction on."""

    index: int
    uuid: str
    problem: str
    solution: object
    correctness: bool | None
    sha256: str
    """Of the chain, UTF-8."""
    chars: int
    lines: int
    output: str = ""
    """What the model said after its thinking: the final answer stands in it."""
    blocks: tuple[BlockRecord, ...] = ()
    unused: tuple[Unused, ...] = ()
    notes: tuple[Mapping[str, object], ...] = field(default=())
    """What a stage wants told beside the text: annotation problems, merged threads, replies not accepted."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Raises ValueError (KeyError, TypeError, AttributeError) when the text is no record."""
        data = json.loads(text)
        blocks = tuple(
            BlockRecord(block["first"], block["last"], tuple(map(_thread_record, block["threads"])), block["reason"])
            for block in data.pop("blocks")
        )
        unused = tuple(Unused(**item) for item in data.pop("unused"))
        return cls(**{**data, "notes": tuple(data["notes"])}, blocks=blocks, unused=unused)

    def describe(self) -> str:
        """The record for people: what became a block, what did not and why, and every edit."""
        lines = [f"{self.uuid}: {self.lines} lines, {self.chars} characters, sha256 {self.sha256}"]
        for number, block in enumerate(self.blocks, 1):
            lines += [f"\nblock {number}: L{block.first}-L{block.last}" + (f" ({block.reason})" if block.reason else "")]
            for k, thread in enumerate(block.threads, 1):
                lines += [f"  thread {k}: L{thread.first}-L{thread.last}"]
                lines += [f"    edit at {edit.offset}: {edit.src!r} → {edit.dest!r}" for edit in thread.edits]
                lines += [f"    left out ({item.code}): {item.src!r} → {item.dest!r}" for item in thread.skipped]
        for item in self.unused:
            where = f" L{item.first}-L{item.last}" if item.first else ""
            lines += [f"\nnot used: block {item.number} of the annotation{where}: {item.code} {item.detail}".rstrip()]
        lines += [f"note: {json.dumps(note, ensure_ascii=False)}" for note in self.notes]
        return "\n".join(lines) + "\n"


def _thread_record(data: dict) -> ThreadRecord:
    edits = tuple(Edit(**item) for item in data.pop("edits"))
    skipped = tuple(Skipped(**item) for item in data.pop("skipped"))
    return ThreadRecord(**data, edits=edits, skipped=skipped)


def fingerprint(text: str) -> str:
    """SHA-256 of the text as UTF-8 (a lone surrogate, which JSON can carry, does not stop it)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def restore_block(block: markup.Block, record: BlockRecord) -> str:
    """The chain's passage that a block was made of."""
    if len(block.threads) != len(record.threads):
        raise ConservationError(f"{len(block.threads)} threads where the record has {len(record.threads)}")
    return "".join(
        note.before + undo(thread.body, note.edits) + note.after
        for thread, note in zip(block.threads, record.threads, strict=True)
    )


def restore(trajectory: markup.Trajectory, record: Record) -> str:
    """The chain: markup taken away and every recorded edit undone. Raises ConservationError when it is not that chain."""
    if len(trajectory.blocks) != len(record.blocks):
        raise ConservationError(f"{len(trajectory.blocks)} blocks where the record has {len(record.blocks)}")
    pairs = zip(trajectory.blocks, record.blocks, strict=True)
    chain = trajectory.replace_blocks([restore_block(block, note) for block, note in pairs])
    if fingerprint(chain) != record.sha256:
        raise ConservationError("the restored text is not the chain that was collected")
    return chain
