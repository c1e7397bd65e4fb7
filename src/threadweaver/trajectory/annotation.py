"""Step annotations: number a chain's lines for the annotator, and parse what it returns.

A chain's lines are what "\\n" separates, numbered from 1; no other character ends a line. The parser accepts the small
deviations that annotators are known to write and reports what it cannot use as typed defects. Nothing that an annotator
writes can damage the text, because only line ranges are taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

from threadweaver.trajectory.reply_text import with_ascii_marks, without_entities


class Code(StrEnum):
    """What can be wrong with an annotation."""

    GAP = "gap"
    OVERLAP = "overlap"
    OUT_OF_FILE = "out_of_file"
    OUT_OF_ORDER = "out_of_order"
    CHECK_FAILED = "check_failed"
    SINGLE_THREAD = "single_thread"
    MISSING_RANGE = "missing_range"
    UNBALANCED_TAG = "unbalanced_tag"


KINDS = ("cases", "methods", "quantities", "candidates", "checks", "attempts")
"""What the threads of a block have in common."""
NOVELTIES = ("new work", "re-check", "restatement")
"""Whether a block's work is done for the first time, checks what is settled, or writes it down again."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing wrong with the annotation. `block` and `thread` count from 1; None where it belongs to neither."""

    code: Code
    detail: str
    block: int | None = None
    thread: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Lines `first` to `last` of the chain, both included, from 1."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"L{self.first}-L{self.last}"

    def overlaps(self, other: Range) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Step:
    number: str
    description: str
    lines: Range | None


@dataclass(frozen=True, slots=True)
class ThreadNote:
    """One thread of an annotated block. `passed` is the annotator's own check, None where it noted none."""

    lines: Range | None
    steps: tuple[Step, ...] = ()
    passed: bool | None = None
    note: str = ""
    takes: str = ""
    """What it takes from siblings, in the annotator's words; empty where it says nothing of it."""


@dataclass(frozen=True, slots=True)
class BlockNote:
    """One annotated block, its threads in the order of the text."""

    number: int
    threads: tuple[ThreadNote, ...]
    lines: Range | None
    reason: str = ""
    defects: tuple[Defect, ...] = ()
    kind: str = ""
    """One of `KINDS`; empty where the annotator names none."""
    novelty: str = ""
    """One of `NOVELTIES`; empty where the annotator names none."""

    def has(self, *codes: Code) -> bool:
        return any(defect.code in codes for defect in self.defects)


@dataclass(frozen=True, slots=True)
class Annotation:
    steps: tuple[Step, ...]
    blocks: tuple[BlockNote, ...]
    defects: tuple[Defect, ...] = field(default=())
    """All defects in order, those of the blocks included."""


def file_name(uuid: str) -> str:
    """Return the name of the file that holds the annotation of a sample."""
    return f"{uuid}_reasoning.txt"


def lines(text: str) -> list[str]:
    """Return the lines of a chain; `"\\n".join` gives the chain back."""
    return text.split("\n")


def number_lines(text: str) -> str:
    """Return the chain as the annotator sees it: `L12 [85]: …` is line 12, of 85 characters. Blank lines are counted
    and not shown: nobody cites them, and every second line is one."""
    numbered = enumerate(lines(text), 1)
    return "\n".join(f"L{number} [{len(line)}]: {line}" for number, line in numbered if line.strip())


