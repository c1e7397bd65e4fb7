"""Words after a number: units of measure, scales (`million`), plain nouns, and the conversion between units."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Unit:
    """`factor` is the size in the base units of the `dimension`; `nouns` are words that are not units of measure.

    `scale` multiplies the number itself, as `million` and `dozen` do.
    """

    factor: Fraction = Fraction(1)
    dimension: Dimension = ()
    nouns: tuple[str, ...] = ()
    scale: int = 1

    @property
    def measures(self) -> bool:
        return bool(self.dimension or self.nouns)

    @property
    def numerator(self) -> Dimension:
        """What is left where somebody leaves out `per hour`."""
        return tuple(part for part in self.dimension if part[1] > 0)


_BASE = {  # symbol → (size, dimension)
    "m": (1, "length"),
    "g": (1, "mass"),
    "s": (1, "time"),
    "L": (Fraction(1, 1000), "length length length"),
    "Hz": (1, "/time"),
    "N": (1000, "mass length /time /time"),
    "Pa": (1000, "mass /length /time /time"),
    "J": (1000, "mass length length /time /time"),
    "W": (1000, "mass length length /time /time /time"),
    "ohm": (1, "resistance"),
    "V": (1, "voltage"),
    "A": (1, "current"),
    "C": (1, "charge"),
    "eV": (1, "particle"),
    "mol": (1, "amount"),
}
_PREFIXES = {"": 1, "n": Fraction(1, 10**9), "m": Fraction(1, 1000), "c": Fraction(1, 100), "d": Fraction(1, 10)}
_PREFIXES |= {"k": 1000, "M": 10**6, "G": 10**9}
_TABLE = {
    prefix + symbol: (Fraction(times * size), dimension)
    for symbol, (size, dimension) in _BASE.items()
    for prefix, times in _PREFIXES.items()
} | {
    "in": (Fraction(254, 10_000), "length"),
    "ft": (Fraction(3048, 10_000), "length"),
    "yd": (Fraction(9144, 10_000), "length"),
    "mi": (Fraction(1_609_344, 1000), "length"),
    "lb": (Fraction(45_359_237, 100_000), "mass"),
    "oz": (Fraction(45_359_237, 1_600_000), "mass"),
    "min": (Fraction(60), "time"),
    "h": (Fraction(3600), "time"),
    "day": (Fraction(86_400), "time"),
    "week": (Fraction(604_800), "time"),
    "month": (Fraction(1), "calendar"),
    "year": (Fraction(12), "calendar"),
    "mph": (Fraction(1_609_344, 3_600_000), "length /time"),
    "kmh": (Fraction(1000, 3600), "length /time"),
    "dollar": (Fraction(1), "dollars"),
    "cent": (Fraction(1, 100), "dollars"),
    "euro": (Fraction(1), "euros"),
    "gbp": (Fraction(1), "gbp"),
    "pence": (Fraction(1, 100), "gbp"),
    "yuan": (Fraction(1), "yuan"),
    "rupee": (Fraction(1), "rupees"),
    "°": (Fraction(1), "degrees"),
    "rad": (Fraction(1), "radians"),
    "celsius": (Fraction(1), "celsius"),
    "fahrenheit": (Fraction(1), "fahrenheit"),
    "%": (Fraction(1, 100), "percent"),
}
_SPELLED = {  # spelling, in the singular and in lower case → symbol
    **{"meter": "m", "metre": "m", "gram": "g", "gramme": "g", "second": "s", "sec": "s", "minute": "min", "hour": "h"},
    **{"hr": "h", "liter": "L", "litre": "L", "l": "L", "ml": "mL", "feet": "ft", "foot": "ft", "inche": "in"},
    **{"inch": "in", "yard": "yd", "mile": "mi", "degree": "°", "deg": "°", "radian": "rad", "kph": "kmh"},
    **{"kmph": "kmh", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W", "volt": "V"},
    **{
        "ampere": "A",
        "amp": "A",
        "ounce": "oz",
        "lbs": "lb",
        "gm": "g",
        "kgs": "kg",
        "mole": "mol",
        "ohm": "ohm",
        "kohm": "kohm",
    },
    **{"day": "day", "d": "day", "week": "week", "month": "month", "year": "year", "yr": "year", "min": "min"},
    **{"dollar": "dollar", "usd": "dollar", "buck": "dollar", "cent": "cent", "euro": "euro", "eur": "euro"},
    **{"rmb": "yuan", "cny": "yuan", "yuan": "yuan", "rupee": "rupee", "in": "in", "celsiu": "celsius"},
    **{"元": "yuan", "块": "yuan", "圆": "yuan", "厘米": "cm", "米": "m", "千米": "km", "公里": "km", "克": "g"},
    **{"千克": "kg", "公斤": "kg", "秒": "s", "分钟": "min", "小时": "h", "天": "day", "升": "L", "度": "°"},
    **{"平方厘米": "cm^2", "平方米": "m^2", "立方厘米": "cm^3", "立方米": "m^3", "毫米": "mm", "分米": "dm"},
    "fahrenheit": "fahrenheit",
    "gbp": "gbp",
}
_SPELLED |= {
    prefix + unit: symbol + short
    for prefix, symbol in {"kilo": "k", "centi": "c", "milli": "m", "deci": "d", "nano": "n", "mega": "M"}.items()
    for unit, short in {"meter": "m", "metre": "m", "gram": "g", "liter": "L", "litre": "L"}.items()
}
_SPELLED |= {"kilowatt": "kW", "kilojoule": "kJ", "kilohertz": "kHz", "megahertz": "MHz", "kilonewton": "kN"}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_SCALES |= {"百": 100, "千": 10**3, "万": 10**4, "百万": 10**6, "亿": 10**8}
_POWERS = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3, "cu": 3}
_FILLERS = frozenset("of the a an total all different each other".split())
_SYMBOLS = (
    "mm|cm|km|dm|nm|kg|mg|ft|yd|mi|in|lbs?|oz|ml|mL|hr|min|sec|day|mph|kph|kmh|k?Hz|MHz|[kMG]?eV|kJ|[kM]?Pa|kW|mol|rad|deg|sq|dB|"
    "USD|EUR|GBP|CNY|RMB"
)

# A unit outside a text macro: after a number, at the end of an item. A single letter, or a short word that is not listed,
# needs a space before it (`5 m`, not `5m`).
AFTER_NUMBER = re.compile(
    rf"(\d\}}?\s*)(?<![\\a-zA-Z])({_SYMBOLS}|(?<=\s)(?:[mgshLJNWVKAC]|(?!pct)[a-z]{{3}}))"
    r"(?=\s*(?:$|[,;.)/^]|\d|sq\b|per\b|and\b|(?:cm|m|in|ft|yd)\b))"
)
# Long runs of letters that are mathematics, not words.
PLAIN_COMMANDS = frozenset(
    "sqrt cbrt arcsin arccos arctan sinh cosh tanh theta alpha beta infinity infty percent percentage".split()
)

_POWER = r"(?:\^\{?(-?\d)\}?)?"
_TAIL = re.compile(rf'(?:[*/]?(?:"[^"]+"|[°%]){_POWER})+$')
_ANGLE_OF = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_ONE = re.compile(rf'([*/]?)(?:"([^"]+)"|([°%])){_POWER}')
_QUANTITY = re.compile(rf'(\d+(?:\.\d+)?|\\frac\{{\d+\}}\{{\d+\}})((?:[*/]?(?:"[^"]+"|[°]){_POWER})+)')
NONE = Unit()
DEGREES: Dimension = (("degrees", 1),)
ANGLES = {DEGREES, (("radians", 1),)}
# Measures of one kind that no factor converts.
_RELATED = ({"time", "calendar"}, {"celsius", "fahrenheit"})


@lru_cache(maxsize=4096)
def split(normal: str) -> tuple[str, Unit]:
    """Split a normal form from its unit: `5"cm"^{2}` → `5` and cm². Words without a value before them are not units."""
    if (compound := _compound(normal)) is not None:
        return compound
    match = _TAIL.search(normal)
    if match is None or match.start() == 0 or (match[0] == "°" and _ANGLE_OF.search(normal)):
        return normal, NONE
    return normal[: match.start()], _unit(match[0])


def _compound(normal: str) -> tuple[str, Unit] | None:
    """Add up `1"hour"30"minutes"`: quantities of one dimension, each unit smaller than the one before it."""
    parts = list(_QUANTITY.finditer(normal))
    if len(parts) < 2 or "".join(part[0] for part in parts) != normal:
        return None
    return total([part[0] for part in parts])


def total(quantities: list[str]) -> tuple[str, Unit] | None:
    """Return the sum of quantities of one dimension in falling units, or None if they are not of this kind."""
    parts = [_QUANTITY.fullmatch(quantity) for quantity in quantities]
    if not all(parts):
        return None
    units = [_unit(part[2]) for part in parts]
    last = units[-1]
    fits = all(unit.dimension == last.dimension and not unit.nouns and unit.scale == 1 for unit in units)
    falling = all(one.factor > two.factor for one, two in itertools.pairwise(units))
    if not (fits and falling and last.dimension):
        return None
    sums = (f"{part[1]}*{unit.factor / last.factor}" for part, unit in zip(parts, units, strict=True))
    return "+".join(sums), last


def _unit(tail: str) -> Unit:
    scale, parts = 1, []
    for word, power in _factors(tail):
        times = _SCALES.get(word) or _SCALES.get(word.lower().removesuffix("s"))
        if times is not None:
            scale *= times
        else:
            parts.append((word, power))
    factor, dimensions, nouns = Fraction(1), Counter(), []
    for word, power in parts:
        known = _known(word)
        if known is None:
            nouns.append(_singular(word) + (f"^{power}" if power != 1 else ""))
            continue
        factor *= known[0] ** power
        for name in known[1].split():
            dimensions[name.strip("/")] += -power if name[0] == "/" else power
    if dimensions.keys() & {"celsius", "fahrenheit"}:  # `degrees Celsius`
        del dimensions["degrees"]
    return Unit(factor, tuple(sorted((n, p) for n, p in dimensions.items() if p)), tuple(sorted(nouns)), scale)


def _factors(tail: str) -> list[tuple[str, int]]:
    """Return the words of a unit with their powers: of `"meters per square second"`, 1 and -2."""
    factors: list[tuple[str, int]] = []
    under, raised = 1, 1
    for operator, words, sign, exponent in _ONE.findall(tail):
        under = {"/": -1, "*": 1}.get(operator, under)
        for word in re.findall(r"/|[^\s/]+", words or sign):
            if word in ("/", "per", "每"):
                under = -1
            elif word in ("squared", "cubed") and factors:
                factors[-1] = (factors[-1][0], factors[-1][1] * _POWERS[word])
            elif word in _POWERS:
                raised = _POWERS[word]
            elif word.lower() not in _FILLERS:
                factors.append((word, under * raised))
                raised = 1
        if exponent and factors:
            factors[-1] = (factors[-1][0], factors[-1][1] * int(exponent))
    return factors


def _known(word: str) -> tuple[Fraction, str] | None:
    if word in _TABLE:
        return _TABLE[word]
    symbol = _SPELLED.get(word.lower()) or _SPELLED.get(word.lower().removesuffix("s"))
    if symbol is None:
        return None
    symbol, _, power = symbol.partition("^")
    factor, dimension = _TABLE[symbol]
    return factor ** int(power or 1), " ".join([dimension] * int(power or 1))


def _singular(word: str) -> str:
    return word.lower().removesuffix("s") if len(word) > 3 else word.lower()


def related(one: Unit, other: Unit) -> bool:
    names = {name for name, _ in one.dimension} ^ {name for name, _ in other.dimension}
    return names in _RELATED


def siblings(unit: Unit) -> set[Fraction]:
    """Return the sizes of the units of the same dimension, measured in the given one."""
    if len(unit.dimension) != 1 or unit.nouns:
        return set()
    (name, power) = unit.dimension[0]
    return {size**power / unit.factor for size, dimension in _TABLE.values() if dimension == name}
