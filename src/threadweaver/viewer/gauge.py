"""The length of a text: in tokens if there is a tokenizer, else as a declared estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from threadweaver.corpus.tokenizer import Tokenizer, short_name
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

CHARS_PER_TOKEN = 4
ESTIMATE = f"estimated: characters / {CHARS_PER_TOKEN}, not tokens"


@dataclass(frozen=True, slots=True)
class Gauge:
    """Measures trajectories. Without a tokenizer `exact` is False and every fourth character starts a token."""

    tokenizer: Tokenizer | None = None

    @property
    def exact(self) -> bool:
        return self.tokenizer is not None

    @property
    def name(self) -> str:
        return short_name(self.tokenizer.name) if self.tokenizer else ESTIMATE

    def starts(self, text: str) -> Sequence[int]:
        return self.tokenizer.starts(text) if self.tokenizer else range(0, len(text), CHARS_PER_TOKEN)

    def measures(self, trajectory: markup.Trajectory) -> dict[str, float]:
        return asdict(measure(trajectory, self.starts(trajectory.text)))


def shape(trajectory: markup.Trajectory) -> list:
    """Return the trajectory's plan in characters: a number for text, a list with a number per thread for a block."""
    return [
        [thread.inner_end - thread.inner_start for thread in part.threads]
        if isinstance(part, markup.Block)
        else part.end - part.start
        for part in trajectory.parts
    ]