_DASH = r"\s*(?:-|–|—|\.\.+|…|to|through)\s*"
_RANGE = re.compile(rf"\bL(?:ines?)?\.?\s*(\d{{1,9}})(?:{_DASH}(?:L(?:ines?)?\.?\s*)?(\d{{1,9}}))?", re.I)
_BRACKETED = re.compile(r"[(\[]\s*+(?:range\s*+:\s*+)?(?=L)([^()\[\]]*)[)\]]", re.I)
_BARE = re.compile(rf"\brange\s*+:\s*+(\d{{1,9}})(?:{_DASH}(\d{{1,9}}))?", re.I)
_STEP = re.compile(r"^[\s>*\-•#|`]*+S(\d{1,6}(?:\.\d{1,6})*)[*`]*\s*[:.)\-–][*`]*\s*(.*)$", re.I)
_TAG = r"`*\\?<\s*+(/?)\s*+(parallel|thread)\b[^<>\n]{0,40}>[`*]*"
_TAG_LINE = re.compile(rf"[\s>*\-•#|]*{_TAG}", re.I)
# another tag on the same line counts directly after the first one or after its note; inside a note it is prose
_TAG_NEXT = re.compile(rf"[\s*]*{_TAG}", re.I)
_AFTER_NOTE = re.compile(rf"[)\]](?=[\s*]*{_TAG})", re.I)
_CLOSING = re.compile(r"[/\\]\s{0,9}parallel\b", re.I)
_CHECK = re.compile(r"\bcheck\s*+(?:(?:is|was|did|does|has|[:=])\s*+)*+(not\b|fail|unsuccessful|pass)", re.I)
_REASON = re.compile(r"\breason\s*+:(.*)$", re.I)
_TAKES = re.compile(r"\btakes\s+from\s+(?:its\s+)?siblings?\s*+:\s*+(.*)$", re.I)
_NAMED_RANGE = re.compile(r"\brange\s*+:?\s*+(?=L?\d)", re.I)  # not "the range of L183"
_VERDICT = re.compile(r"[\s,;.)\]]*(?:\bcheck\b.*|\brange\s*:.*)?$", re.I | re.S)


def parse(text: str, chain_lines: Sequence[str]) -> Annotation:
    """Parse an annotation of the chain with these lines. Never raises: what is wrong is listed in `defects`."""
    reader = _Reader()
    # HTML entities, full-width marks and other dashes mean here what they mean in ASCII
    for line in with_ascii_marks(without_entities(text.lstrip("\ufeff"))).replace("\r\n", "\n").split("\n"):
        reader.feed(line)
    reader.finish()
    blocks = [_resolve(block, chain_lines) for block in sorted(reader.blocks, key=lambda block: block.number)]
    defects = [*reader.defects, *(defect for block in blocks for defect in block.defects)]
    return Annotation(tuple(reader.steps), tuple(blocks), tuple(defects))


def names_blocks(text: str) -> bool:
    """Return whether something like `[/parallel]` closes a block, in a form that `parse` reads or not."""
    return _CLOSING.search(text) is not None


def read_range(text: str) -> Range | None:
    """Return the range that a line of annotation gives, or None. Swapped bounds are put in order."""
    bracketed = [match.group(1) for match in _BRACKETED.finditer(text)]
    # the last brackets on the line, because the description may quote other lines
    for pattern, piece in [*((_RANGE, part) for part in reversed(bracketed)), (_RANGE, text), (_BARE, text)]:
        if match := pattern.search(piece):
            first = int(match.group(1))
            last = int(match.group(2) or first)
            return Range(min(first, last), max(first, last))
    return None


@dataclass
class _OpenBlock:
    """A block that is not closed yet; `steps` are those of its open thread, None between threads."""

    number: int
    reason: str
    threads: list[ThreadNote] = field(default_factory=list)
    steps: list[Step] | None = None


