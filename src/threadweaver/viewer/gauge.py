"""How long a text is: in tokens where a tokenizer was named, else by a declared estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from threadweaver.corpus.tokenizer import Tokenizer, short_name
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

CHARS_A_TOKEN = 4
ESTIMATE = f"estimated: characters / {CHARS_A_TOKEN}, not tokens"


@dataclass(frozen=True, slots=True)
class Gauge:
    """Without a tokenizer every fourth character counts as the start of a token, and `exact` is False."""

    tokenizer: Tokenizer | None = None

    @property
    def exact(self) -> bool:
        return self.tokenizer is not None

    @property
    def name(self) -> str:
        return short_name(self.tokenizer.name) if self.tokenizer else ESTIMATE

    def starts(self, text: str) -> Sequence[int]:
        return self.tokenizer.starts(text) if self.tokenizer else range(0, len(text), CHARS_A_TOKEN)

    def measures(self, trajectory: markup.Trajectory) -> dict[str, float]:
        return asdict(measure(trajectory, self.starts(trajectory.text)))


def shape(trajectory: markup.Trajectory) -> list:
    """The trajectory's plan in characters: a number for text, a list of its threads' for a block."""
    return [
        [thread.inner_end - thread.inner_start for thread in part.threads]
        if isinstance(part, markup.Block)
        else part.end - part.start
        for part in trajectory.parts
    ]
