"""The rate limits of the local model server, and the headers that report them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class TokenBucket:
    """Allows `rate` per second on average, at most `burst` at once; the rate-limit headers report the same amounts."""

    rate: float
    burst: float
    level: float = -1.0
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.level = self.burst

    def refill(self) -> None:
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now

    def take(self, amount: float) -> bool:
        self.refill()
        if self.level < amount:
            return False
        self.level -= amount
        return True

    def wait(self, amount: float) -> float:
        """Return the seconds until `amount` is available."""
        return max(0.0, (amount - self.level) / self.rate)


def duration(seconds: float) -> str:
    """Format a duration as in the rate-limit headers: 20ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"
