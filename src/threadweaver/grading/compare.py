"""Compare two shapes: True, False, or None where only algebra could decide.

Everything here is text and rational numbers, so it runs in the calling process. Two expressions are compared by a
function that the caller passes: in the parent process one that returns None, in a worker the algebra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from threadweaver.grading import estimates, quantities, shapes, units, values, words
from threadweaver.grading.normalize import key
from threadweaver.grading.shapes import Shape

MAX_FAMILIES = 20
Leaf = Callable[[str, str], bool | None]
_VARIABLE = re.compile(
    r"(?<![\\a-zA-Z])[a-df-hj-zA-Z](?![a-z])|\\(?:alpha|beta|gamma|theta|lambda|omega|phi|mu)(?![a-z])"
)
_FUNCTION = re.compile(r"\\(?!frac|sqrt|pi|cdot|binom|alpha|beta|gamma|theta|lambda|omega|phi|mu)[a-z]+")
_BASED = re.compile(r"([0-9A-F]{1,60})(?:_\{(\d{1,2})\})?")
_NOT_NUMBERS = {r"\infty": 1, r"+\infty": 1, r"-\infty": -1, r"\emptyset": 0}
_UNSOLVED = re.compile(r"-?[\d./]*[a-zA-Z](?:\^\{?\d+\}?)?")


def undecided(answer: str, reference: str) -> bool | None:
    """The leaf of the parent process, which does no algebra."""
    return None


def same(answer: str, reference: str, leaf: Leaf = undecided) -> bool | None:
    """Return whether two normal forms are the same answer. Not symmetric: `2x` matches a reference `y=2x`."""
    if key(answer) == key(reference):
        return True
    verdict = words.choices(answer, reference, _values(leaf))
    if verdict is None:
        verdict = _same(shapes.read(answer), shapes.read(reference), leaf)
    if verdict is False and words.leave_open(answer, reference):
        return None
    return None if verdict and words.turns(answer, reference) else verdict


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
        if "y" in (mine, theirs) and re.fullmatch(r"[a-zA-Z](?:\^\{-1\})?\(x\)", theirs if mine == "y" else mine):
            return "values"
        both_atoms = answer.kind == reference.kind == "atom"
        letters = _has_letters(" ".join((mine, theirs, answer.text, reference.text)), 2)
        return "equations" if both_atoms and letters else "nothing"
    if mine:
        return "nothing" if _UNSOLVED.fullmatch(mine) and len(mine) > 1 else "values"
    return "values" if _only_symbols(theirs) else "nothing"


def _only_symbols(name: str) -> bool:
    r"""Return whether this names a quantity, as `x`, `S_{5}`, `f(2)`, `x+y`, `\frac{NO}{BO}` do, and `x^2+1` does not."""
    bare = re.sub(r"_\{[^{}]*\}|(?:\^\{-1\})?\([^()]*\)", "", name)
    return not re.search(r"[\d^]", bare)


def _has_letters(text: str, at_least: int) -> bool:
    """Return whether there are at least so many different variables, not counting `e` and `i`."""
    return len(set(_VARIABLE.findall(text))) >= at_least


# ---- single values


def _values(leaf: Leaf) -> Leaf:
    return lambda answer, reference: _same(shapes.read(answer), shapes.read(reference), leaf)


def _atoms(answer: str, reference: str, leaf: Leaf) -> bool | None:
    if key(answer) == key(reference):
        return True
    (left, left_unit), (right, right_unit) = units.split(answer), units.split(reference)
    if left_unit != units.NONE or right_unit != units.NONE:
        return quantities.same(left, left_unit, right, right_unit, _values(leaf))
    for rule in (
        values.same_number,
        _decimal_comma,
        words.texts,
        _not_numbers,
        _bases,
        _ratios,
        _number_and_variable,
        _far_apart,
    ):
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


def _number_and_variable(answer: str, reference: str) -> bool | None:
    """A number is not an expression with a variable, unless a function may make the variable vanish."""
    for one, other in ((answer, reference), (reference, answer)):
        if values.number(one) is not None and _has_letters(other, 1) and not _FUNCTION.search(other):
            return False
    return None


def _not_numbers(answer: str, reference: str) -> bool | None:
    """Infinity is neither its opposite nor a number, and the empty set is none of these."""
    mine, theirs = _NOT_NUMBERS.get(answer.strip()), _NOT_NUMBERS.get(reference.strip())
    if mine is not None and theirs is not None:
        return mine == theirs
    other = reference if theirs is None else answer
    return False if mine != theirs and estimates.estimate(other) is not None else None


def _far_apart(answer: str, reference: str) -> bool | None:
    return False if estimates.differ(answer, reference) else None


def _ratios(answer: str, reference: str) -> bool | None:
    """Compare `1:2:3` and `2:4:6`, ratios of as many numbers."""
    mine, theirs = ([values.number(part.strip()) for part in side.split(":")] for side in (answer, reference))
    if len(mine) < 2 or len(mine) != len(theirs) or not all(mine) or not all(theirs):
        return None
    return len({left / right for left, right in zip(mine, theirs, strict=True)}) == 1


def _bases(answer: str, reference: str) -> bool | None:
    """Compare `101_{2}` and `5_{10}` by value; of a side without a base the digits must agree, or nothing is known."""
    left, right = _BASED.fullmatch(answer), _BASED.fullmatch(reference)
    if not left or not right or not (left[2] or right[2]):
        return None
    if left[2] == right[2]:
        return left[1] == right[1]
    mine, theirs = _in_base(left), _in_base(right)
    if mine is None or theirs is None:  # `C_{1}`, `7_{1}`: names with an index, not numerals
        return False if left[2] and right[2] else None
    if left[1] == right[1] and not (left[2] and right[2]):
        return True
    return mine == theirs if (left[2] and right[2]) or mine != theirs else None


def _in_base(numeral: re.Match[str]) -> int | None:
    """Return the value, or None if these are not digits of that base, or no digit but letters alone (`C_{16}`)."""
    if not re.search(r"\d", numeral[1]):
        return None
    try:
        return int(numeral[1], int(numeral[2] or 10))
    except ValueError:
        return None


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
    if "family" in kinds:
        return _families(answer, reference, leaf)
    if "chain" in kinds:
        same_signs = kinds == {"chain"} and answer.brackets == reference.brackets
        return _ordered(answer, reference, leaf) if same_signs else None
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
    if "union" in kinds and (mine := shapes.intervals(answer)) and (theirs := shapes.intervals(reference)):
        return mine == theirs
    if "tuple" in kinds:  # with a set or a union: they differ if these are of values; intervals are undecided
        certain = "set" in kinds and _values_only(answer) and _values_only(reference)
        return False if certain else None
    if kinds == {"list"} and (_names(answer) is None) != (_names(reference) is None):
        return _ordered(answer, reference, leaf)
    if kinds == {"list"} and (mine := _names(answer)) and sorted(mine) == sorted(theirs := _names(reference)):
        by_name = tuple(answer.items[mine.index(name)] for name in theirs)
        return _ordered(replace(answer, items=by_name), reference, leaf)
    verdict = _unordered(answer.items, reference.items, leaf)
    return verdict if kinds <= {"list", "set"} or verdict else None


def _one_against_many(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    if _decimal_comma(answer.text, reference.text):
        return True
    for one, many in ((answer, reference), (reference, answer)):
        if many.kind == "list" and (sum_of := units.total([item.text for item in many.items])):
            pair = (units.split(one.text), sum_of) if one is answer else (sum_of, units.split(one.text))
            return quantities.same(*pair[0], *pair[1], _values(leaf))
        if many.kind in ("list", "set") and len(many.items) == 1:
            pair = (one, many.items[0]) if one is answer else (many.items[0], one)
            return _same(*pair, leaf)
        plain = many.kind in ("list", "set", "tuple") and _values_only(many)
        if many.kind == "union" and values.number(units.split(one.text)[0]) is not None:
            return False
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


def _names(shape: Shape) -> list[str] | None:
    r"""Return what tells the items apart, `x` and `y` of `x=1,y=2`, or `boy` and `girl` of `3"boys",4"girls"`."""
    names = [item.name or " ".join(units.split(item.text)[1].nouns) for item in shape.items]
    return names if all(names) and len(set(names)) == len(names) else None


def _families(answer: Shape, reference: Shape, leaf: Leaf) -> bool | None:
    """Compare values that depend on an integer, whatever its letter. Two families may be one, differently divided."""
    domains = [shape.brackets for shape in (answer, reference) if shape.kind == "family"]
    own = {shape: shape.brackets if shape.kind == "family" else domains[0] for shape in (answer, reference)}
    mine, theirs = (_with_parameter(shape, own[shape]) for shape in (answer, reference))
    if mine is None or theirs is None or len({domain[1] for domain in domains}) > 1:
        return None
    independent = all(item.kind == "atom" and not item.name for item in (*mine.items, *theirs.items))
    if independent and domains[0][1] == "Z":
        verdict = _collections(mine, theirs, lambda a, r: leaf(a + shapes.PARAMETER, r + shapes.PARAMETER))
    else:
        verdict = _collections(mine, theirs, leaf)
    return verdict if verdict or len(mine.items) == len(theirs.items) == 1 else None


def _with_parameter(shape: Shape, domain: str) -> Shape | None:
    """Return the items as a list, with `n` as their parameter, or None if it does not occur, or there are too many."""
    letter = re.compile(rf"(?<![\\a-zA-Z]){domain[0]}(?![a-zA-Z])")
    items = shape.items if shape.kind in ("family", "list") else (shape,)
    if len(items) > MAX_FAMILIES or not any(letter.search(item.text) for item in items):
        return None
    renamed = tuple(replace(shapes.read(letter.sub(" n", item.text).strip()), name=item.name) for item in items)
    return Shape("list", shape.text, renamed)


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
        if answer.brackets != reference.brackets:
            return False
        if answer.columns != reference.columns:  # a column and a row may be the same vector
            vectors = len(answer.items) == len(reference.items) == max(answer.columns, reference.columns)
            return None if vectors and 1 in (answer.columns, reference.columns) else False
        return _ordered(answer, reference, leaf)
    matrix, other = (answer, reference) if answer.kind == "matrix" else (reference, answer)
    if other.kind == "tuple" and all(row.kind == "tuple" and len(row.items) == matrix.columns for row in other.items):
        cells = tuple(cell for row in other.items for cell in row.items)
        rows = replace(matrix, items=cells)
        return _ordered(*((matrix, rows) if matrix is answer else (rows, matrix)), leaf)
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
