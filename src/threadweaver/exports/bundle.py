"""The bundle of a dataset that is published: its files and cards as saved, and the recipe that it was made with."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.exports import folder
from threadweaver.files import digest, read_json, read_text, sha256, write_atomic
from threadweaver.ledger import Ledger, transfer
from threadweaver.ledger.entries import LedgerEntry
from threadweaver.runs import account
from threadweaver.runs.account import Account
from threadweaver.samples import read_collected

RECIPE = "recipe"
_HEAD = 40
"""Characters of a problem by which a request is searched for it: 20 KB of request take about 5 ms."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was bundled: the number of replies is None without a ledger."""

    files: int
    replies: int | None


def build(dataset: Path, output: Path, prompts: Path, ledger: Path | None) -> Bundle:
    """Write the bundle of a saved dataset into `output`, an empty folder.

    Raises UserError if the dataset is not as it was saved, or a prompt is no longer the one it was made with.
    """
    names = _saved_files(dataset)
    run = account.read(dataset)
    for name in names:
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name != folder.CARD:  # the card of the whole is written last
            shutil.copyfile(dataset / name, target)
    for prompt in _prompts(run, prompts):
        write_atomic(output / RECIPE / "prompts" / prompt.name, read_text(prompt))
    settings = [dict(stage.settings) for stage in run.stages]
    write_atomic(output / RECIPE / "settings.json", json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
    replies = _export_replies(run, ledger, output / RECIPE / "replies.jsonl") if ledger else None
    write_atomic(output / RECIPE / "README.md", _recipe(run, dataset.name, replies))
    write_atomic(output / folder.CARD, _with_recipe(read_text(dataset / folder.CARD)))
    return Bundle(len(names), replies)


def _saved_files(dataset: Path) -> list[str]:
    """Return the names of the dataset's files, each as it was saved."""
    made = read_json(dataset / "files.json") if (dataset / "files.json").is_file() else None
    files = made.get("files") if isinstance(made, dict) else None
    if not isinstance(files, dict) or folder.CARD not in files:
        raise UserError(f"{dataset} is not a finished dataset (files.json): save it again with save_dataset.py")
    if outside := [name for name in files if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise UserError(f"{dataset / 'files.json'} names {outside[0]}, which is outside the dataset: save it again")
    for name, expected in files.items():
        if not (dataset / name).is_file() or digest((dataset / name).read_bytes()) != expected:
            raise UserError(f"{dataset / name} is not as it was saved: save the dataset again with save_dataset.py")
    return sorted(files)


def _prompts(run: Account, prompts: Path) -> list[Path]:
    """Return the prompts of the run, each still with the bytes it had."""
    found = {}
    for stage in run.stages:
        for key in ("prompt", "repair_prompt"):
            name, expected = stage.settings.get(key), stage.settings.get(f"{key}_sha256")
            if not isinstance(name, str) or not expected:
                continue
            path = prompts / name
            if not path.is_file() or sha256(read_text(path)) != expected:
                raise UserError(
                    f"{path} is not the prompt of {stage.folder.name}: name the folder of the run's with --prompts"
                )
            found[name] = path
    return list(found.values())


def _export_replies(run: Account, ledger: Path, to: Path) -> int:
    if not ledger.is_file():
        raise UserError(f"ledger {ledger} not found: name another with --ledger")
    first = run.stage("collect")
    if first is None:
        raise UserError("the run's collected chains were not found: leave --ledger out, or publish where they are")
    problems = [sample.problem for sample in read_collected(first.folder / "collected.jsonl")]
    opened = Ledger(ledger, read_only=True)
    try:
        return transfer.export(opened, to, about(problems))
    finally:
        opened.close()


def about(problems: Iterable[str]) -> Callable[[LedgerEntry], bool]:
    """Return whether an entry asks about one of these problems: every request shows the problem of its sample."""
    heads: dict[str, list[str]] = defaultdict(list)
    short: list[str] = []
    for problem in dict.fromkeys(problems):
        heads[problem[:_HEAD]].append(problem) if len(problem) >= _HEAD else short.append(problem)

    def asks(entry: LedgerEntry) -> bool:
        text = "\n".join(content for _, content in json.loads(entry.request)["messages"])
        if any(problem in text for problem in short if problem):
            return True
        windows = (text[at : at + _HEAD] for at in range(len(text) - _HEAD + 1))
        return any(problem in text for window in windows if window in heads for problem in heads[window])

    return asks


def _recipe(run: Account, name: str, replies: int | None) -> str:
    lines = [
        f"# How {name} was made",
        "",
        "By ThreadWeaver's data pipeline, an independent implementation. `settings.json` holds the settings of every",
        "stage in order, `prompts/` the prompts with the digests that the settings name.",
    ]
    if replies is None:
        return "\n".join([*lines, "The model's replies are not part of it.", ""])
    of = {stage.stage: stage.settings for stage in run.stages}
    given = {"SRC_NAME": of["collect"].get("dataset"), "NUM_SAMPLES": of["collect"].get("max_samples")}
    given |= {"TOKENIZER": of["save"].get("tokenizer"), "DATASET_PATH": None, "OFFLINE": 1}
    settings = " ".join(f"{key}={'…' if value is None else value}" for key, value in given.items())
    chains = Path(str(of["collect"].get("input"))).name
    lines += [
        f"`replies.jsonl` holds the model's {replies:,} replies: with them and the same chains (`{chains}`), anyone makes",
        "the dataset again without a key. In a checkout of the pipeline, with this folder as `recipe/`:",
        "",
        "```bash",
        "python src/ledger.py import recipe/replies.jsonl --ledger data/ledger.sqlite",
        f"{settings} ./run.sh",
        "```",
        "",
        "What `settings.json` sets otherwise than the defaults (`./run.sh --help`) has to be set here, too.",
    ]
    return "\n".join([*lines, ""])


def _with_recipe(card: str) -> str:
    return f"{card.rstrip()}\n\n`{RECIPE}/` says how it was made: settings, prompts, and the model's replies if they were published.\n"


def settings_of(dataset: Path, ledger: Path | None) -> Mapping[str, object]:
    """Return what decides the content of a bundle."""
    made = dataset / "files.json"
    return {"bundle": digest(made.read_bytes()) if made.is_file() else None, "replies": ledger is not None}
