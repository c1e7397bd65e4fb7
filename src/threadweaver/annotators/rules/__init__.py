"""The annotator that answers from the text alone: deterministic, without a network, free."""

from __future__ import annotations

import argparse

from threadweaver.annotators.protocol import Annotator


def add_flags(parser: argparse.ArgumentParser, question: str = "") -> None:
    """Add nothing: it has no settings."""


def build(args: argparse.Namespace, question: str) -> Annotator:
    from threadweaver.annotators.rules.annotator import RulesAnnotator

    return RulesAnnotator()


add_plan_flags, build_for_plan = add_flags, build
