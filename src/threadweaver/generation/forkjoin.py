"""Parallel generation over a completions API: the fork-join loop.

Decode to `</Outlines>`; read the outlines of the block; decode all of its threads at once, each after the shared
context; join the threads after that context; decode on. What the loop writes itself, and so every context, is defined
in `training_units`, as are the pairs that training sees. Contexts are the token ids that were sent and that came back,
so that they are the tokens of training and the server's prefix cache serves them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.corpus.training_units import Contexts
from threadweaver.errors import UserError
from threadweaver.generation.engine import Completion, decode
from threadweaver.trajectory import markup

_PARALLEL, _PARALLEL_END, _OUTLINES, _OUTLINES_END, _OUTLINE, _OUTLINE_END, _THREAD, _THREAD_END, *_ = markup.TAGS
_NUMBERED = re.compile(rf"{_OUTLINE}\s*(\d{{1,6}})\s*:.*?{_OUTLINE_END}", re.S)

FINISHED = "finished"
"""The model ended its turn. Any other reason of a rollout says what cut it short."""
CONTEXT_FULL = "context_full"
NO_OUTLINES = "no_outlines"
UNCLOSED_THREAD = "unclosed_thread"
TOO_MANY_BLOCKS = "too_many_blocks"


class Complete(Protocol):
    """Decode on from token ids, to the first `stop` (kept) or the end."""

    async def __call__(
        self, prompt: Sequence[int], *, max_tokens: int, stop: str | None = None, seed: int = 0
    ) -> Completion: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`context` counts the tokens of prompt and trajectory. Rollouts of trainers stop after 32 turns: two per block and
    the last, which makes 15 blocks.
    """

    context: int = 40_960
    blocks: int = 15
    threads: int = markup.MAX_THREADS


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was generated after a prompt, and why it ended. Counts are tokens, times seconds."""

    ids: tuple[int, ...]
    text: str
    reason: str
    blocks: int
    threads: int
    critical_path: int
    """All tokens, less those of each block's shorter threads: what a parallel server waits for."""
    requests: int
    decoded: int
    """Tokens the server decoded; the rest of `ids` the loop wrote itself."""
    seconds: float
    request_seconds: float
    """All requests together: what they would have taken one after the other at the same speed."""
    late_stops: int
    """Stop strings that the server missed and that were found by reading the text."""
    exact: bool
    """Whether every token id came from the server."""


async def sequential(
    prompt: Sequence[int], complete: Complete, tokenizer: Tokenizer, limits: Limits, *, seed: int = 0
) -> Rollout:
    """Decode a chain in one request."""
    loop = _Loop(tuple(prompt), complete, tokenizer, limits, seed)
    piece = await loop.ask(loop.context, None, seed)
    loop.ids += piece.ids
    return loop.rollout(_ENDS[piece.finish])


async def branching(
    prompt: Sequence[int],
    complete: Complete,
    tokenizer: Tokenizer,
    limits: Limits,
    *,
    seed: int = 0,
    no_conclusion: bool = False,
) -> Rollout:
    """Generate a trajectory, every thread of a block at once.

    With `no_conclusion` a block is closed after its threads without asking the model, which could write a
    conclusion.
    """
    loop = _Loop(tuple(prompt), complete, tokenizer, limits, seed)
    while True:
        reason = await loop.decode_to_block() or await loop.fork_and_join()
        if reason:
            return loop.rollout(reason)
        if no_conclusion:
            loop.ids = loop.contexts.closed(loop.ids)


def require_tags(tokenizer: Tokenizer) -> None:
    """Raise UserError when the tags are not single tokens: the model was not trained on trajectories, no context would
    match, and ids that a model does not have can end its server.
    """
    missing = [tag for tag in markup.TAGS if len(tokenizer.ids(tag)) != 1]
    if missing:
        raise UserError(
            f"the tokenizer {tokenizer.name} has no token {missing[0]}, so its model was not trained on trajectories: "
            "name a trained one with --model_name (or its tokenizer with --tokenizer), or leave out --branching"
        )


_ENDS = {"end": FINISHED, "stop": FINISHED, "length": CONTEXT_FULL}