class _Reader:
    """Reads line by line. A tag counts only at the beginning of a line, so that prose may mention one.

    A block inside a thread of another one is a candidate of its own; its steps belong to both.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.blocks: list[BlockNote] = []
        self.defects: list[Defect] = []
        self._open: list[_OpenBlock] = []
        self._opened = 0

    def feed(self, line: str) -> None:
        if match := _TAG_LINE.match(line):
            while match:
                match = self._take_tag(line, match)
        elif match := _STEP.match(line):
            step = Step(match.group(1), _description(match.group(2)), read_range(match.group(2)))
            self.steps.append(step)
            for block in self._open:
                if block.steps is not None:
                    block.steps.append(step)

    def _take_tag(self, line: str, tag: re.Match[str]) -> re.Match[str] | None:
        """Take a tag with its note, and return the next tag on the line."""
        following = _TAG_NEXT.match(line, tag.end())
        note_end = tag.end()
        if not following:
            note = _AFTER_NOTE.search(line, tag.end())
            note_end = note.end() if note else len(line)
            following = _TAG_NEXT.match(line, note_end) if note else None
        closes, name = tag.group(1), tag.group(2).lower()
        take = {
            "parallel": self._open_block,
            "thread": self._open_thread,
            "/thread": self._close_thread,
            "/parallel": self._close_block,
        }[closes + name]
        take(line[tag.end() : note_end])
        return following

    def finish(self) -> None:
        if self._open:
            self._drop("a <parallel> is never closed")

    def _open_block(self, rest: str) -> None:
        if self._open and self._open[-1].steps is None:
            self._drop("a <parallel> opens before the one before it is closed")
        self._opened += 1
        match = _REASON.search(rest)
        reason = match.group(1).strip().removesuffix("]").strip() if match else rest.strip(" []")
        self._open.append(_OpenBlock(self._opened, reason))

    def _open_thread(self, rest: str) -> None:
        if not self._open:
            self.defects.append(Defect(Code.UNBALANCED_TAG, "<thread> outside a block"))
        elif self._open[-1].steps is not None:
            self._drop("a <thread> opens before the one before it is closed")
        else:
            self._open[-1].steps = []

    def _close_thread(self, rest: str) -> None:
        if not self._open or self._open[-1].steps is None:
            self.defects.append(Defect(Code.UNBALANCED_TAG, "</thread> without its <thread>"))
            return
        block = self._open[-1]
        block.threads.append(_thread_note(rest, block.steps or []))
        block.steps = None

    def _close_block(self, rest: str) -> None:
        if not self._open:
            self.defects.append(Defect(Code.UNBALANCED_TAG, "</parallel> without its <parallel>"))
            return
        if self._open[-1].steps is not None:
            self._drop("a </parallel> comes before its last </thread>")
            return
        block = self._open.pop()
        kind, novelty, reason = _nature(block.reason)
        threads = tuple(block.threads)
        self.blocks.append(BlockNote(block.number, threads, read_range(rest), reason, (), kind, novelty))

    def _drop(self, detail: str) -> None:
        """Keep the open blocks without their threads, so that their loss is reported."""
        for block in self._open:
            defect = Defect(Code.UNBALANCED_TAG, detail, block.number)
            span = _hull([thread.lines for thread in block.threads if thread.lines])
            self.blocks.append(BlockNote(block.number, (), span, block.reason, (defect,)))
        self._open = []


def _thread_note(rest: str, steps: Sequence[Step]) -> ThreadNote:
    """Read what follows </thread>: its range, what it takes from siblings, the annotator's verdict."""
    takes = _TAKES.search(rest)
    check = _CHECK.search(rest, takes.start() if takes else 0) or _CHECK.search(rest)
    passed = check.group(1).lower().startswith("pass") if check else None
    before = min((match.start() for match in (takes, check) if match), default=len(rest))
    named = [match.start() for match in _NAMED_RANGE.finditer(rest)]
    span = read_range(rest[:before]) or (read_range(rest[named[-1] :]) if named else None) or _union(steps)
    taken = _VERDICT.sub("", takes.group(1), count=1).strip() if takes else ""
    return ThreadNote(span, tuple(steps), passed, rest.strip(" ()[]"), taken)


def _nature(reason: str) -> tuple[str, str, str]:
    """Return kind, novelty and the rest of a reason in the form "cases; new work; why"."""
    parts = [part.strip() for part in reason.split(";")]
    kind = next((kind for kind in KINDS if parts[0].lower().rstrip("s") == kind.rstrip("s")), "")
    if not kind:
        return "", "", reason
    said = parts[1].lower().replace(" ", "").replace("-", "") if len(parts) > 1 else ""
    novelty = next((novelty for novelty in NOVELTIES if said == novelty.replace(" ", "").replace("-", "")), "")
    return kind, novelty, "; ".join(parts[2 if novelty else 1 :]).strip()


