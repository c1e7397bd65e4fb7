"""The command line: flags that several commands share, in underscores and in kebab-case."""

from __future__ import annotations

import argparse
import sys

from threadweaver.errors import UserError

DEFAULT_MAX_FAILED = "0.1"
"""Of the samples of a stage: the published run lost 4 % of 1,000; more than a tenth is no accident."""


def allowed_failures(max_failed: str, total: int) -> int:
    """A count (`3`) or a fraction (`0.05`, `5%`) of `total`; raises UserError when it is neither."""
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
    """For argparse: a whole number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _failures(text: str) -> str:
    """Refuses nonsense before anything is done, not at the end."""
    try:
        allowed_failures(text, 0)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


_SHARED = {
    "--annotator": {},
    "--tokenizer": {},
    "--workers": {},
    "--openai-model": {},
    "--in-cost-per-million": {},
    "--out-cost-per-million": {},
    "--use-chat-completions": {"action": "store_true"},
    "--base-url": {},
    "--extra-body": {},
    "--ledger": {},
    "--key-path": {},
    "--retry-failed": {"action": "store_true"},
    "--max-cost": {},
    "--offline": {"action": "store_true"},
    "--service-tier": {},
    "--effort": {},
    "--verbosity": {},
    "--prompt": {},
    "--output-limit": {},
    "--timeout": {},
    "--batch": {"action": "store_true"},
    "--batch-deadline": {},
    "--batch-tokens": {},
    "--batch-poll": {},
    "--batch-quiet": {},
    "--units": {"action": "store_true"},
}
"""Flags that run.sh may pass to all commands, with what argparse has to know of them."""


class Flags(argparse.ArgumentParser):
    """A parser that takes every flag with underscores and with hyphens, and no abbreviations."""

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

    def obsolete(self, *names: str, **options) -> None:
        """A flag of the published commands that no longer means anything: taken, and told once."""
        for name in names:
            self.add_argument(name, help=argparse.SUPPRESS, action=_Obsolete, **options)

    def add_common(self, *, max_failed: str = DEFAULT_MAX_FAILED) -> None:
        """The flags of every command. Those that one has no use for it takes in silence, so that run.sh can pass
        the same flags to all."""
        self.add_argument("--overwrite", action="store_true", help="make the output anew")
        self.add_argument(
            "--max-failed",
            default=max_failed,
            metavar="N",
            type=_failures,
            help=f"failed samples allowed, a count or a fraction ({max_failed})",
        )

        self.add_argument(
            "--plan", action="store_true", help="say what the stage would call and cost; nothing is called or written"
        )
        known = set(self._option_string_actions)
        for name, options in _SHARED.items():
            if name not in known:
                self.add_argument(name, help=argparse.SUPPRESS, **options)

    def error(self, message: str):
        print(f"{self.prog}: {message}; --help tells the flags", file=sys.stderr)
        raise SystemExit(2)


class _Obsolete(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        print(f"{option_string} has no effect any more and is passed over", file=sys.stderr)


def _respell(name: str, old: str, new: str) -> str:
    return "--" + name[2:].replace(old, new)
