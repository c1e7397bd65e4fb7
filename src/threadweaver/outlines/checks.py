"""Check the outlines of a block, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from threadweaver import independence
from threadweaver.outlines.giveaways import MathText, find_giveaways
from threadweaver.outlines.notation import to_compact
from threadweaver.trajectory import markup
from threadweaver.trajectory.questions import OutlineQuestion
from threadweaver.trajectory.reply_text import UNWRITABLE

MAX_CHARS = 600
"""An outline is a plan, not the thread: the published mean is about 60 tokens per block of 2.6 threads."""

UNFIT = ("count", "empty", "placeholder", "holds_tag", "control_character", "too_long", "repeats_sibling")
"""With one of these faults the outlines cannot announce the threads of a block."""
GIVES_AWAY = ("gives_result", "leans_on_sibling")
"""With these they announce the threads, but say what cannot be known before them."""
CODES = (*UNFIT, *GIVES_AWAY)

_PLACEHOLDER = re.compile(
    r"\W*+(?:(?:outline|thread|step|part|case|approach|plan|path|branch)?\W*+(?:\d+|[a-z])?|n/?a|none|null|todo|tbd|text|"
    r"description|placeholder|lorem ipsum.*)\W*+|\W*?(?:<.*>|\[.*\])\W*+",
    re.I,
)
_SIBLING_REFERENCE = re.compile(
    r"\b(?:thread|outline)s?\s+#?\d+|\b(?:previous|preceding|earlier|other|first|above) (?:threads?|outlines?)\b"
    r"|\b(?:result|value|answer|finding|conclusion)s? (?:of|from) (?:the )?(?:previous|preceding|first|other) \w+",
    re.I,
)


@dataclass(frozen=True, slots=True)
class OutlineFault:
    """One thing wrong with the outlines of a block.

    `code` is one of `CODES`, `number` the outline's number from 1 (None: all of them); `detail` continues a sentence that
    begins with the outline's number.
    """

    code: str
    number: int | None
    detail: str

    def __str__(self) -> str:
        return self.detail if self.number is None else f"outline {self.number} {self.detail}"


def check_outlines(outlines: Sequence[str], question: OutlineQuestion) -> list[OutlineFault]:
    """Return all `UNFIT` faults of the outlines that the question asks for, or, where there are none, all `GIVES_AWAY`
    faults.

    Mathematics is compared in one notation, numbers by their value. Linear in the length of the text. An annotator may
    check what it is about to answer: stage 4, which checks every answer, then does not do the work a second time.
    """
    return list(_checked(tuple(outlines), question))


@lru_cache(maxsize=128)  # blocks between an annotator's check and that of the stage; their texts stay in memory
def _checked(outlines: tuple[str, ...], question: OutlineQuestion) -> tuple[OutlineFault, ...]:
    unfit = tuple(_unfit(outlines, question.asked))
    return unfit or (*_results(outlines, question), *_sibling_uses(outlines, question))


def describe_unfit(outlines: Sequence[str], threads: int) -> str | None:
    """Return in words why these outlines are unfit for a block of `threads` threads, or None if they are fit."""
    first = next(_unfit(outlines, range(1, threads + 1)), None)
    return None if first is None else str(first)


def _unfit(outlines: Sequence[str], numbers: Sequence[int]) -> Iterator[OutlineFault]:
    if len(outlines) != len(numbers):
        yield OutlineFault("count", None, f"{len(outlines)} outlines for {len(numbers)} threads")
        return
    seen: dict[str, int] = {}
    for number, text in zip(numbers, outlines, strict=True):
        stripped = text.strip()
        if not stripped:
            yield OutlineFault("empty", number, "says nothing (it is empty)")
        elif is_placeholder(text):
            yield OutlineFault("placeholder", number, f"says nothing ({stripped[:40]!r})")
        elif markup.TAG_SHAPED.search(text):
            yield OutlineFault("holds_tag", number, "holds a tag")
        elif UNWRITABLE.search(text):
            yield OutlineFault("control_character", number, "holds a control character or half a character")
        elif len(stripped) > MAX_CHARS:
            yield OutlineFault("too_long", number, f"has {len(stripped)} characters, {MAX_CHARS} are allowed")
        elif (earlier := seen.setdefault(_essence(stripped), number)) != number:
            yield OutlineFault("repeats_sibling", number, f"repeats outline {earlier}")


def _essence(text: str) -> str:
    """Return what two outlines share when they say the same thing."""
    return to_compact(text).lower().strip(".,;:'\"*`")


def is_placeholder(text: str) -> bool:
    """Return whether an outline is empty or a placeholder like "Thread 1", "TODO" or "<text>"."""
    return not text.strip() or _PLACEHOLDER.fullmatch(text.strip()) is not None


def _results(outlines: Sequence[str], question: OutlineQuestion) -> Iterator[OutlineFault]:
    known = MathText(question.known)
    for number, text in zip(question.asked, outlines, strict=True):
        if found := find_giveaways(text, question.threads[number - 1], known):
            yield OutlineFault("gives_result", number, f"tells {' and '.join(found)}, which only its thread works out")


def _sibling_uses(outlines: Sequence[str], question: OutlineQuestion) -> Iterator[OutlineFault]:
    """Find references to a sibling, and mathematics that a sibling introduces and the outline's own thread lacks."""
    context = independence.Context(question.known)
    threads = [independence.Passage.read(thread) for thread in question.threads]
    for number, text in zip(question.asked, outlines, strict=True):
        siblings = [passage for at, passage in enumerate(threads, 1) if at != number]
        own = threads[number - 1].places
        found = independence.leaks_of(context, [*siblings, independence.Passage.read(text)], [len(siblings)])
        leak = next((leak for leak in found if leak.certain and (leak.kind, leak.what) not in own), None)
        if match := _SIBLING_REFERENCE.search(text):
            yield OutlineFault("leans_on_sibling", number, f'leans on a sibling ("{match[0]}")')
        elif leak:
            sibling = leak.source + 1 + (leak.source + 1 >= number)
            yield OutlineFault("leans_on_sibling", number, f"uses {leak.what}, which only thread {sibling} introduces")
