"""Rows of source datasets in every known schema, for tests of reading, schemas and collecting."""

from __future__ import annotations

import json
from pathlib import Path

CHAIN = "\n\n".join(f"Step {n} is about the number {n * n}, which we add to what we have by now." for n in range(9))


def row(n: int, **extra) -> dict:
    return {
        "problem": f"problem {n}",
        "thinking": f"{CHAIN}\n\nThis was {n}.",
        "solution": str(n),
        "correctness": True,
        "output": f"It is {n}.",
        **extra,
    }


def processed(n: int) -> dict:
    """A row of a processed Polaris parquet."""
    return {
        "question": f"problem {n}",
        "response_reasoning": f"{CHAIN}\n\nThis was {n}.",
        "response_content": f"It is {n}.",
        "qwen_text": "…",
        "num_qwen_tokens": 5,
        "reward_model": {"ground_truth": str(n), "style": "rule"},
        "correctness": True,
    }


def chat(n: int) -> dict:
    return {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": f"problem {n}"},
            {"role": "assistant", "content": f"<think>\n{CHAIN}\n\nThis was {n}.\n</think>\n\nIt is {n}."},
        ],
        "answer": str(n),
        "is_correct": 1,
    }


def jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path
