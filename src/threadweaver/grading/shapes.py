r"""The shape of an answer: a value, a list, a set, a tuple or interval, a matrix or a union, each with its name.

`read` turns a normal form into a `Shape`; nothing is computed. Order counts in tuples and matrices, but not in sets and
bare lists; `3\pm x` is a list of two; `0<x\leq 1`, `x\in(0,1]` and `(0,1]` are the same interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from threadweaver.grading.normalize import ROW, key
from threadweaver.grading.values import number

MAX_ITEMS = 200


# A number and on which side of it the bound is: (1, 1) begins an interval that leaves 1 out, (1, -1) ends one.
Bound = tuple[Fraction | float, int]
_INFINITE = {r"\infty": math.inf, r"+\infty": math.inf, r"-\infty": -math.inf}


@dataclass(frozen=True)
class Shape:
    r"""`kind` is atom, list, set, tuple, matrix, union, chain or family; `text` the normal form without the name.

    `brackets` are a tuple's (`()`, `[)`, …) or the matrix environment, the signs of a chain (`a<b\leq c`), or the
    parameter of a family (`2k\pi` for all integers k); `columns` is the width of a matrix. `name` is the left side of `=`
    or `\in`, or the point in `P(1,2)`, "" if there is none.
    """

    kind: str
    text: str
    items: tuple[Shape, ...] = ()
    brackets: str = ""
    columns: int = 0
    name: str = ""


_PIECE = re.compile(r'"[^"]*"|\\begin\{[a-z]+\*?\}|\\end\{[a-z]+\*?\}|\\[a-zA-Z]+|\\[{}]|.', re.DOTALL)
_OPEN = ("(", "[", "{", "\\{")
_CLOSE = (")", "]", "}", "\\}")
_MATRIX = re.compile(r"\\begin\{([a-z]+)\*?\}(.*)\\end\{\1\*?\}", re.DOTALL)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SIGNS = {"<": "<", ">": ">", r"\leq": "<=", r"\geq": ">="}
_VARIABLE = re.compile(r"[a-zA-Z](?:_\{[^{}]*\})?|\\(?:theta|alpha|beta|lambda|phi|mu|omega|gamma)")
_LETTER = re.compile(
    r"\\(?!infty|pi|frac|sqrt)[a-zA-Z]+|(?<![\\a-zA-Z])[a-df-zA-Z](?![a-zA-Z])|(?<![\\a-zA-Z])[a-zA-Z]{2,}"
)


_POINT = re.compile(r"([A-Z](?:_\{[^{}]*\})?'*)=?(\(.*\))")
_INTEGERS = re.compile(r"([a-zA-Z])\\in ?(\\mathbb\{[ZN]\}|Z|N)")
_BUILDER = re.compile(r"\\\{([a-zA-Z])(?:\\in ?(?:\\mathbb\{R\}|R))?[|:](.*)\\\}")
_CONDITION = re.compile(r"[^,:]*[a-zA-Z][^,:]*:")
_TRANSPOSED = re.compile(r"(.*[)\]}])\^\{(?:T|\\top ?|\\prime ?|\\intercal ?)\}", re.DOTALL)
PARAMETER = r"\in n"  # after an expression: its values for all integers n are meant
_PUNCTURED = re.compile(r"\\mathbb\{R\}\\setminus ?\\\{([^{}]*)\\\}")
_REALS = r"(-\infty,\infty)"


@lru_cache(maxsize=4096)
def read(normal: str) -> Shape:
    """Return the shape of a normal form, whose depth the guards have bounded."""
    parts = _parts(normal)
    if len(parts) > 1 and (integer := _INTEGERS.fullmatch(parts[-1])):
        values = read(", ".join(parts[:-1]))
        items = values.items if values.kind in ("list", "set") else (replace(values, name=""),)
        return Shape("family", normal, items, brackets=integer[1] + integer[2][-2:].strip("}")[:1], name=values.name)
    return _list(parts, normal) if len(parts) > 1 else _single(parts[0] if parts else "")


def as_list(normal: str) -> Shape:
    """Return the other reading of `1,234`: two numbers, where `read` sees one with a thousands separator."""
    return _list([part.strip() for part in normal.split(",")], normal)


def split(text: str, *separators: str) -> list[str]:
    """Split at separators outside all brackets, environments and quotes."""
    if not any(separator in text for separator in separators):
        return [text]
    parts, start, depth = [], 0, 0
    for piece in _PIECE.finditer(text):
        token = piece[0]
        if token in _OPEN or token.startswith("\\begin{"):
            depth += 1
        elif token in _CLOSE or token.startswith("\\end{"):
            depth = max(depth - 1, 0)
        elif depth == 0 and token in separators:
            parts.append(text[start : piece.start()])
            start = piece.end()
    return [*parts, text[start:]]


def _parts(normal: str) -> list[str]:
    """Return the items of a bare list. If some commas have a space after them, those between digits are part of a number."""
    if _THOUSANDS.fullmatch(normal) or normal[:1] == "]" or (normal[-1:] == "[" and normal[:1] in "[]"):
        return [normal]
    spaced = [part.replace("\x01", ", ") for part in split(normal.replace(", ", "\x01"), "\x01")]
    grouped = [part for part in spaced if "," in part]
    if len(spaced) > 1 and grouped and all(_THOUSANDS.fullmatch(part) for part in grouped):
        return spaced
    return [stripped for part in split(normal, ",") if (stripped := part.strip())]


def _list(parts: list[str], normal: str) -> Shape:
    items = _flat(read(part) for part in parts)
    names = {item.name for item in items}
    first = items[0].name
    if first and (names == {first} or not any(item.name for item in items[1:])):
        return Shape("list", normal, tuple(replace(item, name="") for item in items), name=first)
    return Shape("list", normal, tuple(items))


def _single(text: str) -> Shape:
    name, value = _named(text)
    if name:
        return _with_name(name, value, text)
    if (point := _POINT.fullmatch(text)) and (shape := read(point[2])).kind == "tuple" and shape.text == point[2]:
        return replace(shape, name=point[1])
    if len(sides := split(text, r"\land")) == 2 and (shape := _between(*map(read, sides))):
        return shape
    if len(pieces := split(text, r"\cup")) > 1:
        return Shape("union", text, tuple(read(piece) for piece in pieces))
    for reader in (
        _inequality,
        _unequal,
        _chain,
        _builder,
        _escaped_set,
        _bracketed,
        _transposed,
        _matrix,
        _both_signs,
    ):
        if (shape := reader(text)) is not None:
            return shape
    return replace(_bracketed(_REALS), text=text) if text == r"\mathbb{R}" else Shape("atom", text)


def _with_name(name: str, value: str, text: str) -> Shape:
    """Give a value its name; `(x,y)=(1,2)` is the list of `x=1` and `y=2`."""
    shape = read(value)
    names = name[1:-1].split(",")
    if name[0] == "(" and shape.kind == "tuple" and len(names) == len(shape.items):
        items = (replace(item, name=key(n.strip())) for n, item in zip(names, shape.items, strict=True))
        return Shape("list", value, tuple(items))
    return Shape("atom", text) if shape.name else replace(shape, name=name)


def _both_signs(text: str) -> Shape | None:
    if not re.search(r"\\[pm]{2}(?![a-z])", text) or r"\land" in text:
        return None
    upper = re.sub(r"\\pm ?", "+", re.sub(r"\\mp ?", "-", text))
    lower = re.sub(r"\\pm ?", "-", re.sub(r"\\mp ?", "+", text))
    return Shape("list", text, tuple(Shape("atom", sign.removeprefix("+")) for sign in (upper, lower)))


def _escaped_set(text: str) -> Shape | None:
    r"""Read `\{1,2\}`, but not the set-builders `\{x|x>1\}`, `\{n:n^2=4\}` and `\{2k:k\in\{1,2\}\}`."""
    if not (text.startswith("\\{") and text.endswith("\\}")) or "|" in text or _first_closing(text) != len(text):
        return None
    if _CONDITION.match(text, 2):
        return None
    return _set(_parts(text[2:-2]), text)


def _named(text: str) -> tuple[str, str]:
    r"""Split `x=5` into (`x`, `5`); of `x=1+4=5` take the first and the last side, of a value and its estimate the value."""
    about = split(text, r"\approx")
    if len(about) > 1:
        text = about[0] if "=" in about[0] or not _LETTER.search(about[0]) else "=".join((about[0], about[-1]))
    sides = split(text, "=")
    if len(sides) == 1:
        sides = split(text, r"\in")
    if len(sides) < 2 or not all(side.strip() for side in sides) or split(text, *_SIGNS, r"\neq", r"\equiv")[1:]:
        return "", text
    first, last = sides[0].strip(), sides[-1].strip()
    if _LETTER.search(first):
        return key(first), last
    return (key(last), first) if _VARIABLE.fullmatch(last) else ("", last)


def _inequality(text: str) -> Shape | None:
    r"""Read `a<x\leq b`, `x>a` and `a<x` as intervals with a name, if one side is a variable and the bounds have none."""
    signs = [_SIGNS[piece[0]] for piece in _PIECE.finditer(text) if piece[0] in _SIGNS]
    sides = [side.strip() for side in split(text, *_SIGNS)]
    if len(signs) not in (1, 2) or len(sides) != len(signs) + 1 or len({sign[0] for sign in signs}) > 1:
        return None
    if signs[0][0] == ">":
        sides, signs = sides[::-1], signs[::-1]
    strict = [len(sign) == 1 for sign in signs]
    if len(sides) == 2:
        at_left = bool(_VARIABLE.fullmatch(sides[0]))
        sides, strict = ([r"-\infty", *sides], [True, *strict]) if at_left else ([*sides, r"\infty"], [*strict, True])
    low, variable, high = sides
    if not _VARIABLE.fullmatch(variable) or not low or not high or _LETTER.search(low) or _LETTER.search(high):
        return None
    brackets = ("(" if strict[0] else "[") + (")" if strict[1] else "]")
    return Shape(
        "tuple", f"{brackets[0]}{low},{high}{brackets[1]}", (read(low), read(high)), brackets, name=key(variable)
    )


def _between(one: Shape, other: Shape) -> Shape | None:
    """Read `x>1` and `x<3` as `1<x<3`."""
    if one.name != other.name or not one.name or one.kind != "tuple" or other.kind != "tuple":
        return None
    low, high = (one, other) if one.items[1].text == r"\infty" else (other, one)
    if low.items[1].text != r"\infty" or high.items[0].text != r"-\infty":
        return None
    brackets = low.brackets[0] + high.brackets[1]
    ends = (low.items[0], high.items[1])
    return Shape("tuple", f"{brackets[0]}{ends[0].text},{ends[1].text}{brackets[1]}", ends, brackets, name=one.name)


def _unequal(text: str) -> Shape | None:
    r"""Read `x\neq 3` and `\mathbb{R}\setminus\{3\}` as the union of the two intervals beside 3."""
    without = _PUNCTURED.fullmatch(text)
    sides = ["", without[1]] if without else [side.strip() for side in split(text, r"\neq")]
    if len(sides) != 2 or not sides[1] or _LETTER.search(sides[1]) or split(sides[1], ",")[1:]:
        return None
    if not (without or _VARIABLE.fullmatch(sides[0])):
        return None
    below, above = read(rf"(-\infty,{sides[1]})"), read(rf"({sides[1]},\infty)")
    return Shape("union", rf"{below.text}\cup {above.text}", (below, above), name=key(sides[0]))


def _chain(text: str) -> Shape | None:
    """Read `a<b<c` and `c>b>a`, which are the same."""
    signs = [_SIGNS[piece[0]] for piece in _PIECE.finditer(text) if piece[0] in _SIGNS]
    sides = [side.strip() for side in split(text, *_SIGNS)]
    if len(signs) < 2 or len(sides) != len(signs) + 1 or not all(sides) or len({sign[0] for sign in signs}) > 1:
        return None
    if signs[0][0] == ">":
        sides, signs = sides[::-1], [sign.replace(">", "<") for sign in signs[::-1]]
    return Shape("chain", text, tuple(read(side) for side in sides), brackets=" ".join(signs))


def _builder(text: str) -> Shape | None:
    r"""Read `\{x|x>1\}` and `\{x\in\mathbb{R}|x>1\}` as `x>1`."""
    match = _BUILDER.fullmatch(text)
    if match is None or _first_closing(text) != len(text):
        return None
    condition = read(match[2].strip())
    return condition if condition.name == match[1] and condition.kind != "family" else None


def _transposed(text: str) -> Shape | None:
    match = _TRANSPOSED.fullmatch(text)
    shape = read(match[1]) if match else None
    if shape is None or shape.name or shape.kind not in ("tuple", "matrix"):
        return None
    if shape.kind == "tuple":
        return shape
    rows = len(shape.items) // shape.columns
    cells = tuple(shape.items[row * shape.columns + column] for column in range(shape.columns) for row in range(rows))
    return replace(shape, text=text, items=cells, columns=rows)


def _bracketed(text: str) -> Shape | None:
    """Read `(a,b)`, `[a,b)`, the French `]a,b[`, and brackets that only group: `(a)`, `{a}`, the list `{a,b}`."""
    if len(text) < 3 or text[0] not in "([{]" or text[-1] not in ")]}[":
        return None
    if text[0] == "]" or text[-1] == "[":
        text = text[0].replace("]", "(") + text[1:-1] + text[-1].replace("[", ")")
    brackets = text[0] + text[-1]
    parts = [part.strip() for part in split(text[1:-1], ",")]
    if _first_closing(text) != len(text) or not all(parts) or ("{" in brackets) != ("}" in brackets):
        return None
    if len(parts) == 1:
        return read(parts[0]) if brackets in ("()", "{}") or _MATRIX.fullmatch(parts[0]) else None
    if brackets == "{}":
        return _list(parts, text)
    return Shape("tuple", text, tuple(read(part) for part in parts), brackets)


def _set(parts: list[str], text: str) -> Shape:
    items = _flat(read(part) for part in parts)
    return Shape("set", text, tuple({key(f"{item.name}={item.text}"): item for item in items}.values()))


def _flat(shapes: Iterable[Shape]) -> list[Shape]:
    r"""Flatten lists within a list, such as `\pm 1`."""
    nested = [shape.items if shape.kind == "list" and not shape.name else (shape,) for shape in shapes]
    return [item for items in nested for item in items]


def intervals(shape: Shape) -> list[tuple[Bound, Bound]] | None:
    """Return the disjoint intervals of plain numbers that make up a shape, in order, or None if it is of another kind."""
    parts = shape.items if shape.kind in ("union", "list") else (shape,)
    found = []
    for part in parts:
        ends = (
            part.items
            if part.kind == "tuple" and len(part.items) == 2
            else part.items * 2
            if part.kind == "set"
            else ()
        )
        values = [_INFINITE.get(end.text) or number(end.text) for end in ends]
        if len(values) != 2 or None in values:
            return None
        opened, closed = (part.brackets or "[]")[0] == "(", (part.brackets or "[]")[1] == ")"
        found.append(((values[0], int(opened)), (values[1], -int(closed))))
    merged: list[tuple[Bound, Bound]] = []
    for low, high in sorted(found):
        if merged and low <= (merged[-1][1][0], merged[-1][1][1] + 1):
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        elif low <= high:
            merged.append((low, high))
    return merged


def _first_closing(text: str) -> int:
    """Return the offset after the bracket that closes the first one, of whatever form: `[0,1)` closes too."""
    depth = 0
    for piece in _PIECE.finditer(text):
        depth += (piece[0] in _OPEN) - (piece[0] in _CLOSE)
        if depth == 0:
            return piece.end()
    return -1


def _matrix(text: str) -> Shape | None:
    match = _MATRIX.fullmatch(text)
    if match is None or match[1] not in ("matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "vmatrix"):
        return None
    rows = [split(row, "&") for row in match[2].strip(ROW).split(ROW)]
    if len({len(row) for row in rows}) != 1:
        return None
    cells = tuple(read(cell.strip()) for row in rows for cell in row)
    brackets = "||" if match[1] == "vmatrix" else "matrix"
    return Shape("matrix", text, cells, brackets=brackets, columns=len(rows[0]))
