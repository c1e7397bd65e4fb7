"""What is wrong with the outlines of a block, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from threadweaver import independence
from threadweaver.outlines.giveaways import Reading, given_away
from threadweaver.outlines.notation import squeezed
from threadweaver.trajectory import markup
from threadweaver.trajectory.questions import OutlineQuestion

MAX_CHARS = 600
"""An outline is a plan, not the thread: the published mean is about 60 tokens a block of 2.6."""

UNFIT = ("count", "empty", "placeholder", "holds_tag", "too_long", "repeats_sibling")
"""With one of these the outlines cannot announce the threads of a block."""
GIVES_AWAY = ("gives_result", "leans_on_sibling")
"""These announce the threads, but say what nobody can know before them."""
CODES = (*UNFIT, *GIVES_AWAY)

_PLACEHOLDER = re.compile(
    r"\W*+(?:(?:outline|thread|step|part|case|approach|plan|path|branch)?\W*+(?:\d+|[a-z])?|n/?a|none|null|todo|tbd|text|"
    r"description|placeholder|lorem ipsum.*)\W*+|\W*?(?:<.*>|\[.*\])\W*+",
    re.I,
)
_LEANS = re.compile(
    r"\b(?:thread|outline)s?\s+#?\d+|\b(?:previous|preceding|earlier|other|first|above) (?:threads?|outlines?)\b"
    r"|\b(?:result|value|answer|finding|conclusion)s? (?:of|from) (?:the )?(?:previous|preceding|first|other) \w+",
    re.I,
)


@dataclass(frozen=True, slots=True)
class OutlineFault:
    """One thing wrong with the outlines of a block: a code of `CODES`, the outline's number (None: all of them), and
    what it is in words that go on after the number."""

    code: str
    number: int | None
    detail: str

    def __str__(self) -> str:
        return self.detail if self.number is None else f"outline {self.number} {self.detail}"


def check_outlines(outlines: Sequence[str], question: OutlineQuestion) -> list[OutlineFault]:
    """Everything wrong with the outlines of this block: `UNFIT` ones, or, where there are none, those of `TOLD`.

    Mathematics is compared in one notation, numbers by their value. Linear in the text.
    """
    return list(unfit(outlines, len(question.threads))) or [
        *_results(outlines, question),
        *_leanings(outlines, question),
    ]


def describe_unfit(outlines: Sequence[str], threads: int) -> str | None:
    """What makes these outlines unfit for a block of so many threads, in words; None when nothing does."""
    first = next(unfit(outlines, threads), None)
    return None if first is None else str(first)


def unfit(outlines: Sequence[str], threads: int) -> Iterator[OutlineFault]:
    if len(outlines) != threads:
        yield OutlineFault("count", None, f"{len(outlines)} outlines for {threads} threads")
        return
    seen: dict[str, int] = {}
    for number, text in enumerate(outlines, 1):
        stripped = text.strip()
        if not stripped:
            yield OutlineFault("empty", number, "says nothing (it is empty)")
        elif is_placeholder(text):
            yield OutlineFault("placeholder", number, f"says nothing ({stripped[:40]!r})")
        elif markup.TAG_SHAPED.search(text):
            yield OutlineFault("holds_tag", number, "holds a tag")
        elif len(stripped) > MAX_CHARS:
            yield OutlineFault("too_long", number, f"has {len(stripped)} characters, {MAX_CHARS} are allowed")
        elif (earlier := seen.setdefault(_sameness(stripped), number)) != number:
            yield OutlineFault("repeats_sibling", number, f"repeats outline {earlier}")


def _sameness(text: str) -> str:
    """Two outlines with the same say the same."""
    return squeezed(text).lower().strip(".,;:'\"*`")


def is_placeholder(text: str) -> bool:
    return not text.strip() or _PLACEHOLDER.fullmatch(text.strip()) is not None


def _results(outlines: Sequence[str], question: OutlineQuestion) -> Iterator[OutlineFault]:
    known = Reading(question.known)
    for number, (text, thread) in enumerate(zip(outlines, question.threads, strict=True), 1):
        if told := given_away(text, thread, known):
            yield OutlineFault("gives_result", number, f"tells {' and '.join(told)}, which only its thread works out")


def _leanings(outlines: Sequence[str], question: OutlineQuestion) -> Iterator[OutlineFault]:
    """Words for a sibling, and mathematics that a sibling introduces and the outline's own thread does not hold.

    Phrases that point back ("the remaining", "this expression") mostly point at the outline's own words.
    """
    context = independence.Context(question.known)
    threads = [independence.Passage.read(thread) for thread in question.threads]
    for number, text in enumerate(outlines, 1):
        siblings = [passage for at, passage in enumerate(threads, 1) if at != number]
        own = threads[number - 1].places
        found = independence.leaks_of(context, [*siblings, independence.Passage.read(text)], [len(siblings)])
        leak = next((leak for leak in found if _is_mathematics(leak) and (leak.kind, leak.what) not in own), None)
        if match := _LEANS.search(text):
            yield OutlineFault("leans_on_sibling", number, f'leans on a sibling ("{match[0]}")')
        elif leak:
            sibling = leak.source + 1 + (leak.source + 1 >= number)
            yield OutlineFault("leans_on_sibling", number, f"uses {leak.what}, which only thread {sibling} introduces")


def _is_mathematics(leak: independence.Leak) -> bool:
    return leak.certain and leak.kind in independence.MATHEMATICAL
