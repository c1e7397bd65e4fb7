"""The answers of a cooperative model to the shipped prompts: those of the rules annotator, and more blocks.

It reads the problem, the chain and the threads only from the conversation, as a model would, and answers a repair
turn in the same way as the turn before. By hand:
`PYTHONPATH=src:tests python tests/fake_openai.py --answer fake_answers:answer`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from threadweaver import independence
from threadweaver.annotators.llm import REPAIR_PROMPT
from threadweaver.annotators.llm.annotator import NO_CONTEXT, UNKNOWN_PROBLEM
from threadweaver.annotators.llm.prompts import FOLDER
from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.annotators.rules.wording import propose_edits

REPAIR_OPENING = (FOLDER / REPAIR_PROMPT).read_text().partition("\n")[0]
"""The beginning of a turn that asks for a reply again."""

SIX_TURNS = "\n---\n".join(
    [
        "Read.\n<problem>\n{{problem}}\n</problem>\n<chain>\n{{chain}}\n</chain>\nName the steps.",
        *(f"Turn {number}, please." for number in range(2, 7)),
    ]
)
"""A prompt of somebody else for step 1: a conversation of six turns, of which the first shows the chain."""

_THREAD_HEAD = re.compile(r"(?:\A|\n\n)\[Thread \d+\]\n")
_LINE = re.compile(r"L(\d+) \[\d+\]: (.*)")
_ASKED = re.compile(r"Write the (?:JSON object|numbered lines) for threads? (\d+)(?: (?:and|to) (\d+))?\.\Z")


def answer(messages: Sequence[Mapping[str, str]], params: Mapping[str, Any]) -> str:
    """Return the answer to the last turn of a conversation of step 1, 3 or 4."""
    if messages[-1]["content"].startswith(REPAIR_OPENING):
        messages = messages[:-2]
    first = messages[0]["content"]
    if "<chain>" in first:
        return annotate(problem_of(first), chain_of(first))
    if "<threads>" in first and _ASKED.search(first):
        return answer_edits(first) if "\n<outlines>\n" in first else answer_outlines(first)
    raise ValueError("none of the shipped prompts")


def chain_of(first: str) -> str:
    """Return the chain that is shown with numbered lines; a blank line, which is not shown, is empty."""
    shown = {}
    for line in section(first, "chain").split("\n"):
        number, text = _LINE.fullmatch(line).groups()
        shown[int(number)] = text
    return "\n".join(shown.get(number, "") for number in range(1, max(shown, default=0) + 1))


@functools.lru_cache(maxsize=256)
def annotate(problem: str, chain: str) -> str:
    """Return the annotation, cached: every turn asks for it, and a long chain takes tenths of a second."""
    annotation = annotate_steps(problem, chain).replace("; new work; ", "; ")  # small blocks are used, too
    return annotation if "<parallel>" in annotation else with_blocks(problem, chain)


MIN_THREAD = 260
"""Characters of a thread in a block that only the model proposes."""


def with_blocks(problem: str, chain: str) -> str:
    """Return an annotation in which neighbouring stretches of paragraphs that share no mathematics are blocks."""
    lines = chain.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    known = independence.Lookup(f"{problem}\n\n{chain}")
    spans = stretches(lines)
    written, at, number = [], 0, 1
    while at < len(spans):
        (first, last), pair = spans[at], spans[at : at + 2]
        texts = ["\n".join(lines[low : high + 1]) for low, high in pair]
        context = independence.Context(known, len(problem) + 2 + starts[first])
        free = len(pair) == 2 and min(map(len, texts)) >= MIN_THREAD and "boxed" not in "".join(texts)
        if free and not independence.leaks_of(context, [independence.Passage.read(text) for text in texts]):
            notes = "".join(
                f"<thread>\nS{number + k}: a part (L{low + 1}-L{high + 1})\n</thread> (range: L{low + 1}-L{high + 1}, takes from siblings: nothing, check passed)\n"
                for k, (low, high) in enumerate(pair)
            )
            written.append(
                f"<parallel>[quantities; two parts that share no mathematics]\n{notes}</parallel> (range: L{first + 1}-L{pair[1][1] + 1})"
            )
            at, number = at + 2, number + 2
        else:
            written.append(f"S{number}: a part (L{first + 1}-L{last + 1})")
            at, number = at + 1, number + 1
    return "\n".join(written) + "\n" if written else ""


def stretches(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return paragraphs, the short ones with what follows them, as first and last line, from 0."""
    found: list[tuple[int, int]] = []
    first, size = -1, 0
    for number, line in enumerate(lines):
        if line.strip():
            first, size = (number if first < 0 else first), size + len(line)
        ends = number + 1 == len(lines) or not lines[number + 1].strip()
        if (
            first >= 0
            and line.strip()
            and ends
            and (size >= MIN_THREAD or not any(map(str.strip, lines[number + 1 :])))
        ):
            found.append((first, number))
            first, size = -1, 0
    return found


def answer_edits(first: str) -> str:
    threads, found = threads_in(section(first, "threads")), {}
    for number in asked_in(first):
        pairs = propose_edits(threads[number - 1]) if number > 1 else []
        if pairs:
            found[str(number)] = [{"src": src, "dest": dest} for src, dest in pairs]
    return json.dumps(found, ensure_ascii=False)


def answer_outlines(first: str) -> str:
    threads = threads_in(section(first, "threads"))
    outlines = propose_outlines(problem_of(first), context_of(first), threads)
    outlines = outlines or [f"Work through the passage in place {number}" for number in range(1, len(threads) + 1)]
    return "\n".join(f"{number}: {outlines[number - 1]}" for number in asked_in(first))


def asked_in(first: str) -> range:
    """Return the numbers of the threads that a request of step 3 or 4 asks about."""
    low, high = _ASKED.search(first).groups()
    return range(int(low), int(high or low) + 1)


def section(text: str, name: str) -> str:
    """Return the text between the lines `<name>` and `</name>`."""
    return text[text.index(f"<{name}>\n") + len(name) + 3 : text.rindex(f"\n</{name}>")]


def problem_of(first: str) -> str:
    problem = section(first, "problem")
    return "" if problem == UNKNOWN_PROBLEM else problem


def context_of(first: str) -> str:
    context = section(first, "context")
    return "" if context == NO_CONTEXT else context


def threads_in(text: str) -> list[str]:
    return [body for body in _THREAD_HEAD.split(text) if body]
