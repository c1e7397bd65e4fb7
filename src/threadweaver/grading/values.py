r"""The exact value of a plain number, as `12`, `-3/4`, `1\frac{1}{2}`, `2^{10}`, `6.5*10^{-2}`, `(1+2)/3`, `1,000`.

A small recursive parser over the rationals, so that most answers need no algebra system. A number that would grow beyond
MAX_BITS does not count as plain.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

MAX_BITS = 20_000
# With fewer digits a decimal is an estimate of an exact answer, not a spelling of it.
APPROXIMATION_DIGITS = 6

_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|\\frac|[-+*/^(){}]")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"[-+]?(\d+)\.(\d+)(?:\*10\^\{(-?\d{1,3})\}|[eE]([-+]?\d{1,3}))?")
_REPEATING = re.compile(r"(-?)(\d{1,30})\.(\d{0,30})\\(?:overline|bar|dot)\{(\d{1,30})\}")


class NotPlain(Exception):
    """The text is not of the kind that a reader accepts."""


@lru_cache(maxsize=8192)
def number(normal: str) -> Fraction | None:
    """Return the value of a normal form without unit or percent sign, or None if it is not a plain number."""
    if _THOUSANDS.fullmatch(normal):
        normal = normal.replace(",", "")
    if repeating := _REPEATING.fullmatch(normal):
        return _repeating(*repeating.groups())
    tokens = _TOKEN.findall(normal)
    if not tokens or len(tokens) > 200 or "".join(tokens) != normal:
        return None
    reader = Reader(tokens)
    try:
        value = reader.sum()
    except (NotPlain, ZeroDivisionError):
        return None
    return value if reader.at_end() else None


def _repeating(sign: str, whole: str, fixed: str, period: str) -> Fraction:
    value = Fraction(whole + fixed) + Fraction(int(period), 10 ** len(period) - 1)
    return (-1 if sign else 1) * value / 10 ** len(fixed)


def approximates(decimal: str, value: Fraction) -> bool:
    """Return whether `decimal` is `value` rounded to the digits it has, with at least APPROXIMATION_DIGITS of them."""
    match = _DECIMAL.fullmatch(decimal)
    if match is None or len((match[1] + match[2]).lstrip("0")) < APPROXIMATION_DIGITS:
        return False
    power = Fraction(10) ** int(match[3] or match[4] or 0)
    return abs(Fraction(f"{match[1]}.{match[2]}") - abs(value) / power) * 10 ** len(match[2]) <= Fraction(1, 2) and (
        decimal.startswith("-") == (value < 0)
    )


def same_number(answer: str, reference: str) -> bool | None:
    """Return whether two plain numbers are equal, or None if one of them is not a plain number.

    A decimal equals a fraction that it rounds (`0.333333` and `1/3`), but not a decimal or an integer that it is close
    to: `4.99999999` is not `5`.
    """
    left, right = number(answer), number(reference)
    if left is None or right is None:
        return None
    if left == right:
        return True
    if "." in answer and "." in reference:
        return False
    return any(
        exact.denominator > 1 and approximates(text, exact) for text, exact in ((answer, right), (reference, left))
    )


class Reader:
    """Reads sums of products of powers. The sign before a bracket may be missing; a fraction makes a mixed number."""

    silent: tuple[str, ...] = ("(", "{")  # what may follow a factor without a multiplication sign

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def at_end(self) -> bool:
        return self.at == len(self.tokens)

    def peek(self) -> str:
        return "" if self.at_end() else self.tokens[self.at]

    def take(self, *expected: str) -> str:
        token = self.peek()
        if not token or (expected and token not in expected):
            raise NotPlain
        self.at += 1
        return token

    def sum(self) -> Fraction:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Fraction:
        value, divided = self.signed(), False
        while (token := self.peek()) in ("*", "/", *self.silent):
            if token in ("*", "/"):
                self.take()
            elif divided:  # 1/2(3) has two readings
                raise NotPlain
            if token == "/":
                value, divided = value / self.signed(), True
            else:
                value *= self.signed()
        return value

    def signed(self) -> Fraction:
        if self.peek() in ("-", "+"):
            return -self.signed() if self.take() == "-" else self.signed()
        return self.power()

    def power(self) -> Fraction:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        exponent = self.signed()
        if exponent.denominator != 1 or (base == 0 and exponent < 0):
            raise NotPlain
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) > MAX_BITS or bits * abs(exponent) > MAX_BITS:
            raise NotPlain
        return base ** int(exponent)

    def atom(self) -> Fraction:
        token = self.take()
        if token in ("(", "{"):
            value = self.sum()
            self.take(")" if token == "(" else "}")
            return value
        if token == r"\frac":
            return self.group() / self.group()
        if not token[0].isdigit() or len(token) > 1000:
            raise NotPlain
        value = Fraction(token)
        if self.peek() == r"\frac" and token.isdigit():
            self.take()
            part = self.group() / self.group()
            if not 0 <= part < 1:
                raise NotPlain
            value += part
        return value

    def group(self) -> Fraction:
        self.take("{")
        value = self.sum()
        self.take("}")
        return value
