"""Words after a number, units of measure or plain nouns, and the conversion between units."""

from __future__ import annotations

import re
from fractions import Fraction

# symbol → (dimension, how many of the first unit of its dimension)
_TABLE = {
    "mm": ("length", Fraction(1, 1000)),
    "cm": ("length", Fraction(1, 100)),
    "m": ("length", 1),
    "km": ("length", 1000),
    "mg": ("mass", Fraction(1, 1000)),
    "g": ("mass", 1),
    "kg": ("mass", 1000),
    "s": ("time", 1),
    "min": ("time", 60),
    "h": ("time", 3600),
    "day": ("time", 86400),
    "L": ("volume", 1),
    "mL": ("volume", Fraction(1, 1000)),
    "dollar": ("money", 1),
    "cent": ("money", Fraction(1, 100)),
}
# spelling, in the singular → symbol
_NAMES = {
    "meter": "m",
    "metre": "m",
    "millimeter": "mm",
    "centimeter": "cm",
    "kilometer": "km",
    "gram": "g",
    "kilogram": "kg",
    "second": "s",
    "sec": "s",
    "minute": "min",
    "hour": "h",
    "hr": "h",
    "liter": "L",
    "litre": "L",
    "ml": "mL",
    "l": "L",
    "feet": "ft",
    "foot": "ft",
    "inche": "in",
    "inch": "in",
    "mile": "mi",
    "degree": "°",
    "deg": "°",
    "square": "sq",
}
_SYMBOLS = (
    "mm|cm|km|dm|nm|kg|mg|ft|yd|mi|in|lb|oz|ml|mL|hr|min|sec|day|mph|kmh|k?Hz|MHz|[kMG]?eV|kJ|[kM]?Pa|mol|rad|deg|dB|sq"
)

# A unit outside a text macro: after a number, at the end of an item. A single letter, or a short word that is not listed,
# needs a space before it (`5 m`, not `5m`).
AFTER_NUMBER = re.compile(
    rf"(\d\}}?\s*)(?<![\\a-zA-Z])({_SYMBOLS}|(?<=\s)(?:[mgshLJNWVKAC]|(?!pct)[a-z]{{3}}))"
    r"(?=\s*(?:$|[,;.)/^]|sq\b|(?:cm|m|in|ft)\b))"
)
# Long runs of letters that are mathematics, not words.
PLAIN_COMMANDS = frozenset(
    "sqrt cbrt arcsin arccos arctan sinh cosh tanh theta alpha beta infinity infty percent percentage".split()
)

_POWER = r"(?:\^\{?(-?\d)\}?)?"
_TAIL = re.compile(rf'(?:[*/]?(?:"[^"]+"|°){_POWER})+$')
_ANGLE_OF = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_ONE = re.compile(rf'([*/]?)(?:"([^"]+)"|(°)){_POWER}')


def split(normal: str) -> tuple[str, str]:
    """Split a normal form from its unit: `5"cm"^{2}` → (`5`, `cm^2`). Words without a value before them are not units."""
    match = _TAIL.search(normal)
    if match is None or match.start() == 0 or (match[0] == "°" and _ANGLE_OF.search(normal)):
        return normal, ""
    return normal[: match.start()], " ".join(_canonical(*one) for one in _ONE.findall(match[0]))


def _canonical(operator: str, word: str, degree: str, power: str) -> str:
    name = " ".join(_symbol(part) for part in (word or degree).split())
    return ("/" if operator == "/" else "") + name + (f"^{power}" if power else "")


def _symbol(word: str) -> str:
    if word in _TABLE:
        return word
    singular = word.lower().removesuffix("s") if len(word) > 2 else word
    return _NAMES.get(singular, singular if len(word) > 3 else word)


def scale(unit: str, other: str) -> Fraction | None:
    """Return how many `other` one `unit` is, or None where they measure different things or are not in the table."""
    if unit == other:
        return Fraction(1)
    (name, _, power), (other_name, _, other_power) = unit.partition("^"), other.partition("^")
    here, there = _TABLE.get(name), _TABLE.get(other_name)
    if here is None or there is None or here[0] != there[0] or power != other_power:
        return None
    return (Fraction(here[1]) / Fraction(there[1])) ** int(power or 1)
