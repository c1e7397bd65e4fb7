"""Make the sources in data/sample that show how chains of others are collected: python tests/make_sample_sources.py

They hold the first chains of data/sample/chains.jsonl in the shapes in which public sets come.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"
ROWS = 6


def main() -> None:
    chains = [json.loads(line) for line in (SAMPLE / "chains.jsonl").read_text(encoding="utf-8").splitlines()[:ROWS]]
    parquet.write_table(pa.Table.from_pylist([generations(row) for row in chains]), SAMPLE / "generations.parquet")
    lines = "".join(json.dumps(conversation(row), ensure_ascii=False) + "\n" for row in chains)
    (SAMPLE / "conversations.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    (SAMPLE / "texts").mkdir(exist_ok=True)
    for number, row in enumerate(chains):
        (SAMPLE / "texts" / f"{number}.txt").write_text(row["thinking"] + "\n", encoding="utf-8", newline="")


def generations(row: dict) -> dict:
    """Return a row with two chains, of which the first was cut off, a worked solution and a short answer."""
    whole = f"<think>\n{row['thinking']}\n</think>\n\n{row['output']}"
    return {
        "problem": row["problem"],
        "solution": row["output"],
        "answer": row["solution"],
        "generations": [whole[: len(whole) // 2], whole],
        "is_correct": [False, True],
        "source": "sample",
    }


def conversation(row: dict) -> dict:
    """Return a row whose turns have other names, with tags of their own and an instruction before the problem."""
    said = f"<|begin_of_thought|>\n\n{row['thinking']}\n\n<|end_of_thought|>\n\n"
    said += f"<|begin_of_solution|>\n\n{row['output']}\n\n<|end_of_solution|>"
    asked = f"Return your final response within \\boxed{{}}. {row['problem']}"
    return {"conversations": [{"from": "user", "value": asked}, {"from": "assistant", "value": said}]}


if __name__ == "__main__":
    main()
