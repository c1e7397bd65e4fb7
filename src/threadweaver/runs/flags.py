"""The command line: the flags that several commands share, and a parser that refuses unknown ones by name."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from threadweaver.cores import cores
from threadweaver.errors import UserError
from threadweaver.runs.parsers import commands_with
from threadweaver.runs.shards import shard

DEFAULT_MAX_FAILED = "0.1"
"""Fraction of the samples of a stage. The published run lost 4 % of 1,000; more than a tenth is not an accident."""


def allowed_failures(max_failed: str, total: int) -> int:
    """Return how many of `total` samples may fail: a count (`3`) or a fraction (`0.05`, `5%`).

    Raises UserError when it is neither.
    """
    text = str(max_failed).strip()
    percent = text.endswith("%")
    try:
        if text.isdecimal():
            return int(text)
        share = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1 or (share == 1 and not percent):  # 1.0 could be meant either way
        raise UserError(f"--max-failed takes a count or a fraction below 1, not {max_failed!r}")
    return int(share * total + 1e-9)  # 0.29 * 100 is 28.999999999999996


def positive_int(text: str) -> int:
    """Read a whole number of at least 1, for argparse."""
    return _whole(text, 1)


def count(text: str) -> int:
    """Read a whole number of at least 0, for argparse."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)


