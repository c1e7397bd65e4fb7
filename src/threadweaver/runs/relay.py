"""Decide which settings and flags of `./run.sh` go to which stage, by the commands' own parsers.

python -m threadweaver.runs.relay    prints the flags by stage, for `./run.sh --help`
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver.runs.flags import Flags, Obsolete, count, listed, positive_int, report_obsolete
from threadweaver.runs.parsers import commands_with, parser_of
from threadweaver.runs.stages import STAGES

COMMANDS = (
    {"ledger": "ledger.py"}
    | {stage.step: stage.command for stage in STAGES.values()}
    | {"merge": "merge_shards.py", "adopt": "adopt_trajectories.py"}
)
"""The commands of run.sh in their order, by the names that it gives them."""
PLAN = {"plan": "plan.py"}

BY_VARIABLE = {
    "--max-samples": "NUM_SAMPLES",
    "--keep-wrong": "KEEP_WRONG",
    "--shards": "MERGE",
    "--annotator": "ANNOTATOR",
    "--openai-model": "MODEL",
    "--workers": "WORKERS",
    "--key-path": "OPENAI_KEY_PATH",
    "--ledger": "LEDGER",
    "--max-cost": "MAX_COST",
    "--offline": "OFFLINE",
    "--batch": "BATCH",
    "--max-failed": "MAX_FAILED",
    "--jobs": "JOBS",
    "--filter-diff-threshold": "FILTER_DIFF_THRESHOLD",
    "--tokenizer": "TOKENIZER",
    "--repeat": "REPEAT",
    "--license": "LICENSE",
    "--polaris-parquet": "PROBLEMS",
}
"""The variables of run.sh whose values are those of flags; of a switch, any value but none means yes."""
BY_VARIABLE_OF = {
    "step1": {"--prompt": "STEP1_PROMPT"},
    "step3": {"--prompt": "STEP3_PROMPT", "--effort": "EFFORT"},
    "step4": {"--prompt": "STEP4_PROMPT", "--effort": "EFFORT"},
    "referee": {"--openai-model": "REFEREE_MODEL"},
}
"""Further ones, of single stages."""
FOLDERS = "SRC_NAME, DIR_NAME, BASE_NAME, STEP4_NAME or STEP5_NAME"
SET_BY_RUN = {
    "--dataset-path": "DATASET_PATH",
    "--max-samples": "NUM_SAMPLES",
    "--shard": "SHARD",
    "--shards": "MERGE",
    "--polaris-parquet": "PROBLEMS",
    "--dataset-json": "DATASET_PATH",
    "--filter-diff-threshold": "FILTER_DIFF_THRESHOLD",
    "--prompt": "VERSION, STEP2_VERSION or STEP3_VERSION",
    **{f"--step{step}-prompt": "VERSION, STEP2_VERSION or STEP3_VERSION" for step in (1, 3, 4)},
    "--output-path": FOLDERS,
    "--input": FOLDERS,
    "--output": FOLDERS,
    "--chat": FOLDERS,
    "--trajectory": FOLDERS,
    "--annotations": FOLDERS,
    "--output-dir": FOLDERS,
    "--trajectory-glob": FOLDERS,
    "--referee": "REFEREE",
}
"""Flags for what is read and where it is written: run.sh derives them from these variables, so that the stages
agree."""
ONE_STAGE_ALONE = {
    **dict.fromkeys(("--start-idx", "--end-idx"), "step1.sh"),
    "--dry-run": "step2.sh",
    **dict.fromkeys(("--dataset", "--split", "--text-column"), "step5.sh"),
}
"""Flags that make a stage read or write something other than its part of a run."""


class Refused(Exception):
    """A flag is not accepted; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A flag with its values, as they were given."""

    flag: str
    words: tuple[str, ...]


def settings_of(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return, by variable, the word that run.sh gives to a stage for these values of its variables.

    Raises Refused for a value that the stage's command does not accept.
    """
    parser, given = _optional(parser_of(COMMANDS[name])), {}
    for flag, variable in (BY_VARIABLE | BY_VARIABLE_OF.get(name, {})).items():
        action, value = parser.action_of(flag), values.get(variable, "")
        if not value or not action or isinstance(action, Obsolete):
            continue
        if action.nargs == 0:
            given[variable] = flag
            continue
        try:
            parser.value_of(flag, value)
        except argparse.ArgumentError as error:
            raise Refused(f"{variable}={value}: {' '.join(error.message.split())}") from None
        given[variable] = f"{flag}={value}"
    return given


