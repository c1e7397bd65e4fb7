"""A trajectory as training units: pairs <context, continuation> as fork-join inference requests them.

A unit is what a model decodes in one request: the text up to and including `</Outlines>`; for each thread what follows
`k:`, up to and including `</Thread>`; after the joined threads the text to the next `</Outlines>` or the end. `Contexts`
builds what comes before each, in text or in token ids, both for the fork-join loop and for the units.

In token ids a unit is cut out of the one tokenization of its row, so context and continuation are the tokens that a
training row has. All cuts but two are at a tag, which is one token and never merges with its neighbours. The two are the
end of the prompt and the end of `k:`; `as_ids` refuses a tokenizer that merges tokens there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.trajectory import markup

OUTLINES, THREAD, END = "outlines", "thread", "end"
"""To the end of the next outline list; a thread; to the end of the turn. A trajectory has one `end`, its last unit."""

S = TypeVar("S", str, list[int])


class UnitError(ValueError):
    """A row whose units are not what inference requests: a token runs across a cut."""


@dataclass(frozen=True, slots=True)
class Contexts(Generic[S]):
    """Builds what the fork-join loop writes itself; `encode` is `str` for text, or a tokenizer's `ids`."""

    encode: Callable[[str], S]

    def opening(self, k: int) -> S:
        return self.encode(f"<Thread>\n{k}:")

    def thread(self, context: S, k: int) -> S:
        """Return what thread k continues; siblings differ in the number alone. `context` ends with `</Outlines>`."""
        return context + self.encode("\n") + self.opening(k)

    def threads(self, context: S, completions: Sequence[S]) -> S:
        """Return the context followed by the block's threads in order; each completion ends with `</Thread>`."""
        text = self.thread(context, 1) + completions[0]
        for k, completion in enumerate(completions[1:], 2):
            text = text + self.opening(k) + completion
        return text

    def joined(self, context: S, completions: Sequence[S]) -> S:
        """Return what the model continues when all threads have ended: it writes a conclusion or `</Parallel>`."""
        return self.threads(context, completions) + self.encode("\n")

    def closed(self, context: S) -> S:
        """Return a joined context to which the loop itself adds `</Parallel>`."""
        return context + self.encode(markup.PARALLEL_END)


@dataclass(frozen=True, slots=True)
class Unit(Generic[S]):
    """One training unit. `block` and `thread` count from 1; 0 where the unit belongs to none."""

    kind: str
    block: int
    thread: int
    context: S
    continuation: S


@dataclass(frozen=True, slots=True)
class Place:
    """Where the continuation of a unit is in the row: characters [start, end)."""

    kind: str
    block: int
    thread: int
    start: int
    end: int


def places(row: str, begin: int) -> list[Place]:
    """Return the places of a row's units, in order. A row is the prompt, `begin` characters, and the assistant's turn.

    Raises markup.MarkupError when the turn is not a trajectory that inference would build, byte for byte.
    """
    trajectory = markup.parse(row[begin:])
    found, at = [], begin
    for number, block in enumerate(trajectory.blocks, 1):
        check_form(trajectory.text, block)
        fork = begin + block.outlines_span[1]
        found.append(Place(OUTLINES, number, 0, at, fork))
        for k, thread in enumerate(block.threads, 1):
            start = begin + thread.start + len(Contexts(str).opening(k))
            found.append(Place(THREAD, number, k, start, begin + thread.end))
        at = begin + block.threads[-1].end + len("\n")
    return [*found, Place(END, 0, 0, at, len(row))]


def check_form(text: str, block: markup.Block) -> None:
    """Raise markup.MarkupError at the first byte that the fork-join loop, or a model trained for it, would not write.

    The form is spelled out here in the loop's terms and not taken from markup.write_block: their agreement is what is
    checked.
    """
    if not block.outlines:
        raise markup.MarkupError("missing_outlines", block.start, "a block without outlines cannot be forked")
    outlines = "".join(f"<Outline>{k}: {item.body}</Outline>\n" for k, item in enumerate(block.outlines, 1))
    completions = [f" {thread.body}\n</Thread>" for thread in block.threads]
    form = Contexts(str).joined(f"<Parallel>\n<Outlines>\n{outlines}</Outlines>", completions)
    if block.conclusion:
        form += f"<Conclusion>\n{block.conclusion.body}\n</Conclusion>\n"
    form += markup.PARALLEL_END
    found = text[block.start : block.end] + text[block.end : block.end + 1]
    if found not in (form, f"{form}\n"):
        at = next((n for n, (a, b) in enumerate(zip(found, form, strict=False)) if a != b), min(len(found), len(form)))
        raise markup.MarkupError(
            "not_canonical", block.start + at, f"{found[at : at + 12]!r} where {form[at : at + 12]!r} is due"
        )


def as_text(row: str, begin: int) -> list[Unit[str]]:
    """Return the units of a row as text; raises markup.MarkupError as `places` does."""
    return _assemble(places(row, begin), lambda start, end: row[start:end], Contexts(str))


def as_ids(row: str, begin: int, tokenizer: Tokenizer) -> list[Unit[list[int]]]:
    """Return the units of a row in token ids; `tokenizer` must have the tags as single tokens.

    Raises markup.MarkupError as `places` does, and UnitError when the row's tokens are not those that inference sends
    and receives.
    """
    ids, starts = tokenizer.ids(row), tokenizer.starts(row)

    def token(at: int) -> int:
        index = bisect_left(starts, at)
        if at < len(row) and (index == len(starts) or starts[index] != at):
            around = row[max(0, at - 9) : at + 9]
            raise UnitError(f"a token of {tokenizer.name} runs across character {at} ({around!r})")
        return index

    if tokenizer.ids(row[:begin]) != ids[: token(begin)]:
        raise UnitError(f"the prompt alone has tokens of {tokenizer.name} that differ from those in the row")
    return _assemble(places(row, begin), lambda start, end: ids[token(start) : token(end)], Contexts(tokenizer.ids))


def _assemble(where: Sequence[Place], take: Callable[[int, int], S], contexts: Contexts[S]) -> list[Unit[S]]:
    """Return the units at these places; `take` cuts [start, end) out of the row."""
    units: list[Unit[S]] = []
    completions: list[S] = []
    context = take(0, where[0].start)
    for place in where:
        piece = take(place.start, place.end)
        if place.kind == THREAD:
            units.append(Unit(THREAD, place.block, place.thread, contexts.thread(context, place.thread), piece))
            completions.append(piece)
            continue
        if completions:
            context = contexts.joined(context, completions)
            completions = []
        if context != take(0, place.start):
            raise UnitError(
                f"the row does not begin with the context that inference builds before character {place.start}"
            )
        units.append(Unit(place.kind, place.block, 0, context, piece))
        context = context + piece
    return units
