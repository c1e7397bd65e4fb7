"""The trajectory markup: the grammar, and the only parser and writer of stored text.

    trajectory  := (text | parallel)*
    parallel    := "<Parallel>" NL [outlines NL] thread+ NL [conclusion NL] "</Parallel>"
    outlines    := "<Outlines>" NL ("<Outline>" k ": " text "</Outline>" NL)+ "</Outlines>"
    thread      := "<Thread>" NL k ": " text NL "</Thread>"
    conclusion  := "<Conclusion>" NL text NL "</Conclusion>"

`parse` reads it and accepts any white space around tags and numbers; `write_block` writes the canonical form only, byte
for byte what fork-join inference builds. Everything else goes through these two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MIN_THREADS = 2
MAX_THREADS = 50

_NAMES = ("Parallel", "Outlines", "Outline", "Thread", "Conclusion")
_TAG = re.compile(rf"</?(?:{'|'.join(_NAMES)})>")
_THINK_TAG = re.compile(r"</?think>")
_NUMBER = re.compile(r"\s*(\d{1,6})\s*:\s*")

TAGS = tuple(tag for name in _NAMES for tag in (f"<{name}>", f"</{name}>"))
"""The ten tags; trainers add each to the tokenizer as one token."""

TAG_SHAPED = re.compile(r"</?\w+>")
"""What trainers' format checkers take for a tag (also `<n>` in mathematics); not allowed inside a block."""

OUTLINES_END = "</Outlines>"
THREAD_END = "</Thread>"
PARALLEL_END = "</Parallel>"


class MarkupError(ValueError):
    """Text that is not a trajectory: `code` names the fault, `offset` counts characters, `detail` is for people."""

    def __init__(self, code: str, offset: int, detail: str):
        super().__init__(f"{code} at character {offset}: {detail}")
        self.code, self.offset, self.detail = code, offset, detail


