r"""Floating-point estimates of constants such as `\frac{2\sqrt{3}}{5}`: enough to see that two differ, never that two are
equal."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from threadweaver.grading.values import NotPlain, Reader

# Relative; far more than the error of a decimal with six digits, and than floating point loses in an answer.
CERTAIN = 1e-4

_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|\\?(?:sqrt|pi)(?![a-zA-Z])|\\frac|e|[-+*/^(){}\[\]]")


def differ(answer: str, reference: str) -> bool:
    """Return True if both are constants whose values are far apart; False means nothing."""
    left, right = estimate(answer), estimate(reference)
    return left is not None and right is not None and abs(left - right) > CERTAIN * max(abs(left), abs(right))


@lru_cache(maxsize=8192)
def estimate(text: str) -> float | None:
    """Return the approximate value of a normal form (or of plain `2sqrt(3)`), or None if it is not a constant."""
    tokens = [token.lstrip("\\") for token in _TOKEN.findall(text)]
    if not tokens or len(tokens) > 200 or len("".join(tokens)) != len(text.replace("\\", "").replace(" ", "")):
        return None
    reader = _Estimator(tokens)
    try:
        value = reader.sum()
    except (NotPlain, ArithmeticError):
        return None
    return value if reader.at_end() and math.isfinite(value) else None


class _Estimator(Reader):
    silent = ("(", "{", "sqrt", "pi", "frac", "e")

    def power(self) -> float:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        value = base ** self.signed()
        if isinstance(value, complex):
            raise NotPlain
        return value

    def atom(self) -> float:
        token = self.take()
        if token in ("(", "{"):
            value = self.sum()
            self.take(")" if token == "(" else "}")
            return value
        if token == "frac":
            return self.group() / self.group()
        if token == "sqrt":
            return self._root()
        if token in ("pi", "e"):
            return math.pi if token == "pi" else math.e
        if not token[0].isdigit() or self.peek() == "frac":  # `2\frac{…}` is a mixed number, or a product
            raise NotPlain
        return float(token)

    def _root(self) -> float:
        degree = 2.0
        if self.peek() == "[":
            self.take()
            degree = self.sum()
            self.take("]")
        if self.peek() not in ("{", "("):
            raise NotPlain
        value = self.atom()
        if value < 0:
            raise NotPlain
        return value ** (1 / degree)
