"""Find the formulas and the bold words of a text: TeX's delimiters, environments, and dollars that are money."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TEX = 4000
"""Characters; what is longer is shown as source."""
MAX_INLINE = 2000

DISPLAYED = frozenset(
    "align aligned alignat alignedat CD equation eqnarray flalign gather gathered multline split".split()
)
ENVIRONMENTS = DISPLAYED | frozenset(
    "array Bmatrix bmatrix cases dcases drcases matrix pmatrix rcases smallmatrix Vmatrix vmatrix".split()
)
"""What is set apart from the text when it comes without delimiters, and the rest, which is part of its line."""
_TOKEN = re.compile(
    r"\\(?P<side>begin|end)\{(?P<name>[a-zA-Z]+)\*?\}|\\boxed(?=\s?\{)|\\[^\n]|\$+|\*\*|(?P<blank>\n[ \t]*(?=\n))"
)
_TEXT_GROUP = re.compile(r"\\(?:text\w*|mbox|hbox)\s*\{[^{}]*\}")
_BRACE = re.compile(r"\\.|[{}\n]")
_BOLD = re.compile(r"\*\*(?P<words>[^\s*](?:[^*\n]{0,300}[^\s*])?)\*\*")
_AMOUNT = re.compile(r"[+-]?\d[\d.,]*")
_WORD = re.compile(r"(?:^|[\s,;(])[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Span:
    """A formula or bold words, from `start` to `end`; `body` is without the delimiters."""

    start: int
    end: int
    body: str
    kind: str
    """inline, display or bold"""


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    text: str
    side: str | None
    name: str | None
    blank: bool


def find(text: str) -> Iterator[Span]:
    """Yield the spans in order. The time is linear in the text: no search for an end passes another beginning."""
    tokens = [
        _Token(match.start(), match.end(), match.group(), match["side"], match["name"], match["blank"] is not None)
        for match in _TOKEN.finditer(text)
    ]
    closed = _environments(tokens)
    done = unclosed_box = 0
    for at, token in enumerate(tokens):
        if token.start < done:
            continue
        span: Span | None = None
        if token.text[0] == "$":
            span = _dollars(text, tokens, at)
        elif token.text in ("\\(", "\\["):
            span = _brackets(text, tokens, at)
        elif token.side == "begin" and token.name in ENVIRONMENTS:
            end = closed.get(at, 0)
            kind = "display" if token.name in DISPLAYED else "inline"
            span = Span(token.start, end, text[token.start : end], kind) if end else None
        elif token.text == "\\boxed" and token.start >= unclosed_box:
            end, closes = _braced(text, token.end)
            span = Span(token.start, end, text[token.start : end], "inline") if closes else None
            unclosed_box = 0 if closes else end
        elif token.text == "**" and (match := _BOLD.match(text, token.start)):
            span = Span(match.start(), match.end(), match["words"], "bold")
        if span and len(span.body) <= MAX_TEX:
            done = span.end
            yield span


def _environments(tokens: list[_Token]) -> dict[int, int]:
    """Return for each \\begin that is closed, by its place among the tokens, where its \\end ends."""
    closed: dict[int, int] = {}
    opened: list[int] = []
    count: dict[str, int] = {}
    for at, token in enumerate(tokens):
        name = token.name or ""
        if token.side == "begin":
            opened.append(at)
            count[name] = count.get(name, 0) + 1
        elif token.side == "end" and count.get(name):
            while opened:
                last = opened.pop()
                count[tokens[last].name or ""] -= 1
                if tokens[last].name == name:
                    closed[last] = token.end
                    break
    return closed


def _dollars(text: str, tokens: list[_Token], at: int) -> Span | None:
    """Return the formula that a run of one to three dollars opens; as many close it."""
    opening = tokens[at]
    number = len(opening.text)
    if number > 3:
        return None
    limit = opening.end + (MAX_INLINE if number == 1 else MAX_TEX)
    for closing in _following(tokens, at):
        if closing.start > limit or closing.blank:
            return None
        if closing.text[0] != "$" or (number > 1 and len(closing.text) == 1):
            continue
        body = text[opening.end : closing.start]
        if len(closing.text) != number or not body.strip():
            return None
        if number == 1:
            return _inline(text, opening.start, closing.end, body)
        whole = "$" not in _TEXT_GROUP.sub("", body.replace("\\$", ""))
        return Span(opening.start, closing.end, body.strip(), "display") if whole else None
    return None


def _following(tokens: list[_Token], at: int) -> Iterator[_Token]:
    for place in range(at + 1, len(tokens)):
        yield tokens[place]


def _inline(text: str, start: int, end: int, body: str) -> Span | None:
    """Return the formula between two single dollars, unless they are money."""
    if "\n" in body or body[0].isspace() or body[-1].isspace() or text[end : end + 1].isdigit():
        return None
    amount = _AMOUNT.match(body)
    if amount and not re.search(r"[\\^_={}<>]", body) and _WORD.search(body, amount.end()):
        return None
    return Span(start, end, body, "inline")


def _brackets(text: str, tokens: list[_Token], at: int) -> Span | None:
    opening = tokens[at]
    wanted = {"\\(": "\\)", "\\[": "\\]"}[opening.text]
    limit = opening.end + (MAX_INLINE if wanted == "\\)" else MAX_TEX)
    for token in _following(tokens, at):
        if token.start > limit or token.blank or token.text in ("\\(", "\\["):
            return None
        if token.text == wanted:
            body = text[opening.end : token.start].strip()
            kind = "inline" if wanted == "\\)" else "display"
            return Span(opening.start, token.end, body, kind) if body else None
    return None


def _braced(text: str, at: int) -> tuple[int, bool]:
    """Return where the group in braces that begins here ends, and whether it ends at all, in its line."""
    depth = 0
    for match in _BRACE.finditer(text, at, at + MAX_INLINE):
        depth += (match.group() == "{") - (match.group() == "}")
        if match.group() == "\n":
            return match.end(), False
        if depth == 0 and match.group() == "}":
            return match.end(), True
    return min(len(text), at + MAX_INLINE), False
