"""Compare two values with units: by measure, by count, by percent."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from threadweaver.grading import units, values
from threadweaver.grading.units import Unit

Values = Callable[[str, str], bool | None]


def same(left: str, mine: Unit, right: str, theirs: Unit, equal: Values) -> bool | None:
    r"""Compare values with units: `5 cm` is `50 mm`, and `60°` is `\frac{\pi}{3}`.

    `5 cm` is not `5 m`. A unit that one side omits is taken to be the other side's; where the numbers fit another unit of
    its dimension (`120` for `2 hours`), nothing is known, as with nouns that may mean the same.
    """
    left, right = _scaled(left, mine), _scaled(right, theirs)
    if {mine.dimension, theirs.dimension} == units.ANGLES:
        in_degrees = mine.dimension == units.DEGREES
        return equal(_radians(left), right) if in_degrees else equal(left, _radians(right))
    if not (mine.measures and theirs.measures):
        return _one_unit(left, mine, right, theirs, equal)
    if mine.dimension == theirs.dimension and (mine.nouns == theirs.nouns or mine.dimension):
        return equal(*_converted(left, right, mine.factor / theirs.factor))
    if units.related(mine, theirs):
        return None
    if not (mine.nouns or theirs.nouns) and mine.numerator != theirs.numerator:
        return False
    verdict = equal(left, right)
    if mine.dimension or theirs.dimension:
        return None if verdict or mine.nouns or theirs.nouns else verdict
    alike = set(mine.nouns) <= set(theirs.nouns) or set(theirs.nouns) <= set(mine.nouns)
    return verdict if alike or verdict is False else None


def _one_unit(left: str, mine: Unit, right: str, theirs: Unit, equal: Values) -> bool | None:
    unit = mine if mine.measures else theirs
    if unit.dimension == (("percent", 1),):
        hundredth = (f"({left})/100", right) if mine.measures else (left, f"({right})/100")
        verdicts = (equal(left, right), equal(*hundredth))  # the question, which is not known here, may ask for either
        return True if True in verdicts else None if None in verdicts else False
    if unit.dimension == units.DEGREES and r"\pi" in left + right:
        left, right = (_radians(left), right) if mine.measures else (left, _radians(right))
    verdict = equal(left, right)
    bare, measured = map(values.number, (right, left) if mine.measures else (left, right))
    if verdict is False and bare and measured and bare / measured in {1 / size for size in units.siblings(unit)}:
        return None
    return verdict


def _scaled(value: str, unit: Unit) -> str:
    return value if unit.scale == 1 else f"({value})*{unit.scale}"


def _converted(left: str, right: str, factor: Fraction) -> tuple[str, str]:
    return (left, right) if factor == 1 else (f"({left})*{factor.numerator}", f"({right})*{factor.denominator}")


def _radians(degrees: str) -> str:
    return rf"({degrees})*\frac{{\pi}}{{180}}"
