"""The annotators by name: each is a package next to this file with the four functions that are called here."""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

from threadweaver.annotators.protocol import QUESTIONS, Annotator, Asked, Referee

NAMES = ("rules", "llm")
DEFAULT = "llm"


def package(name: str) -> ModuleType:
    """Import the package of an annotator when it is needed."""
    return import_module(f"threadweaver.annotators.{name}")


def add_flags(parser: argparse.ArgumentParser, question: str) -> None:
    """Add the flags of a command that asks an annotator; `question` is steps, edits or outlines."""
    _add_name(parser)
    for name in NAMES:
        package(name).add_flags(parser, question)


def add_plan_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that plans all three questions."""
    _add_name(parser)
    for name in NAMES:
        package(name).add_plan_flags(parser)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotator", choices=NAMES, default=DEFAULT, help="who answers: a language model, or rules (%(default)s)"
    )


def build(args: argparse.Namespace, question: str) -> Annotator:
    """Build the annotator that the flags name; raises UserError for flags that cannot be used, before a stage writes
    anything."""
    return package(args.annotator).build(args, question)


def check(args: argparse.Namespace, question: str, *, recorded: bool = False) -> None:
    """Raise UserError for what would keep the annotator of these flags from answering; nothing is called or written.
    `recorded`: replies will be imported first."""
    build(argparse.Namespace(**{**vars(args), "plan": recorded and args.offline}), question)


def build_for_plan(args: argparse.Namespace) -> dict[str, Annotator]:
    """Build one annotator for each question from the flags of `add_plan_flags`; none of them calls a model."""
    return {question: package(args.annotator).build_for_plan(args, question) for question in QUESTIONS}


def add_referee_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the referee, which is a language model."""
    package(DEFAULT).add_flags(parser, "findings")


def build_referee(args: argparse.Namespace) -> Referee:
    """Build the referee that the flags name; raises UserError for flags that cannot be used."""
    return package(DEFAULT).build(args, "findings")


def samples_at_once(annotator: Asked, args: argparse.Namespace, total: int) -> int:
    """Return how many samples are under way at once: as many as there are workers or, in batch mode, all, so that a
    wave holds the next turn of every conversation."""
    return max(1, total) if args.batch and annotator.client else args.workers