def relayed(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the words for each command of a run or, with `--plan`, of its plan.

    Raises Refused for a flag that none of them knows; an invalid value ends the program as in the command itself.
    """
    parsers = {name: _optional(parser_of(command)) for name, command in (COMMANDS | PLAN).items()}
    chunks = list(_chunks(words, list(parsers.values())))
    planned = any(chunk.flag == "--plan" for chunk in chunks)
    given: dict[str, list[str]] = {name: [] for name in parsers}
    for chunk in chunks:
        actions = {name: parser.action_of(chunk.flag) for name, parser in parsers.items()}
        knowing = {name: action for name, action in actions.items() if action and (planned or name not in PLAN)}
        if reason := _reason_against(chunk, list(knowing.values())):
            raise Refused(reason)
        if all(isinstance(action, Obsolete) for action in knowing.values()):
            report_obsolete(chunk.flag)
        elif chunk.flag != "--plan":
            for name, action in knowing.items():
                given[name] += [] if isinstance(action, Obsolete) else chunk.words
    for name, own in given.items():
        parsers[name].parse_args(own)  # refuses wrong values
    return {name: own for name, own in given.items() if (name in PLAN) == planned}


def _optional(parser: Flags) -> Flags:
    """Return the parser with all flags optional: it only checks those that are given."""
    parser.prog = "./run.sh"
    for action in parser.actions():
        action.required = False
    return parser


def _chunks(words: Sequence[str], parsers: Sequence[Flags]) -> Iterator[Chunk]:
    flag, held = "", []
    for word in words:
        if not _is_flag(word, parsers):
            if not flag:
                raise Refused(f"unexpected argument {word!r}: settings are variables, as in NUM_SAMPLES=10 ./run.sh")
            held.append(word)
            continue
        if flag:
            yield Chunk(flag, tuple(held))
        flag, held = word.partition("=")[0], [word]
    if flag:
        yield Chunk(flag, tuple(held))


def _is_flag(word: str, parsers: Sequence[Flags]) -> bool:
    """Tell a flag from a value as argparse does: `-1` is a number, and what contains a space is a text."""
    if not word.startswith("-") or word == "-":
        return False
    if any(parser.action_of(word.partition("=")[0]) for parser in parsers):
        return True
    return not re.fullmatch(r"-\d+|-\d*\.\d+", word) and " " not in word


def _reason_against(chunk: Chunk, knowing: Sequence[argparse.Action]) -> str:
    flag = chunk.flag
    if not knowing:
        owners = [name for name in commands_with(flag) if name not in COMMANDS.values()]
        where = f"; it is a flag of {listed(owners)}" if owners else ""
        return f"{flag} is not a flag of any stage{where}"
    for spelling in knowing[0].option_strings:
        if variable := SET_BY_RUN.get(spelling):
            return f"{flag} is set by run.sh itself: use {variable}"
        if script := ONE_STAGE_ALONE.get(spelling):
            return f"{flag} is for one stage alone: give it to ./{script}"
    return ""


# ---------------------------------------------------------------------------------------------------------------
# ./run.sh --help


def overview() -> str:
    """Return the flags that run.sh passes on, each below the stages that know it."""
    stages: dict[str, list[str]] = {}
    for name, command in COMMANDS.items():
        for action in parser_of(command).actions():
            hidden = action.help == argparse.SUPPRESS or action.dest == "help" or not action.option_strings
            if not hidden and not {*action.option_strings} & (SET_BY_RUN.keys() | ONE_STAGE_ALONE.keys()):
                stages.setdefault(_shown(action), []).append(name)
    flags: dict[str, list[str]] = {}
    for flag, names in stages.items():
        flags.setdefault(", ".join(names), []).append(flag)
    order = sorted(flags, key=lambda names: (-names.count(","), names))
    return "\n".join(f"  {names}\n{_wrapped(flags[names])}" for names in order)


def _shown(action: argparse.Action) -> str:
    spelling = action.option_strings[0].replace("_", "-")
    if action.nargs == 0:
        return spelling
    kind = {int: "N", positive_int: "N", count: "N", Path: "FILE"}.get(action.type, "TEXT")
    return f"{spelling} {'|'.join(action.choices) if action.choices else action.metavar or kind}"


def _wrapped(flags: Sequence[str]) -> str:
    glued = "  ".join(flag.replace(" ", "\0") for flag in flags)
    lines = textwrap.wrap(glued, 112, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


if __name__ == "__main__":
    print(overview())
