"""The annotator that asks a language model: one prompt per question, each reply validated before it is used."""

from __future__ import annotations

import argparse
from pathlib import Path

from threadweaver.annotators.llm import prompts
from threadweaver.annotators.protocol import LABELS, QUESTIONS, Annotator
from threadweaver.client.settings import add_client_flags

PROMPTS = {
    "steps": "step1-prompt_v1.txt",
    "edits": "step3-prompt_v1_v1.txt",
    "outlines": "step4-prompt_v1_v1_v1.txt",
    "findings": "referee-prompt_v1.txt",
}
PLACEHOLDERS = {
    "steps": ("problem", "chain"),
    "edits": ("problem", "context", "plans", "threads", "asked"),
    "outlines": ("problem", "context", "threads", "asked"),
    "findings": ("problem", "context", "outlines", "threads", "count"),
}
REPAIR_PROMPT, REPAIR_PLACEHOLDERS = "repair-prompt_v1.txt", ("faults",)
EFFORT = {"steps": "medium", "edits": "low", "outlines": "low", "findings": "medium"}
"""As in the published run, which had no referee."""
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
OUTPUT_LIMIT = {"steps": 32_768, "edits": 16_384, "outlines": 8_192, "findings": 16_384}
"""Tokens, including reasoning. The outline of the longest chains (60 steps, 20 blocks) takes some 5,000, and medium
effort up to five times as many for reasoning; rewriting twelve threads takes two thousand, outlining them one, and low
effort on a long context a few thousand for reasoning. A limit that is not reached costs nothing; a truncated
reply is lost."""


def add_flags(parser: argparse.ArgumentParser, question: str) -> None:
    """Add the flags that determine a model's answers to this question (steps, edits or outlines), and the client's."""
    group = parser.add_argument_group("model annotator")
    group.add_argument(
        "--prompt",
        type=Path,
        default=prompts.FOLDER / PROMPTS[question],
        metavar="FILE",
        help=f"prompt file (prompt/{PROMPTS[question]})",
    )
    _add_common(parser, group, EFFORT[question])
    parser.set_defaults(output_limit=OUTPUT_LIMIT[question])


def add_plan_flags(parser: argparse.ArgumentParser) -> None:
    """Add the same for all three questions: each has its own prompt and effort."""
    group = parser.add_argument_group("model annotator")
    for question in QUESTIONS:
        step, name = LABELS[question], PROMPTS[question]
        group.add_argument(
            f"--{step}-prompt", type=Path, default=prompts.FOLDER / name, metavar="FILE", help=f"prompt/{name}"
        )
        group.add_argument(f"--{step}-effort", choices=EFFORTS, default=EFFORT[question], help="%(default)s")
    _add_common(parser, group, None)
    parser.set_defaults(output_limit=None)
    parser.action_of("--output-limit").help = "most output tokens of a reply (that of each step)"


def _add_common(parser: argparse.ArgumentParser, group, effort: str | None) -> None:
    group.add_argument(
        "--effort", choices=EFFORTS, default=effort, help=f"reasoning effort ({effort or 'each step has its own'})"
    )
    group.add_argument(
        "--repair-prompt",
        type=Path,
        default=prompts.FOLDER / REPAIR_PROMPT,
        metavar="FILE",
        help=f"prompt that asks again for an unusable reply (prompt/{REPAIR_PROMPT})",
    )
    group.add_argument("--verbosity", choices=("low", "medium", "high"), help="length of replies (the model's own)")
    add_client_flags(parser)


def build(args: argparse.Namespace, question: str) -> Annotator:
    """Build the annotator from these flags; raises UserError for an unusable prompt, setting or key. With `--plan` the
    annotator only counts the calls it would make."""
    from threadweaver.annotators.llm.annotator import LlmAnnotator
    from threadweaver.client import Client, PlanningClient, settings_from

    prompt = prompts.load(prompts.resolve(args.prompt), PLACEHOLDERS[question])
    repair = prompts.load(args.repair_prompt, REPAIR_PLACEHOLDERS)
    client = (PlanningClient if args.plan else Client)(settings_from(args))
    annotator = LlmAnnotator(client, prompt, repair, question, args.effort, args.verbosity)
    if not args.plan:
        client.check(annotator.label)
    return annotator


def build_for_plan(args: argparse.Namespace, question: str) -> Annotator:
    """Build the annotator that the command of this question would build from these flags."""
    own, step = vars(args), LABELS[question]
    flags = {
        "plan": True,
        "prompt": own[f"{step}_prompt"],
        "effort": args.effort or own[f"{step}_effort"],
        "output_limit": args.output_limit or OUTPUT_LIMIT[question],
    }
    return build(argparse.Namespace(**{**own, **flags}), question)
