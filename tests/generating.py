"""What the tests of generation share: a project with four problems, the fake engine, and the command."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from fake_engine import FakeEngine, Improviser
from project import ROOT
from threadweaver.corpus.tokenizer import load_tokenizer
from threadweaver.trajectory import markup

MODEL = str(ROOT / "data" / "sample" / "tokenizer")
TOKENIZER = load_tokenizer(MODEL)
TRAJECTORY = (
    "<think>\nTwo ways to see it.\n\n"
    + markup.write_block(["Count $a_1$ by cases: 3.", "Sum the “rest”:\n\n4 + 5 = 9"], ["by cases", "the rest"])
    + "\n\nSo 12. Check:\n"
    + markup.write_block(["x = 1", "1. y\n2. z", "Größe über 7"], ["x", "y and z", "size"], "All agree.")
    + "\nGood.\n</think>\n\nThe answer is \\boxed{12}."
)
command = importlib.import_module("generate_trajectories")


PROBLEMS = [
    ("What is 1 + 1?", "2"),
    ("What is 3? Let's think step by step and output the final answer within \\boxed{}.", 3.0),
    ("Name a small number.", ["1", "2"]),
    ("No reference here.", ""),
]


def rows(problems) -> list[dict]:
    return [
        {"prompt": [{"role": "user", "content": text}], "reward_model": {"ground_truth": str(truth), "style": "rule"}}
        for text, truth in problems
    ]


def project_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with the problems as data/few.parquet; it is the working directory."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("threadweaver.generation.engine.PROBES", (0.05, 0.1))
    write(folder / "data" / "few.parquet", rows(PROBLEMS))
    return folder


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def engine(**options) -> FakeEngine:
    return FakeEngine(options.pop("model", None) or Improviser(TOKENIZER), TOKENIZER, **({"name": MODEL} | options))


def generate(*urls: str, **flags) -> int:
    """Run the command; `flags` by name, True for those without a value."""
    words = ["--model_name", MODEL, "--data-type", "few", *(word for url in urls for word in ("--base-url", url))]
    for name, value in flags.items():
        words += [f"--{name}" if len(name) > 1 else f"-{name}", *([] if value is True else [str(value)])]
    return command.main(words)


def folder(suffix: str = "") -> Path:
    return Path("data") / f"tokenizer{suffix}"


def journal(stem: str, suffix: str = "") -> list[dict]:
    return [json.loads(line) for line in (folder(suffix) / f"{stem}.jsonl").read_text().split("\n")[:-1]]


def facts_of(stem: str) -> list[dict]:
    """Return the facts of every sample; the last line of a sample counts."""
    return [json.loads(line) for line in (folder() / f"{stem}.facts.jsonl").read_text().split("\n")[:-1]]


def final(stem: str, suffix: str = "") -> list[list[str]]:
    return json.loads((folder(suffix) / f"{stem}.json").read_text())