@dataclass(slots=True)
class _Loop:
    """The state of one rollout."""

    prompt: tuple[int, ...]
    complete: Complete
    tokenizer: Tokenizer
    limits: Limits
    seed: int
    ids: list[int] = field(default_factory=list)
    blocks: int = 0
    threads: int = 0
    saved: int = 0
    requests: int = 0
    decoded: int = 0
    request_seconds: float = 0.0
    late_stops: int = 0
    exact: bool = True
    outlines: int = 0
    begun: float = field(default_factory=time.perf_counter)

    @property
    def contexts(self) -> Contexts[list[int]]:
        return Contexts(self.tokenizer.ids)

    @property
    def context(self) -> list[int]:
        return [*self.prompt, *self.ids]

    async def ask(self, context: Sequence[int], stop: str | None, seed: int) -> Completion:
        """Decode on from `context`, until there is no more room for it."""
        room = self.limits.context - len(context)
        if room <= 0:
            return Completion((), "length")
        begun = time.perf_counter()
        piece = await self.complete(context, max_tokens=room, stop=stop, seed=seed)
        self.request_seconds += time.perf_counter() - begun
        self.requests += 1
        self.decoded += len(piece.ids)
        self.exact &= piece.exact
        return piece

    async def decode_to_block(self) -> str | None:
        """Decode to the end of the next outline list and read it. Return the reason when the trajectory ends here."""
        piece = await self.ask(self.context, _OUTLINES_END, derive(self.seed, self.blocks, 0))
        ids, closed, late = cut_after(piece.ids, _OUTLINES_END, self.tokenizer)
        self.ids += ids
        self.late_stops += late
        text = decode(self.tokenizer, ids)
        if _THREAD in text:
            return NO_OUTLINES  # threads written one after the other, without a list to fork from
        if not closed:
            return _ENDS[piece.finish]
        if self.blocks == self.limits.blocks:
            return TOO_MANY_BLOCKS
        self.outlines, reason = read_outlines(text, self.limits.threads)
        return reason

    async def fork_and_join(self) -> str | None:
        """Decode the threads of the block that was opened and join them. Return the reason when one does not close."""
        self.blocks += 1
        numbers = range(1, self.outlines + 1)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._thread(k)) for k in numbers]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # one thread that fails ends its siblings
        completions, reasons = zip(*(task.result() for task in tasks), strict=True)
        self.threads += self.outlines
        openings = [len(self.contexts.opening(k)) for k in numbers]
        lengths = [a + len(b) - 2 for a, b in zip(openings, completions, strict=True)]  # the tags wait for no one
        self.saved += sum(lengths) - max(lengths)
        if reason := next((reason for reason in reasons if reason), None):
            self.ids = self.contexts.threads(self.ids, completions)
            return reason
        self.ids = self.contexts.joined(self.ids, completions)
        return None

    async def _thread(self, k: int) -> tuple[list[int], str | None]:
        """Return the token ids of thread k after `k:`, to `</Thread>`, and why it did not close."""
        context = self.contexts.thread(self.context, k)
        piece = await self.ask(context, _THREAD_END, derive(self.seed, self.blocks, k))
        ids, closed, late = cut_after(piece.ids, _THREAD_END, self.tokenizer)
        self.late_stops += late
        reason = None if closed else CONTEXT_FULL if piece.finish == "length" else UNCLOSED_THREAD
        return ids, reason

    def rollout(self, reason: str) -> Rollout:
        return Rollout(
            ids=tuple(self.ids),
            text=decode(self.tokenizer, self.ids),
            reason=reason,
            blocks=self.blocks,
            threads=self.threads,
            critical_path=len(self.ids) - self.saved,
            requests=self.requests,
            decoded=self.decoded,
            seconds=time.perf_counter() - self.begun,
            request_seconds=self.request_seconds,
            late_stops=self.late_stops,
            exact=self.exact,
        )


def read_outlines(text: str, most: int = markup.MAX_THREADS) -> tuple[int, str | None]:
    """Return how many outlines the last block of `text` lists, or 0 and the reason why it cannot be forked.

    `text` ends with the outline list. The numbers have to be 1, 2, 3, …, as the grammar of trajectories demands.
    """
    opening = text.rfind(_PARALLEL)
    start = text.rfind(_OUTLINES)
    if opening < 0 or start < opening:
        return 0, NO_OUTLINES
    numbers = [int(match[1]) for match in _NUMBERED.finditer(text, start)]
    if not numbers:
        return 0, NO_OUTLINES
    if numbers != list(range(1, len(numbers) + 1)):
        return 0, "numbering"
    if len(numbers) < markup.MIN_THREADS:
        return 0, "single_thread"
    if len(numbers) > most:
        return 0, "too_many_threads"
    return len(numbers), None


def cut_after(ids: Sequence[int], tag: str, tokenizer: Tokenizer) -> tuple[list[int], bool, bool]:
    """Return `ids` up to the first `tag` in their text, whether there is one, and whether the server ran past it.

    A server looks for a stop in its last few tokens only, so it misses a tag that the model spells in pieces. The tag
    becomes the one token that it is in training; what was decoded after it is dropped.
    """
    ids = list(ids)
    text = decode(tokenizer, ids)
    at = text.find(tag)
    if at < 0:
        return ids, False, False
    if at + len(tag) == len(text) and [ids[-1]] == tokenizer.ids(tag):
        return ids, True, False
    kept = bisect_left(range(len(ids)), at + 1, key=lambda n: len(decode(tokenizer, ids[:n]))) - 1
    while not text.startswith(decode(tokenizer, ids[:kept])):
        kept -= 1  # never cut through a character of several tokens
    rest = text[len(decode(tokenizer, ids[:kept])) : at]
    return [*ids[:kept], *tokenizer.ids(rest), *tokenizer.ids(tag)], True, True


def derive(*parts: int | str) -> int:
    """Return a seed (31 bits) that depends on all of these and nothing else."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) & 0x7FFFFFFF
