"""A model that knows only one row: given the context of one of its units it returns the continuation, given
anything else it fails. A fork-join loop driven by it requests what training sees, or fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from threadweaver.corpus import training_units
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.generation import forkjoin
from threadweaver.generation.engine import Completion, SampleFailed, decode
from threadweaver.trajectory import markup

STOPS = {
    training_units.OUTLINES: markup.OUTLINES_END,
    training_units.THREAD: markup.THREAD_END,
    training_units.END: markup.OUTLINES_END,
}
NO_LIMITS = forkjoin.Limits(context=1 << 30, blocks=1 << 20)


class Unknown(SampleFailed):
    """A request that matches no unit of the row."""


class Scripted:
    """Stands in for the completions API; `asked` holds the context of every request."""

    def __init__(self, known: Sequence[training_units.Unit[list[int]]], tokenizer: Tokenizer):
        self.known = {tuple(unit.context): unit for unit in known}
        self.tokenizer = tokenizer
        self.asked: list[tuple[int, ...]] = []

    async def __call__(
        self, prompt: Sequence[int], *, max_tokens: int, stop: str | None = None, seed: int = 0
    ) -> Completion:
        self.asked.append(tuple(prompt))
        unit = self.known.get(tuple(prompt))
        if unit is None:
            raise Unknown(f"no unit has the context of {len(prompt)} tokens {decode(self.tokenizer, prompt)[-40:]!r}")
        if stop != STOPS[unit.kind] or max_tokens < len(unit.continuation):
            raise Unknown(
                f"a unit of kind {unit.kind} is asked for with the stop {stop!r} and room for {max_tokens} tokens"
            )
        await asyncio.sleep(0)  # siblings are under way together
        ids = tuple(unit.continuation)
        if unit.kind != training_units.END:
            return Completion(ids, "stop")
        return Completion(ids[:-1] if ids and ids[-1] in self.tokenizer.hf.all_special_ids else ids, "end")


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of a row in the loop; without `faults`, it came out token for token."""

    units: int
    requests: int
    faults: tuple[str, ...]


def round_trip(row: str, begin: int, tokenizer: Tokenizer) -> Trip:
    """Drive a row (a prompt of `begin` characters and the assistant's turn) through the fork-join loop.

    `tokenizer` has the tags as single tokens.
    """
    try:
        texts, ids = training_units.as_text(row, begin), training_units.as_ids(row, begin, tokenizer)
    except (markup.MarkupError, training_units.UnitError) as error:
        return Trip(0, 0, (str(error),))
    model = Scripted(ids, tokenizer)
    prompt, whole = tokenizer.ids(row[:begin]), tokenizer.ids(row)
    try:
        rollout = asyncio.run(forkjoin.branching(prompt, model, tokenizer, NO_LIMITS))
    except Unknown as error:
        return Trip(len(ids), len(model.asked), (str(error),))
    back = [*prompt, *rollout.ids]
    end = whole[-1:] if whole[-1] in tokenizer.hf.all_special_ids else []
    checks = {
        "the loop ended with " + rollout.reason: rollout.reason == forkjoin.FINISHED,
        "the tokens that came back are not those of the row": [*back, *end] == whole,
        "the text that came back is not that of the row": decode(tokenizer, [*back, *end]) == decode(tokenizer, whole),
        "the requests are not the units": Counter(model.asked) == Counter(tuple(unit.context) for unit in ids),
        "a stop was passed over": rollout.late_stops == 0,
        "a unit encoded from its text has other tokens": all(map(same_tokens(tokenizer), texts, ids)),
    }
    return Trip(len(ids), len(model.asked), tuple(fault for fault, holds in checks.items() if not holds))


def same_tokens(tokenizer: Tokenizer):
    """Whether a unit of text, encoded in one piece or in two, is the unit of token ids."""

    def same(text: training_units.Unit[str], ids: training_units.Unit[list[int]]) -> bool:
        apart = [tokenizer.ids(text.context), tokenizer.ids(text.continuation)]
        together = tokenizer.ids(text.context + text.continuation)
        return apart == [ids.context, ids.continuation] and together == ids.context + ids.continuation

    return same
