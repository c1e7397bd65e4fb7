"""Writes the step annotation of a chain: every line in a step, independent passages as parallel blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from threadweaver.annotators.rules.blocks import find_blocks
from threadweaver.annotators.rules.chain import Block, Chain, Span

MAX_STEP_LINES = 40  # a sequential step is cut at the next paragraph after so many lines
MAX_DESCRIPTION = 90  # characters

_MARKS = re.compile(r"^[\s#>*\-•–_]+|[*_`]{2,}")
_UNSAFE = re.compile(r"</?\w+>|[<>]|\(\s*L\d[^)]*\)|\[\s*L\d[^\]]*\]")

_REASONS = {
    "label": "cases worked out separately",
    "instance": "the same question asked of different values",
    "item": "separate items, each worked out by itself",
    "method": "different ways to the same end",
    "counterpart": "the same work for different objects",
    "repeat": "the same computation for different objects",
}
_CHECKS = {
    "label": "uses only its own case",
    "instance": "uses only its own value",
    "item": "uses only its own item",
    "method": "starts afresh from what stands before the block",
    "counterpart": "works on its own object alone",
    "repeat": "computes with its own object alone",
}


def annotate_steps(problem: str, thinking: str) -> str:
    """The step annotation of a chain, in the form that the extraction reads; lines count from 1."""
    chain, blocks = find_blocks(problem, thinking)
    written: list[str] = []
    number, at = 1, 0
    for block in blocks:
        for span in sequential_steps(chain, at, block.threads[0].first - 1):
            written.append(step_line(chain, number, span))
            number += 1
        written += block_lines(chain, block, number)
        number += len(block.threads)
        at = block.threads[-1].last + 1
    for span in sequential_steps(chain, at, len(chain.units) - 1):
        written.append(step_line(chain, number, span))
        number += 1
    return "\n".join(written) + "\n" if written else ""


def sequential_steps(chain: Chain, first: int, last: int) -> Iterator[Span]:
    """The units first…last in steps of a readable length, cut where a unit opens something."""
    start = first
    for index in range(first, last + 1):
        lines = chain.units[index].last - chain.units[start].first + 1
        opens = index > start and chain.units[index].head is not None and lines > MAX_STEP_LINES // 4
        if index > start and (opens or lines > MAX_STEP_LINES):
            yield Span(start, index - 1)
            start = index
    if start <= last:
        yield Span(start, last)


def line_range(chain: Chain, span: Span) -> str:
    return f"L{chain.units[span.first].first}-L{chain.units[span.last].last}"


def step_line(chain: Chain, number: int, span: Span) -> str:
    return f"S{number}: {describe(chain.units[span.first].text)} ({line_range(chain, span)})"


def block_lines(chain: Chain, block: Block, number: int) -> list[str]:
    lines = [f"<parallel>[Parallel reason: {_REASONS[block.kind]}]"]
    for offset, span in enumerate(block.threads):
        lines += [
            "<thread>",
            step_line(chain, number + offset, span),
            f"</thread> (range: {line_range(chain, span)}, check passed: {_CHECKS[block.kind]})",
        ]
    hull = Span(block.threads[0].first, block.threads[-1].last)
    return [*lines, f"</parallel> (range: {line_range(chain, hull)})"]


def describe(text: str) -> str:
    """The opening words of a passage on one line, without anything that reads as markup or as a range."""
    opening = " ".join(_UNSAFE.sub(" ", _MARKS.sub("", text[:400].split("\n", 1)[0])).split())
    if len(opening) > MAX_DESCRIPTION:
        opening = opening[:MAX_DESCRIPTION].rsplit(" ", 1)[0] + " …"
    return opening.strip(" :;,") or "Continue"