def score(text: str) -> float:
    """Read a number of at least 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def line(text: str) -> str:
    """Read a text of one line that is not blank, for argparse."""
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not a text of one line")
    return text.strip()


def _failures(text: str) -> str:
    """Refuse an invalid value before anything is done, not at the end."""
    try:
        allowed_failures(text, 0)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _weight(text: str) -> float:
    """Read a number from 0 to 1, for argparse."""
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return weight


SHARED: dict[str, dict[str, Any]] = {
    "--input": {"type": Path, "required": True, "help": "folder of trajectories, or one <i>.txt"},
    "--output": {"type": Path, "required": True},
    "--glob": {"default": "*.txt", "help": "which files of the folder (%(default)s)"},
    "--dataset": {"type": Path, "help": "a parquet, .jsonl or dataset folder"},
    "--text_column": {"help": "column of a dataset with the trajectories (as in our own datasets)"},
    "--dataset_path": {"type": Path, "required": True, "help": "the source dataset"},
    "--max_samples": {"type": positive_int, "help": "rows to read, from the first on (%(default)s)"},
    "--shard": {
        "type": shard,
        "metavar": "I/K",
        "help": "collect only the rows r with r mod K = I, as one of K shards that are merged later",
    },
    "--shards": {"type": positive_int, "required": True, "metavar": "K", "help": "how many shards there are"},
    "--split": {"help": "split to read (train, or the only one)"},
    "--benchmark": {"type": Path, "nargs": "+", "default": [], "metavar": "FILE"},
    "--dedupe": {
        "action": "store_true",
        "help": "keep only the first of problems that are the same but for a few words",
    },
    "--keep-wrong": {"action": "store_true", "help": "also collect chains marked wrong"},
    "--filter-diff-threshold": {
        "type": count,
        "help": "characters that the threads of a block must have besides the longest one (%(default)s)",
    },
    "--no-merge-dependent": {
        "action": "store_true",
        "help": "do not merge threads that certainly depend on each other",
    },
    "--recheck-weight": {
        "type": _weight,
        "metavar": "W",
        "help": "what a re-check's saved characters count when blocks are chosen, from 0 to 1 (%(default)s)",
    },
    "--min-gain": {
        "type": count,
        "metavar": "CHARS",
        "help": "characters that a block must gain after its outlines, a re-check counting by its weight; smaller ones are "
        "used where a chain has no other (200 where step 1 asked a model, else 0)",
    },
    "--max-leak": {
        "type": score,
        "metavar": "SCORE",
        "help": "if a thread uses a sibling's mathematics with this score or more, step 3 makes its block "
        "sequential again and step 5 rejects the trajectory (%(default)s; 1.1 keeps all)",
    },
    "--ctx_lines": {"type": count, "help": "lines of context shown before a block (all)"},
    "--dataset-json": {
        "type": Path,
        "nargs": "+",
        "required": True,
        "metavar": "FILE",
        "help": "the outputs: a .json, a journal .jsonl, or the splits of a run",
    },
    "--output_path": {"type": Path},
    "--polaris-parquet": {"type": Path, "required": True, "help": "the problems for which they were sampled"},
    "--tokenizer": {"help": "tokenizer, a name on the hub or a local folder (%(default)s)"},
    "--template": {"default": "qwen"},
    "--instruction": {"help": "text added after the question, once"},
    "--summary_name": {"default": "summary.json", "help": "file name of the summary (%(default)s)"},
    "--sidecar_dirname": {"default": "stats", "help": "name of the folder for summary and plots (%(default)s)"},
    "--max-tokens": {"type": positive_int, "help": "maximum training length in tokens (%(default)s)"},
    "--sample-size": {"type": positive_int},
    "--seed": {"type": int, "default": 0},
    "--review": {"type": Path, "metavar": "FILE"},
    "--jobs": {
        "type": positive_int,
        "default": cores(),
        "help": "most processes for work that is not calls (one per core)",
    },
    "--overwrite": {"action": "store_true", "help": "replace an output that was made with other settings"},
    "--max-failed": {
        "type": _failures,
        "metavar": "N",
        "help": "failed samples allowed, a count or a fraction (%(default)s)",
    },
    "--plan": {
        "action": "store_true",
        "help": "print what the stage would call and cost; nothing is called or written",
    },
}
"""Flags that mean the same in several commands. A command adds only what is specific to it: a default, its own
help."""


class Flags(argparse.ArgumentParser):
    """A parser that accepts every flag with underscores and with hyphens, but no abbreviations."""

    def __init__(self, doc: str):
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def add_argument(self, *names, **options):
        spellings = dict.fromkeys(
            spelling
            for name in names
            for spelling in (
                (name, _respell(name, "_", "-"), _respell(name, "-", "_")) if name[:2] == "--" else (name,)
            )
        )
        return super().add_argument(*spellings, **options)

    def add_shared(self, name: str, *aliases: str, **own: Any) -> None:
        """Add a flag of `SHARED`; `own` adds to its declaration or replaces parts of it."""
        self.add_argument(name, *aliases, **{**SHARED[name], **own})

    def add_obsolete(self, *names: str, **options: Any) -> None:
        """Accept flags of the published commands that no longer mean anything, with one notice."""
        for name in names:
            self.add_argument(name, help=argparse.SUPPRESS, action=Obsolete, **options)

    def add_stage_flags(self, *, max_failed: str = DEFAULT_MAX_FAILED) -> None:
        """Add the flags of every stage of a run."""
        self.add_shared("--overwrite")
        self.add_argument(
            "--accept-edits",
            action="store_true",
            help="take files that were changed by hand, in the input and in the output; the account names them",
        )
        self.add_shared("--max-failed", default=max_failed)
        self.add_shared("--plan")
        self.add_obsolete("--verbose", nargs="?")

    def action_of(self, flag: str) -> argparse.Action | None:
        """Return the declaration of a flag in any spelling, or None."""
        return self._option_string_actions.get(flag)

    def value_of(self, flag: str, text: str) -> object:
        """Return the value of a flag; raises argparse.ArgumentError, whose `message` says why there is none."""
        action = self._option_string_actions[flag]
        value = self._get_value(action, text)
        self._check_value(action, value)
        return value

    def actions(self) -> list[argparse.Action]:
        """Return the declarations in their order."""
        return list(self._actions)

    def parse_args(self, args=None, namespace=None):
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(_refusal(unknown))
        return parsed

    def error(self, message: str):
        short = re.sub(r"^argument ([^/:\s]+)[^:]*:", r"\1:", " ".join(message.split()))  # in one spelling
        print(f"{self.prog}: {short}; --help lists the flags", file=sys.stderr)
        raise SystemExit(2)


class Obsolete(argparse.Action):
    """A flag that is accepted and has no effect."""

    def __call__(self, parser, namespace, values, option_string=None):
        report_obsolete(option_string)


def report_obsolete(flag: str) -> None:
    print(f"{flag} has no effect any more and is ignored", file=sys.stderr)


def _refusal(unknown: Sequence[str]) -> str:
    flag = next((word.partition("=")[0] for word in unknown if word.startswith("-")), None)
    if flag is None:
        return f"unexpected argument {unknown[0]!r}"
    if owners := commands_with(flag):
        return f"{flag} means nothing here, it is a flag of {listed(owners)}"
    return f"unknown flag {flag}"


def listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _respell(name: str, old: str, new: str) -> str:
    return "--" + name[2:].replace(old, new)
