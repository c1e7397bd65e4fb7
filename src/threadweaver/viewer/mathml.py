"""Safe TeX to MathML: the converter's output is parsed as XML, and only known elements and attributes pass."""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

MAX_TEX = 4000
"""Characters; a longer formula is shown as source."""
MAX_DEPTH = 40
"""Open braces, because the converter recurses at each."""

_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_ELEMENTS = frozenset(
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom mfenced menclose msub msup "
    "msubsup munder mover munderover mmultiscripts mprescripts mtable mtr mtd mlabeledtr".split()
)
_ATTRIBUTES = frozenset(
    "accent accentunder align columnalign columnlines columnspacing columnspan depth display displaystyle fence form "
    "frame height largeop linebreak linethickness lspace mathvariant maxsize minsize movablelimits notation open close "
    "rowalign rowlines rowspacing rowspan rspace scriptlevel separator separators stretchy symmetric voffset width".split()
)
MIN_PIECE = 8
"""Characters: a shorter piece of a formula does not get a line of its own."""
_RELATIONS = frozenset("=<>\u2264\u2265\u2260\u2261\u2248\u223c\u21d2\u21d4\u27f9\u27fa\u2192\u2208,")
_SIGNS = frozenset("+-\u2212\u00b1\u2213")
_CLOSING = frozenset(")]}|!'\u2032\u2016\u27e9\u230b\u2309")


@lru_cache(maxsize=16_384)
def render(tex: str, display: bool = False) -> str | None:
    """Return one or more `<math>` elements as text, or None if the formula must be shown as source."""
    if len(tex) > MAX_TEX or _depth(tex) > MAX_DEPTH:
        return None
    from latex2mathml.converter import convert

    try:
        root = ElementTree.fromstring(convert(tex, display="block" if display else "inline"))
    except _failures():
        return None
    clean = _clean(root)
    if clean is None:
        return None
    pieces = [clean] if display else _breakable(clean)
    return "".join(ElementTree.tostring(piece, encoding="unicode") for piece in pieces)


def _depth(tex: str) -> int:
    deepest = depth = 0
    for char in tex:
        depth += (char == "{") - (char == "}")
        deepest = max(deepest, depth)
    return deepest


@lru_cache(maxsize=1)
def _failures() -> tuple[type[BaseException], ...]:
    """Return what the converter raises for a formula that it cannot read: its own types, and bugs on malformed input."""
    from latex2mathml import exceptions

    own = [value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, Exception)]
    bugs = (ElementTree.ParseError, LookupError, ValueError, TypeError, AttributeError, RecursionError, StopIteration)
    return (*own, *bugs)


def _clean(element: ElementTree.Element) -> ElementTree.Element | None:
    """Return the element without anything that is not mathematics (links, scripts, handlers), or None."""
    name = element.tag.removeprefix(_NAMESPACE)
    if name not in _ELEMENTS:
        return None
    kept = ElementTree.Element(name, {key: value for key, value in element.attrib.items() if key in _ATTRIBUTES})
    kept.text = element.text
    before: ElementTree.Element | None = None
    for child in element:
        cleaned = _clean(child)
        if cleaned is None:
            continue
        cleaned.tail = child.tail
        if cleaned.tag == "mo" and cleaned.text in ("(", ")"):
            cleaned.attrib.setdefault("stretchy", "false")
        if cleaned.tag == "mo" and cleaned.text in _SIGNS and before is not None and _opens(before):
            cleaned.set("form", "prefix")
        kept.append(cleaned)
        before = cleaned
    return kept


def _breakable(formula: ElementTree.Element) -> list[ElementTree.Element]:
    """Split a long formula at relations: browsers break lines between formulas, never inside one."""
    outer = formula
    while len(outer) == 1 and outer[0].tag == "mrow":
        outer = outer[0]
    groups: list[list[ElementTree.Element]] = [[]]
    length = 0
    for child in outer:
        if child.tag == "mo" and child.text in _RELATIONS and length >= MIN_PIECE:
            groups.append([])
            length = 0
        groups[-1].append(child)
        length += len("".join(child.itertext()))
    if len(groups) == 1:
        return [formula]
    pieces = []
    for group in groups:
        piece = ElementTree.Element("math", formula.attrib)
        ElementTree.SubElement(piece, "mrow").extend(group)
        pieces.append(piece)
    return pieces


def _opens(element: ElementTree.Element) -> bool:
    """Return whether a sign after this element is unary (`= -1`); the converter does not say."""
    return element.tag == "mo" and (element.text or "") not in _CLOSING
