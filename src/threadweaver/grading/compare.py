"""Compare two shapes: True, False, or None where only algebra could decide.

Everything here is text and rational numbers, so it runs in the calling process. Two expressions are compared by a
function that the caller passes: in the parent process one that returns None, in a worker the algebra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Literal

from threadweaver.grading import estimates, shapes, units, values
from threadweaver.grading.normalize import key
from threadweaver.grading.shapes import Shape

Leaf = Callable[[str, str], bool | None]
_CHOICE = re.compile(r'"?\(?"?([A-J])"?\)?[.:)]?"?')
_LABELLED = re.compile(r"\(?([A-J])[.:)](.+)")
_VARIABLE = re.compile(
    r"(?<![\\a-zA-Z])[a-df-hj-zA-Z](?![a-z])|\\(?:alpha|beta|gamma|theta|lambda|omega|phi|mu)(?![a-z])"
)
_FUNCTION = re.compile(r"\\(?!frac|sqrt|pi|cdot|binom|alpha|beta|gamma|theta|lambda|omega|phi|mu)[a-z]+")
_BASED = re.compile(r"([0-9A-F]{1,60})(?:_\{(\d{1,2})\})?")
_UNSOLVED = re.compile(r"-?[\d./]*[a-zA-Z](?:\^\{?\d+\}?)?")


def undecided(answer: str, reference: str) -> bool | None:
    """The leaf of the parent process, which does no algebra."""
    return None


def same(answer: str, reference: str, leaf: Leaf = undecided) -> bool | None:
    """Return whether two normal forms are the same answer. Not symmetric: `2x` matches a reference `y=2x`."""
    if key(answer) == key(reference):
        return True
    choice = _choice(answer, reference)
    return choice if choice is not None else _same(shapes.read(answer), shapes.read(reference), leaf)


def _choice(answer: str, reference: str) -> bool | None:
    r"""Compare multiple-choice letters: `(A)`, `A.`, `\text{(A)}` and `(A) 12` are all `A`; `12` matches `(A) 12`."""
    left, right = _CHOICE.fullmatch(answer), _CHOICE.fullmatch(reference)
    if left and right:
        return left[1] == right[1]
    for text, bare, other in ((reference, left, answer), (answer, right, reference)):
        labelled = _LABELLED.fullmatch(text)
        if labelled and bare:
            return labelled[1] == bare[1]
        if labelled and values.same_number(labelled[2], other):
            return True
    return None


def _same(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    if answer.name != reference.name:
        what = _to_compare(answer, reference)
        if what == "equations":
            return leaf(f"{answer.name}={answer.text}", f"{reference.name}={reference.text}")
        if what == "nothing":
            return False
    if answer.kind == reference.kind == "atom":
        return _atoms(answer.text, reference.text, leaf)
    return _collections(*_regrouped(answer, reference), leaf)


# ---- names


def _to_compare(answer: Shape, reference: Shape) -> Literal["values", "equations", "nothing"]:
    """Return what to compare where the names differ.

    For `x=5` and `y=5`, or `2x=5` and `5`, nothing; for `x=5` and `5` the values; for `y=2x` and `x=y/2` the equations.
    """
    mine, theirs = answer.name, reference.name
    if mine and theirs:
        if "y" in (mine, theirs) and re.fullmatch(r"[a-zA-Z]\(x\)", theirs if mine == "y" else mine):
            return "values"
        both_atoms = answer.kind == reference.kind == "atom"
        letters = _has_letters(" ".join((mine, theirs, answer.text, reference.text)), 2)
        return "equations" if both_atoms and letters else "nothing"
    if mine:
        return "nothing" if _UNSOLVED.fullmatch(mine) and len(mine) > 1 else "values"
    return "values" if _only_symbols(theirs) else "nothing"


def _only_symbols(name: str) -> bool:
    r"""Return whether this names a quantity, as `x`, `S_{5}`, `f(2)`, `x+y`, `\frac{NO}{BO}` do, and `x^2+1` does not."""
    bare = re.sub(r"_\{[^{}]*\}|\([^()]*\)", "", name)
    return not re.search(r"[\d^]", bare)


def _has_letters(text: str, at_least: int) -> bool:
    """Return whether there are at least so many different variables, not counting `e` and `i`."""
    return len(set(_VARIABLE.findall(text))) >= at_least


# ---- single values


def _atoms(answer: str, reference: str, leaf: Leaf) -> bool | None:
    if key(answer) == key(reference):
        return True
    (left, left_unit), (right, right_unit) = units.split(answer), units.split(reference)
    if left_unit or right_unit:
        return _with_units(left, left_unit, right, right_unit, leaf)
    if "%" in answer + reference:
        return _percentages(answer, reference, leaf)
    for rule in (values.same_number, _decimal_comma, _text_answers, _bases, _number_and_variable, _far_apart):
        verdict = rule(answer, reference)
        if verdict is not None:
            return verdict
    return None if r"\ldots" in answer + reference else leaf(answer, reference)


def _decimal_comma(answer: str, reference: str) -> bool | None:
    """Accept `1,22` for `1.22`, only where the other side is that decimal."""
    for one, other in ((answer, reference), (reference, answer)):
        if re.fullmatch(r"-?\d+,\d+", one) and one.replace(",", ".") == other:
            return True
    return None


def _text_answers(answer: str, reference: str) -> bool | None:
    """Different words are different answers; words next to mathematics are not decided here."""
    mine, theirs = _is_text(answer), _is_text(reference)
    if mine and theirs:
        return False
    return False if (mine or theirs) and '"' not in (reference if mine else answer) else None


def _is_text(text: str) -> bool:
    return len(text) > 2 and text[0] == text[-1] == '"' and text.count('"') == 2


def _number_and_variable(answer: str, reference: str) -> bool | None:
    """A number is not an expression with a variable, unless a function may make the variable vanish."""
    for one, other in ((answer, reference), (reference, answer)):
        if values.number(one) is not None and _has_letters(other, 1) and not _FUNCTION.search(other):
            return False
    return None


def _far_apart(answer: str, reference: str) -> bool | None:
    return False if estimates.differ(answer, reference) else None


def _bases(answer: str, reference: str) -> bool | None:
    """Compare `101_{2}` and `5_{10}` by value; where one side omits the base, the digits must agree."""
    left, right = _BASED.fullmatch(answer), _BASED.fullmatch(reference)
    if not left or not right or not (left[2] or right[2]):
        return None
    if not (left[2] and right[2]) or left[2] == right[2]:
        return left[1] == right[1]
    try:
        return int(left[1], int(left[2])) == int(right[1], int(right[2]))
    except ValueError:
        return False


def _with_units(left: str, left_unit: str, right: str, right_unit: str, leaf: Leaf) -> bool | None:
    r"""Compare values with units: `5 cm` is `50 mm`, and `60°` is `\frac{\pi}{3}`.

    `5 cm` is not `5 m`, nor are `3 apples` `3 pears`. A unit that one side omits is taken to be the other side's.
    """
    if left_unit == right_unit or not (left_unit and right_unit):
        if "°" in (left_unit, right_unit) and left_unit != right_unit and r"\pi" in left + right:
            left, right = (_radians(left), right) if left_unit else (left, _radians(right))
        return _same(shapes.read(left), shapes.read(right), leaf)
    factor, mine, theirs = units.scale(left_unit, right_unit), values.number(left), values.number(right)
    return factor is not None and mine is not None and theirs is not None and mine * factor == theirs


def _radians(degrees: str) -> str:
    return rf"({degrees})*\frac{{\pi}}{{180}}"


def _percentages(answer: str, reference: str, leaf: Leaf) -> bool | None:
    """Accept `50` and `0.5` for a reference `50%`, as the question is not known here, but not `50` for `0.5`."""
    left, right = answer.replace("%", ""), reference.replace("%", "")
    if "%" in answer and "%" in reference:
        return _atoms(left, right, leaf)
    mine, theirs = values.number(left), values.number(right)
    if mine is None or theirs is None:
        return leaf(left, right)
    hundredth = Fraction(1, 100)
    return mine == theirs or (mine * hundredth == theirs if "%" in answer else theirs * hundredth == mine)


# ---- several values


def _regrouped(answer: Shape, reference: Shape) -> tuple[Shape, Shape]:
    """Read `1,234` as two numbers where the other side is a collection."""

    def other_reading(shape: Shape, other: Shape) -> Shape:
        digits = shape.text.replace(",", "").lstrip("+-").isdigit()
        ambiguous = shape.kind == "atom" and "," in shape.text and digits
        return shapes.as_list(shape.text) if ambiguous and other.kind in ("list", "set", "tuple") else shape

    return other_reading(answer, reference), other_reading(reference, answer)


def _collections(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    kinds = {answer.kind, reference.kind}
    if "atom" in kinds:
        return _one_against_many(answer, reference, leaf)
    if max(len(answer.items), len(reference.items)) > shapes.MAX_ITEMS:
        return None
    if "matrix" in kinds:
        return _matrices(answer, reference, leaf)
    if kinds == {"tuple"}:
        return _tuples(answer, reference, leaf)
    if kinds == {"list", "tuple"}:
        return _list_and_tuple(answer, reference, leaf)
    if "tuple" in kinds:  # with a set or a union: they differ if these are of values; intervals are undecided
        certain = "set" in kinds and _values_only(answer) and _values_only(reference)
        return False if certain else None
    if kinds == {"list"} and _distinct_names(answer) != _distinct_names(reference):
        return _ordered(answer, reference, leaf)
    verdict = _unordered(answer.items, reference.items, leaf)
    return verdict if kinds <= {"list", "set"} or verdict else None


def _one_against_many(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    if _decimal_comma(answer.text, reference.text):
        return True
    for one, many in ((answer, reference), (reference, answer)):
        if many.kind in ("list", "set") and len(many.items) == 1:
            pair = (one, many.items[0]) if one is answer else (many.items[0], one)
            return _same(*pair, leaf)
        plain = many.kind in ("list", "set", "tuple") and _values_only(many)
        if plain and one.kind == "atom" and values.number(units.split(one.text)[0]) is not None:
            return False
    return None


def _list_and_tuple(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    """Accept `1, 2` for `(1, 2)`, in this order; lists of tuples and of relations are not decided here."""
    bare, grouped = (answer, reference) if answer.kind == "list" else (reference, answer)
    if len(bare.items) != len(grouped.items) and not any(item.name for item in bare.items):
        return False
    if any(item.kind != "atom" for item in bare.items):
        return None
    return _ordered(answer, reference, leaf) if grouped.brackets == "()" else False


def _values_only(shape: Shape) -> bool:
    r"""Return whether every item is a single value; `\ldots` and relations may mean several."""
    return all(
        i.kind in ("atom", "tuple", "list") and not re.search(r"\\ldots|[<>]|\\[lg]eq", i.text) for i in shape.items
    )


def _distinct_names(shape: Shape) -> bool:
    names = [item.name for item in shape.items]
    return all(names) and len(set(names)) == len(names)


def _tuples(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    r"""Compare in order. Brackets of pairs may be those of intervals and must agree; those of longer tuples need not."""
    if len(answer.items) != len(reference.items):
        return False
    if len(answer.items) == 2 and answer.brackets != reference.brackets:
        return False
    return _ordered(answer, reference, leaf)


def _matrices(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    """Compare cell by cell; the tuple of its entries also matches a column or a row."""
    if answer.kind == reference.kind:
        if (answer.columns, answer.brackets) != (reference.columns, reference.brackets):
            return False
        return _ordered(answer, reference, leaf)
    matrix, other = (answer, reference) if answer.kind == "matrix" else (reference, answer)
    if other.kind != "tuple" or (matrix.columns > 1 and matrix.columns != len(matrix.items)):
        return None
    return _ordered(answer, reference, leaf)


def _ordered(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    if len(answer.items) != len(reference.items):
        return False
    return _all(_same(a, r, leaf) for a, r in zip(answer.items, reference.items, strict=True))


def _unordered(answers: tuple[Shape, ...], references: tuple[Shape, ...], leaf: Leaf) -> bool | None:
    """Return whether the items pair up. Equality is transitive, so the first partner found is as good as any other."""
    if len(answers) != len(references):
        return False
    left, pending = list(answers), []
    for reference in references:
        twin = next((a for a in left if a.name == reference.name and key(a.text) == key(reference.text)), None)
        left.remove(twin) if twin is not None else pending.append(reference)
    unknown = False
    for reference in pending:
        verdicts = [False]
        for candidate in left:
            verdicts.append(_same(candidate, reference, leaf))
            if verdicts[-1]:
                left.remove(candidate)
                break
        if not any(verdicts):
            if None not in verdicts:
                return False
            unknown = True
    return None if unknown else True


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    unknown = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unknown |= verdict is None
    return None if unknown else True
