"""The answers of a cooperative model to the shipped prompts, taken from the rules annotator.

It reads the problem, the chain and the threads only from the conversation, as a model would, and answers a repair
turn in the same way as the turn before. By hand:
`PYTHONPATH=src:tests python tests/fake_openai.py --answer fake_answers:answer`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from threadweaver.annotators.llm import REPAIR_PROMPT
from threadweaver.annotators.llm.annotator import NO_CONTEXT, UNKNOWN_PROBLEM
from threadweaver.annotators.llm.prompts import FOLDER
from threadweaver.annotators.rules.outlines import propose_outlines
from threadweaver.annotators.rules.steps import annotate_steps
from threadweaver.annotators.rules.wording import propose_edits

REPAIR_OPENING = (FOLDER / REPAIR_PROMPT).read_text().partition("\n")[0]
"""The beginning of a turn that asks for a reply again."""

_THREAD_HEAD = re.compile(r"(?:\A|\n\n)\[Thread \d+\]\n")
_LINE_NUMBER = re.compile(r"^L\d+: ", re.M)


def answer(messages: Sequence[Mapping[str, str]], params: Mapping[str, Any]) -> str:
    """Return the answer to the last turn of a conversation of step 1, 3 or 4."""
    if messages[-1]["content"].startswith(REPAIR_OPENING):
        messages = messages[:-2]
    first = messages[0]["content"]
    if "<chain>" in first:
        return answer_steps(first, messages[-1]["content"], len(messages) // 2 + 1)
    if "<thread_under_review>" in first:
        return answer_edits(first)
    if "<threads>" in first:
        return answer_outlines(first)
    raise ValueError("none of the shipped prompts")


def answer_steps(first: str, last: str, turn: int) -> str:
    chain = _LINE_NUMBER.sub("", section(first, "chain"))
    annotation = annotate(problem_of(first), chain)
    if "</parallel> (range:" in last or "check passed" in last:
        return annotation
    steps = [line for line in annotation.split("\n") if line.startswith("S")]
    blocks = [line for line in annotation.split("\n") if line.startswith("</parallel>")]
    by_turn = {1: "\n".join(steps), 2: "no substeps", 3: "\n".join(blocks) or "no groups"}
    return by_turn.get(turn, "no groups")


@functools.lru_cache(maxsize=256)
def annotate(problem: str, chain: str) -> str:
    """Return the annotation, cached: every turn asks for it, and a long chain takes tenths of a second."""
    return annotate_steps(problem, chain)


def answer_edits(first: str) -> str:
    context = f"{problem_of(first)}\n\n{context_of(first, 'allowed_context')}"
    siblings = threads_in(section(first, "forbidden_context"))
    pairs = propose_edits(context, siblings, section(first, "thread_under_review"))
    return json.dumps([{"src": src, "dest": dest} for src, dest in pairs], ensure_ascii=False)


def answer_outlines(first: str) -> str:
    threads = threads_in(section(first, "threads"))
    outlines = propose_outlines(problem_of(first), context_of(first, "context"), threads)
    return "\n".join(f"{number}: {text}" for number, text in enumerate(outlines, 1))


def section(text: str, name: str) -> str:
    """Return the text between the lines `<name>` and `</name>`."""
    return text[text.index(f"<{name}>\n") + len(name) + 3 : text.rindex(f"\n</{name}>")]


def problem_of(first: str) -> str:
    problem = section(first, "problem")
    return "" if problem == UNKNOWN_PROBLEM else problem


def context_of(first: str, name: str) -> str:
    context = section(first, name)
    return "" if context == NO_CONTEXT else context


def threads_in(text: str) -> list[str]:
    return [body for body in _THREAD_HEAD.split(text) if body]
