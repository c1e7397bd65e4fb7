"""Text as rows of pieces, for the page: lines with their formulas, bold words and tags marked.

A row is [number, lines, pieces]: the number of its first line, how many lines it covers (a display formula may cover
several), and its pieces. A piece is a string, or an object with one of the keys
    m  a formula (TeX without its delimiters), `d` true for display, `s` its source
    b  bold words as pieces, `s` their source
    t  a tag of the markup, in a text that could not be parsed
    del, ins  what an edit removed or inserted
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from threadweaver.trajectory import markup
from threadweaver.trajectory.edits import Edit
from threadweaver.viewer import formulas

Piece = str | dict
Row = list


def split(text: str) -> list[Piece]:
    """Split a passage into pieces; their sources, joined, give the passage back."""
    pieces: list[Piece] = []
    cursor = 0
    for span in formulas.find(text):
        if span.start > cursor:
            pieces.append(text[cursor : span.start])
        pieces.append(_piece(span, text[span.start : span.end]))
        cursor = span.end
    if cursor < len(text):
        pieces.append(text[cursor:])
    return pieces


def _piece(span: formulas.Span, shown: str) -> dict:
    if span.kind == "bold":
        return {"b": split(span.body), "s": shown}
    return {"m": span.body, "s": shown} | ({"d": True} if span.kind == "display" else {})


def formula(tex: str) -> dict:
    """Return a formula that comes without delimiters as a piece."""
    return {"m": tex.strip(), "s": f"${tex}$"}


def source(piece: Piece) -> str:
    """Return the text of a piece; what an edit removed is not part of it."""
    if isinstance(piece, str):
        return piece
    return piece.get("s") or piece.get("t") or piece.get("ins") or ""


def rows(text: str, first: int = 1) -> list[Row]:
    """Return the lines of a passage, numbered from `first`."""
    return _rows(split(text), first)


def tagged_rows(text: str, first: int = 1) -> list[Row]:
    """Return the lines of a text whose markup is not well-formed, with its tags as pieces of their own."""
    found: list[Piece] = []
    cursor = 0
    for start, end in markup.tag_spans(text):
        found += split(text[cursor:start])
        found.append({"t": text[start:end]})
        cursor = end
    return _rows([*found, *split(text[cursor:])], first)


def _rows(pieces: Iterable[Piece], first: int) -> list[Row]:
    """Break pieces at line ends; only a formula, or a change, keeps lines together."""
    done: list[Row] = []
    number, height = first, 1
    row: list[Piece] = []
    for piece in pieces:
        if not isinstance(piece, str):
            row.append(piece)
            height += piece.get("s", "").count("\n")
            continue
        head, *lines = piece.split("\n")
        if head:
            row.append(head)
        for line in lines:
            done.append([number, height, row])
            number, height, row = number + height, 1, [line] if line else []
    done.append([number, height, row])
    return done


def edited_rows(body: str, edits: Sequence[Edit], first: int) -> list[Row]:
    """Return a thread's lines with every edit shown in place, numbered as in the chain; inserted lines add none."""
    done: list[Row] = []
    number, row = first, []
    for kind, text in changes(body, edits):
        head, *lines = text.split("\n")
        row += _changed(kind, head)
        for line in lines:
            done.append([number, 1, row])
            number, row = number + (kind != "ins"), _changed(kind, line)
    done.append([number, 1, row])
    return done


def _changed(kind: str, text: str) -> list[Piece]:
    if not text:
        return []
    return split(text) if kind == "keep" else [{kind: text}]


def changes(body: str, edits: Sequence[Edit]) -> list[tuple[str, str]]:
    """Return the thread as (kind, text), where keep and del give the original, keep and ins the body.

    Raises edits.ConservationError when the edits are not those that led to this body.
    """
    from threadweaver.trajectory.edits import undo

    parts = [("keep", undo(body, edits))]
    for edit in edits:
        parts = _change(parts, edit)
    return [part for part in parts if part[1]]


def _change(parts: list[tuple[str, str]], edit: Edit) -> list[tuple[str, str]]:
    """Apply one more edit to the parts; its offset does not count what earlier edits removed."""
    result: list[tuple[str, str]] = []
    at, end, placed = 0, edit.offset + len(edit.src), False
    for kind, text in parts:
        if kind == "del":
            result.append((kind, text))
            continue
        low, high = (min(max(bound - at, 0), len(text)) for bound in (edit.offset, end))
        result.append((kind, text[:low]))
        if kind == "keep":
            result.append(("del", text[low:high]))
        at += len(text)
        if not placed and at >= end:
            result.append(("ins", edit.dest))
            placed = True
        result.append((kind, text[high:]))
    return result if placed else [*result, ("ins", edit.dest)]


def result_rows(body: str, edits: Sequence[Edit], first: int) -> list[Row]:
    """Return the lines of an edited thread's result, each with the number of the chain's line on which it begins."""
    done: list[Row] = []
    number = start = first
    line = ""
    for kind, text in changes(body, edits):
        if kind == "del":
            number += text.count("\n")
            continue
        head, *following = text.split("\n")
        line += head
        for part in following:
            done.append([start, 1, split(line)])
            number += kind == "keep"
            start, line = number, part
    return [*done, [start, 1, split(line)]]