def _description(text: str) -> str:
    return _BRACKETED.sub("", text).strip(" *")


def _hull(ranges: Sequence[Range]) -> Range | None:
    if not ranges:
        return None
    return Range(min(span.first for span in ranges), max(span.last for span in ranges))


def _union(steps: Sequence[Step]) -> Range | None:
    return _hull([step.lines for step in steps if step.lines])


def _resolve(block: BlockNote, chain_lines: Sequence[str]) -> BlockNote:
    """Check one block's ranges against the chain and against each other."""
    if block.has(Code.UNBALANCED_TAG):
        return block
    defects = list(block.defects)
    for at, thread in enumerate(block.threads, 1):
        if thread.passed is False:
            defects.append(Defect(Code.CHECK_FAILED, thread.note, block.number, at))
    threads, found = _clip(block, len(chain_lines))
    defects += found
    ranges = [thread.lines for thread in threads if thread.lines]
    if ranges != sorted(ranges):
        defects.append(Defect(Code.OUT_OF_ORDER, "the threads are not in the order of the text", block.number))
        threads = sorted(threads, key=lambda thread: thread.lines or Range(0, 0))
    defects += _check_neighbours(threads, chain_lines, block.number)
    if len(threads) < 2:
        defects.append(Defect(Code.SINGLE_THREAD, f"{len(threads)} thread(s)", block.number))
    hull = _hull([thread.lines for thread in threads if thread.lines])
    defects += _stray_lines(block, hull, chain_lines)
    return replace(block, threads=tuple(threads), lines=hull, defects=tuple(defects))


def _clip(block: BlockNote, n_lines: int) -> tuple[list[ThreadNote], list[Defect]]:
    """Clip the threads' ranges to the file; a thread wholly outside it, or without a range, is a defect."""
    threads, defects = [], []
    for at, thread in enumerate(block.threads, 1):
        span = thread.lines
        if span is None:
            defects.append(Defect(Code.MISSING_RANGE, "a thread without a readable range", block.number, at))
        elif span.first > n_lines or span.last < 1:
            defects.append(Defect(Code.OUT_OF_FILE, f"{span} of a chain of {n_lines} lines", block.number, at))
        else:
            thread = replace(thread, lines=Range(max(span.first, 1), min(span.last, n_lines)))
        threads.append(thread)
    return threads, defects


def _check_neighbours(threads: Sequence[ThreadNote], chain_lines: Sequence[str], block: int) -> Iterator[Defect]:
    for at, (one, two) in enumerate(pairwise(threads), 1):
        if not one.lines or not two.lines:
            continue
        if one.lines.overlaps(two.lines):
            yield Defect(Code.OVERLAP, f"{one.lines} and {two.lines}", block, at)
        elif _has_text(chain_lines, one.lines.last + 1, two.lines.first - 1):
            yield Defect(Code.GAP, f"no thread covers L{one.lines.last + 1}-L{two.lines.first - 1}", block, at)


def _stray_lines(block: BlockNote, hull: Range | None, chain_lines: Sequence[str]) -> Iterator[Defect]:
    """Report lines of the block's own range before its first or after its last thread: they stay outside it."""
    if hull and block.lines:
        for first, last in ((block.lines.first, hull.first - 1), (hull.last + 1, block.lines.last)):
            if _has_text(chain_lines, max(first, 1), min(last, len(chain_lines))):
                yield Defect(Code.GAP, f"L{first}-L{last} lie in the block but in no thread", block.number)


def _has_text(chain_lines: Sequence[str], first: int, last: int) -> bool:
    return any(line.strip() for line in chain_lines[first - 1 : last]) if first <= last else False
