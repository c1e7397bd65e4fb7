"""Write the step annotation of a chain: every line in a step, independent parts as parallel blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from threadweaver.annotators.rules.series import Block, Chain, Span, find_blocks
from threadweaver.corpus.repetition import DEGENERATE_SHARE, repeated_share

MAX_STEP_LINES = 40  # a sequential step is cut at the next paragraph after so many lines
MAX_DESCRIPTION = 90  # characters

_MARKS = re.compile(r"^[\s#>*\-•–_]+|[*_`]{2,}")
_UNSAFE = re.compile(r"</?\w+>|[<>]|\(\s*L\d[^)]*\)|\[\s*L\d[^\]]*\]")


def annotate_steps(problem: str, thinking: str) -> str:
    """Return the step annotation of a chain, in the form that the extraction reads; lines count from 1.

    A block that lies inside another one follows it, with steps of its own numbers; a chain that only repeats itself
    has no block.
    """
    chain = Chain(problem, thinking)
    blocks = find_blocks(chain) if repeated_share(thinking) < DEGENERATE_SHARE else []
    written: list[str] = []
    number, at = 1, 0
    for block in [*sorted(blocks, key=lambda block: (block.threads[0][0], -block.threads[-1][1])), None]:
        for span in _sequential(chain, at, (block.threads[0][0] if block else len(chain.parts)) - 1):
            written.append(_step_line(chain, number, span))
            number += 1
        if block:
            written += _block_lines(chain, block, number)
            number += len(block.threads)
            at = max(at, block.threads[-1][1] + 1)
    return "\n".join(written) + "\n" if written else ""


def _sequential(chain: Chain, first: int, last: int) -> Iterator[Span]:
    """Yield the parts first to last in steps of a readable length."""
    start = first
    for index in range(first + 1, last + 1):
        if chain.parts[index].last - chain.parts[start].first >= MAX_STEP_LINES:
            yield start, index - 1
            start = index
    if start <= last:
        yield start, last


def _range(chain: Chain, span: Span) -> str:
    return f"L{chain.parts[span[0]].first}-L{chain.parts[span[1]].last}"


def _step_line(chain: Chain, number: int, span: Span) -> str:
    return f"S{number}: {describe(chain.parts[span[0]].text)} ({_range(chain, span)})"


def _block_lines(chain: Chain, block: Block, number: int) -> list[str]:
    lines = [f"<parallel>[{block.kind}; new work; {block.kind} under headings of their own]"]
    for offset, span in enumerate(block.threads):
        lines += [
            "<thread>",
            _step_line(chain, number + offset, span),
            f"</thread> (range: {_range(chain, span)}, takes from siblings: nothing, check passed: a heading of its own)",
        ]
    hull = (block.threads[0][0], block.threads[-1][1])
    return [*lines, f"</parallel> (range: {_range(chain, hull)})"]


def describe(text: str) -> str:
    """Return the opening words of a passage on one line, without anything that reads as markup or as a range."""
    opening = " ".join(_UNSAFE.sub(" ", _MARKS.sub("", text[:400].split("\n", 1)[0])).split())
    if len(opening) > MAX_DESCRIPTION:
        opening = opening[:MAX_DESCRIPTION].rsplit(" ", 1)[0] + " …"
    return opening.strip(" :;,") or "Continue"
