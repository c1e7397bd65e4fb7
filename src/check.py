"""Check the settings of a run before anything is written or spent, and give each stage its flags. Called by run.sh.

Reads   the variables of run.sh (--setting), its flags (after --); the prompts, the key, the tokenizer that they name
Writes  nothing; prints shell assignments for run.sh: flags_collect=--keep-wrong, …; recorded_alone=1 where the recorded
        answers are used because there is no key
Calls   nothing
Exits   0; 2 something to fix, reported in one line
Example python src/check.py --setting NUM_SAMPLES=10 --setting TOKENIZER=data/sample/tokenizer
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from threadweaver.annotators import registry as annotators
from threadweaver.annotators.llm import PLACEHOLDERS, prompts
from threadweaver.annotators.protocol import LABELS, QUESTIONS
from threadweaver.client.credentials import find_base_url, find_key, needs_key
from threadweaver.corpus.tokenizer import load_tokens
from threadweaver.errors import UserError
from threadweaver.files import read_jsonl
from threadweaver.runs import relay
from threadweaver.runs.command import run_command
from threadweaver.runs.flags import Flags
from threadweaver.runs.parsers import parser_of


def flags() -> Flags:
    parser = Flags(__doc__)
    parser.add_argument(
        "--setting", action="append", default=[], metavar="NAME=VALUE", help="a variable of run.sh; repeatable"
    )
    return parser


def main(argv: list[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    end = argv.index("--") if "--" in argv else len(argv)
    args, words = flags().parse_args(argv[:end]), argv[end + 1 :]
    values = dict(setting.split("=", 1) for setting in args.setting)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a file name need not be text
    try:
        given = relay.relayed([*(["--plan"] if values.get("PLAN") else []), *words])
        settings = {name: relay.settings_of(name, values) for name in relay.COMMANDS}
    except relay.Refused as refused:
        raise UserError(f"./run.sh: {refused}; ./run.sh --help lists the settings and flags") from None
    if "plan" in given:
        print("PLAN=1")
    else:
        if uses_recorded(values, [*settings["step1"].values(), *given["step1"]]):
            values["OFFLINE"] = "1"
            settings = {name: relay.settings_of(name, values) for name in relay.COMMANDS}
            print("recorded_alone=1")
        check_recorded(values)
        check_self_training(values)
        if values.get("REFEREE") and values.get("REFEREE_MODEL", values.get("MODEL")) in ("", values.get("MODEL")):
            raise UserError("REFEREE=1 needs a model that did not annotate: name it with REFEREE_MODEL")
        steps = ("step1", "step3", "step4", *(["referee"] if values.get("REFEREE") else []))
        check_stages(
            (*(() if values.get("MERGE") or values.get("SELF_TRAIN") else steps), "save"),
            settings,
            given,
            recorded=bool(values.get("RECORDED")),
        )
    for name, own in given.items():
        print(f"flags_{name}={shlex.quote(shlex.join(own))}")
    return 0


def check_self_training(values: Mapping[str, str]) -> None:
    """Raise UserError if self-training does not know the problems, or would be sharded."""
    if values.get("SELF_TRAIN") and not values.get("PROBLEMS"):
        raise UserError("SELF_TRAIN=1 needs the problems of the run: name their parquet with PROBLEMS")
    if values.get("SELF_TRAIN") and (values.get("MERGE") or values.get("SHARD")):
        raise UserError("SELF_TRAIN=1 has no shards: leave SHARD and MERGE out")


def uses_recorded(values: Mapping[str, str], words: Sequence[str]) -> bool:
    """Whether nobody could be asked (there is no key and no server), and the model's recorded answers to this prompt of
    step 1 are there."""
    args, path = parsed("step1", words), Path(values.get("RECORDED") or "-")
    others = any(values.get(name) for name in ("REFEREE", "MERGE", "SELF_TRAIN"))
    if args.annotator != "llm" or args.offline or args.batch or others:
        return False
    if not needs_key(find_base_url(args.base_url)) or find_key(args.key_path) or not path.is_file():
        return False
    prompt = prompts.load(prompts.resolve(args.prompt), PLACEHOLDERS["steps"])
    instructions = prompt.turns[0].partition("{{")[0]
    return any(_asks(row, args.openai_model, instructions) for _, row, _ in read_jsonl(path))


def _asks(row: object, model: str, instructions: str) -> bool:
    """Whether a line of recorded answers is one of this model to these instructions; the import reports damaged ones."""
    match row:
        case {"request": {"model": name, "messages": [[_, str(text)], *_]}}:
            return name == model and text.startswith(instructions)
    return False


def check_recorded(values: Mapping[str, str]) -> None:
    """Raise UserError if the recorded answers that would be imported are not there."""
    if values.get("OFFLINE") and values.get("RECORDED") and not Path(values["RECORDED"]).exists():
        raise UserError(f"the recorded answers {values['RECORDED']} were not found: correct RECORDED, or leave it out")


def check_stages(
    steps: Sequence[str],
    settings: Mapping[str, Mapping[str, str]],
    given: Mapping[str, Sequence[str]],
    *,
    recorded: bool,
) -> None:
    """Raise UserError for what would end one of these steps: an endpoint, a key, a prompt or a tokenizer."""
    for step in steps:
        args = parsed(step, [*settings[step].values(), *given[step]])
        try:
            if step == "save":
                load_tokens(args.tokenizer)
            elif step == "referee":
                annotators.build_referee(args)
            else:
                annotators.check(args, next(name for name in QUESTIONS if LABELS[name] == step), recorded=recorded)
        except UserError as error:
            raise UserError(named_by_variables(str(error), settings[step], given[step])) from None


def parsed(step: str, words: Sequence[str]) -> argparse.Namespace:
    parser = parser_of(relay.COMMANDS[step])
    for action in parser.actions():
        action.required = False
    return parser.parse_args(words)


def named_by_variables(text: str, settings: Mapping[str, str], words: Sequence[str]) -> str:
    """Return a message about flags as one about the variables that set them, for those that were not given as flags."""
    for variable, word in settings.items():
        flag = word.partition("=")[0]
        if variable not in text and not any(given.replace("_", "-").partition("=")[0] == flag for given in words):
            text = text.replace(f"{flag} ", f"{variable} ({flag}) ")
    return text


if __name__ == "__main__":
    run_command(main)
