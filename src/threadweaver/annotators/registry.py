"""The annotators by name, their flags, and the one that a command line names."""

from __future__ import annotations

import argparse

from threadweaver.annotators.protocol import Annotator
from threadweaver.annotators.rules.annotator import RulesAnnotator

NAMES = ("rules", "llm")
DEFAULT = "llm"


def add_flags(parser: argparse.ArgumentParser, question: str) -> None:
    """The flags of a command that asks an annotator; `question` is steps, edits or outlines."""
    from threadweaver.annotators import llm

    parser.add_argument(
        "--annotator", choices=NAMES, default=DEFAULT, help=f"who answers: a language model, or rules ({DEFAULT})"
    )
    llm.add_flags(parser, question)


def samples_at_once(args: argparse.Namespace, total: int) -> int:
    """How many samples are under way together: as many as calls may be, and in batch mode all, so that a wave holds the
    next turn of every conversation."""
    return max(1, total) if args.batch and args.annotator == "llm" else args.workers


def build(args: argparse.Namespace, question: str) -> Annotator:
    """The annotator that the flags name; raises UserError for flags that cannot be used."""
    if args.annotator == "rules":
        return RulesAnnotator()
    from threadweaver.annotators import llm

    return llm.build(args, question)