@dataclass(frozen=True, slots=True)
class Text:
    """A passage outside blocks: characters [start, end) of the trajectory."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Element:
    """An outline, a thread or a conclusion: [start, end) with its tags, `body` its trimmed text.

    [inner_start, inner_end) is everything between the two tags, the number included.
    """

    start: int
    end: int
    inner_start: int
    inner_end: int
    body: str


@dataclass(frozen=True, slots=True)
class Block:
    """One parallel block, [start, end) with its tags; `outlines_span` covers `<Outlines>…</Outlines>`."""

    start: int
    end: int
    threads: tuple[Element, ...]
    outlines: tuple[Element, ...] = ()
    outlines_span: tuple[int, int] | None = None
    conclusion: Element | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A parsed trajectory: its parts follow one another without a gap and cover `text`."""

    text: str
    parts: tuple[Text | Block, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(part for part in self.parts if isinstance(part, Block))

    def replace_blocks(self, replacements: Sequence[str]) -> str:
        """Return the text with the k-th block replaced by `replacements[k]`; text outside blocks is unchanged."""
        blocks = iter(replacements)
        return "".join(
            self.text[part.start : part.end] if isinstance(part, Text) else next(blocks) for part in self.parts
        )


def tag_spans(text: str) -> list[tuple[int, int]]:
    """Return [start, end) of every markup tag in `text`, in order."""
    return [match.span() for match in _TAG.finditer(text)]


def reserved_tag(text: str, *, think: bool = True) -> str | None:
    """Return the first markup tag (or, with `think`, think tag) in `text`: such a text cannot be marked up."""
    found = [match for match in (_TAG.search(text), _THINK_TAG.search(text) if think else None) if match]
    return min(found, key=lambda match: match.start()).group() if found else None


def parse(text: str) -> Trajectory:
    """Parse a trajectory; raises MarkupError at the first place that breaks the grammar."""
    tags = list(_TAG.finditer(text))
    parts: list[Text | Block] = []
    cursor = at = 0
    while at < len(tags):
        opening = tags[at]
        if opening.group() != "<Parallel>":
            raise MarkupError("stray_tag", opening.start(), f"{opening.group()} outside a block")
        if opening.start() > cursor:
            parts.append(Text(cursor, opening.start()))
        reader = _BlockReader(text, tags, at)
        block = reader.read()
        parts.append(block)
        cursor, at = block.end, reader.at
    if cursor < len(text):
        parts.append(Text(cursor, len(text)))
    return Trajectory(text, tuple(parts))


class _BlockReader:
    """Reads one block from the list of tags; `at` is the index of the next tag."""

    def __init__(self, text: str, tags: list[re.Match[str]], at: int):
        self.text, self.tags, self.at = text, tags, at
        self.opening = tags[at]

    def read(self) -> Block:
        self._take("<Parallel>")
        outlines: tuple[Element, ...] = ()
        outlines_span = conclusion = None
        if self._next() == "<Outlines>":
            start = self._take("<Outlines>").start()
            outlines = self._numbered("Outline")
            outlines_span = (start, self._take("</Outlines>").end())
        threads = self._numbered("Thread")
        if self._next() == "<Conclusion>":
            conclusion = self._element("Conclusion", None)
        end = self._take("</Parallel>").end()
        self._check_counts(threads, outlines, outlines_span)
        return Block(self.opening.start(), end, threads, outlines, outlines_span, conclusion)

    def _check_counts(self, threads, outlines, outlines_span) -> None:
        offset = self.opening.start()
        if len(threads) < MIN_THREADS:
            raise MarkupError("single_thread", offset, f"a block of {len(threads)} thread(s)")
        if len(threads) > MAX_THREADS:
            raise MarkupError("too_many_threads", offset, f"a block of {len(threads)} threads")
        if outlines_span and len(outlines) != len(threads):
            raise MarkupError("count_mismatch", offset, f"{len(outlines)} outlines for {len(threads)} threads")

    def _next(self) -> str | None:
        """Return the next tag, if there is only white space before it."""
        if self.at == len(self.tags):
            raise MarkupError("unbalanced_tag", self.opening.start(), "<Parallel> is never closed")
        tag = self.tags[self.at]
        before = self.tags[self.at - 1]
        between = self.text[before.end() : tag.start()]
        if self.at and tag is not self.opening and between.strip():
            raise MarkupError("stray_text", before.end(), f"text between {before.group()} and {tag.group()}")
        return tag.group()

    def _take(self, expected: str) -> re.Match[str]:
        if tag_text := self._next():
            tag = self.tags[self.at]
            if tag_text != expected:
                nested = tag_text == "<Parallel>"
                raise MarkupError(
                    "nested" if nested else "unbalanced_tag", tag.start(), f"{tag_text} where {expected} is due"
                )
        self.at += 1
        return tag

    def _numbered(self, name: str) -> tuple[Element, ...]:
        elements: list[Element] = []
        while self._next() == f"<{name}>":
            elements.append(self._element(name, len(elements) + 1))
        return tuple(elements)

    def _element(self, name: str, number: int | None) -> Element:
        opening = self._take(f"<{name}>")
        if self.at == len(self.tags) or self.tags[self.at].group() != f"</{name}>":
            found = self.tags[self.at].group() if self.at < len(self.tags) else "the end"
            code = "nested" if found == "<Parallel>" else "unbalanced_tag"
            raise MarkupError(code, opening.start(), f"<{name}> is followed by {found}")
        closing = self.tags[self.at]
        self.at += 1
        body = self.text[opening.end() : closing.start()]
        if number is not None:
            match = _NUMBER.match(body)
            if not match or int(match.group(1)) != number:
                raise MarkupError("numbering", opening.end(), f"<{name}> does not begin with “{number}:”")
            body = body[match.end() :]
        body = body.strip()
        _check_body(body, name.lower(), opening.end())
        return Element(opening.start(), closing.end(), opening.end(), closing.start(), body)


def _check_body(body: str, name: str, offset: int) -> None:
    if not body:
        raise MarkupError(f"empty_{name}", offset, f"an empty {name}")
    if shaped := TAG_SHAPED.search(body):
        raise MarkupError("tag_in_passage", offset, f"{shaped.group()} inside a {name}")


def write_block(threads: Sequence[str], outlines: Sequence[str] = (), conclusion: str | None = None) -> str:
    """Return the canonical form of a block; raises MarkupError when the texts cannot form one.

    Texts are trimmed here; a caller that must be able to undo this records it first.
    """
    threads, outlines = [text.strip() for text in threads], [text.strip() for text in outlines]
    for name, texts in (("outline", outlines), ("thread", threads)):
        for text in texts:
            _check_body(text, name, 0)
    if not MIN_THREADS <= len(threads) <= MAX_THREADS:
        code = "single_thread" if len(threads) < MIN_THREADS else "too_many_threads"
        raise MarkupError(code, 0, f"a block of {len(threads)} threads")
    if outlines and len(outlines) != len(threads):
        raise MarkupError("count_mismatch", 0, f"{len(outlines)} outlines for {len(threads)} threads")
    lines = ["<Parallel>"]
    if outlines:
        lines += ["<Outlines>"]
        lines += [f"<Outline>{k}: {text}</Outline>" for k, text in enumerate(outlines, 1)]
        lines += [OUTLINES_END]
    lines += ["".join(f"<Thread>\n{k}: {text}\n{THREAD_END}" for k, text in enumerate(threads, 1))]
    if conclusion is not None:
        conclusion = conclusion.strip()
        _check_body(conclusion, "conclusion", 0)
        lines += ["<Conclusion>", conclusion, "</Conclusion>"]
    return "\n".join([*lines, PARALLEL_END])


def canonical(block: Block, *, threads: Sequence[str] | None = None, outlines: Sequence[str] | None = None) -> str:
    """Return the canonical form of a parsed block, with these threads or outlines in place of its own."""
    return write_block(
        [thread.body for thread in block.threads] if threads is None else threads,
        [outline.body for outline in block.outlines] if outlines is None else outlines,
        block.conclusion.body if block.conclusion else None,
    )
