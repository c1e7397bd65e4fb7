"""Conversions in their own folder, for tests of outputs, conversion and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

import generated_data_to_training_data_polaris as command
from project import ROOT
from threadweaver.generation.conversion import Chain
from threadweaver.grading import Verdict
from threadweaver.runs.folder import read_account

SAMPLE = ROOT / "data" / "sample"
TOKENIZER = SAMPLE / "tokenizer"


def problems_file(path: Path, rows: list[tuple[str, object]]) -> Path:
    table = [
        {"prompt": [{"role": "user", "content": text}], "reward_model": {"ground_truth": answer, "style": "rule"}}
        for text, answer in rows
    ]
    parquet.write_table(pa.Table.from_pylist(table), path)
    return path


def output(answer: object, thinking: str = "Let me think.") -> str:
    return f"<think>\n{thinking}\n</think>\n\nThe answer is \\boxed{{{answer}}}."


class Run:
    """One conversion in its own folder; `outputs` is the content of --dataset-json."""

    def __init__(self, folder: Path, problems: list[tuple[str, object]], outputs: list[list[str | None]] | None = None):
        self.folder = folder
        self.parquet = problems_file(folder / "problems.parquet", problems)
        self.json = folder / "some-data_1.json"
        if outputs is not None:
            self.json.write_text(json.dumps(outputs))

    def __call__(self, *flags: str, jsons: list[Path] | None = None) -> int:
        return command.main(
            [
                "--dataset-json",
                *map(str, jsons or [self.json]),
                "--polaris-parquet",
                str(self.parquet),
                "--tokenizer",
                str(TOKENIZER),
                "--output-dir",
                str(self.folder / "out"),
                "--workers",
                "1",
                *flags,
            ]
        )

    def lines(self, name: str = "some_data_1_json") -> list[dict]:
        return [
            json.loads(line) for line in (self.folder / "out" / name / "train.jsonl").read_text().split("\n") if line
        ]

    def rows(self, base: str = "some_data_1") -> list[dict]:
        return parquet.read_table(self.folder / "out" / f"{base}_1k" / "train.parquet").to_pylist()

    def reasons(self, base: str = "some_data_1") -> dict[str, str | None]:
        return {entry.id: entry.reason for entry in read_account(self.folder / "out" / f"{base}_account")}


def journal(path: Path, records: list[tuple[int, int, str]]) -> Path:
    keys = ("message_idx", "sample_idx", "result")
    path.write_text("".join(json.dumps(dict(zip(keys, record, strict=True))) + "\n" for record in records))
    return path


def chain(row: int, sample: int = 0, thinking: str = "a", problem: str = "", verdict: str = "correct") -> Chain:
    return Chain(row, sample, problem or f"problem {row}", thinking, "", "1", Verdict(verdict, "exact", True))
