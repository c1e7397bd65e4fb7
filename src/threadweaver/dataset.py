"""The training dataset: rows, splits, parquet files and the card."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threadweaver import chat, markup, metrics
from threadweaver.store import Sample, to_json, write_atomic
from threadweaver.tokens import Tokenizer


@dataclass(frozen=True, slots=True)
class Row:
    """One row as trainers read it; `training_length` decides whether it fits and is not saved."""

    columns: Mapping[str, object]
    training_length: int


def build_row(
    sample: Sample, reasoning: str, source: str, tokenizer: Tokenizer | None, *, instruction: str, deepseek: bool = False
) -> Row:
    """The row of a sample with this trajectory. Without a tokenizer the chat columns are left out (length 0)."""
    columns: dict[str, object] = {
        "uuid": sample.uuid,
        "question": sample.problem,
        "response_reasoning": reasoning,
        "response_content": sample.output,
        "correctness": sample.correctness,
        "ground_truth": sample.solution if isinstance(sample.solution, str) else to_json(sample.solution),
        "trajectory_source": source,
    }
    if tokenizer is None:
        return Row(columns, 0)
    turns = chat.messages(sample.problem, reasoning, sample.output, instruction)
    text = chat.render(tokenizer, turns)
    starts = tokenizer.starts(text)
    columns |= {"qwen_text": text, "num_qwen_tokens": len(starts), "raw_messages": turns}
    if deepseek:
        rendered = chat.render_deepseek(turns)
        columns |= {"deepseek_text": rendered, "num_deepseek_tokens": tokenizer.count(rendered)}
    return Row(columns, metrics.measure(markup.parse(text), starts).training_length)


def special_token(sample: Sample, reasoning: str, tokenizer: Tokenizer) -> str | None:
    """A special token of the tokenizer that stands in a text: the template would take it for the end of a turn."""
    tokens = {token for token in tokenizer.hf.all_special_tokens if token not in markup.TAGS}
    return next((token for token in sorted(tokens) for text in (sample.problem, reasoning, sample.output) if token in text), None)


def normalized_problem(problem: str) -> str:
    """What two problems share when they are the same: the instruction, case, white space and punctuation put aside."""
    text = problem.replace(chat.INSTRUCTION, " ").lower()
    return "".join(char for char in text if char.isalnum() or char in "+-*/^=<>")


def split_validation(rows: Sequence[Row], size: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and validation rows; all rows of a problem lie on one side. Validation gets at least `size` rows
    where the problems allow it, and never all of them."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(normalized_problem(str(row.columns["question"])), []).append(row)
    keys = sorted(groups)
    random.Random(seed).shuffle(keys)
    chosen: set[str] = set()
    held = 0
    for key in keys[: max(0, len(keys) - 1)]:
        if held >= size:
            break
        chosen.add(key)
        held += len(groups[key])
    train = [row for row in rows if normalized_problem(str(row.columns["question"])) not in chosen]
    validation = [row for row in rows if normalized_problem(str(row.columns["question"])) in chosen]
    return train, validation


def parquet_bytes(rows: Sequence[Row], repeat: int = 1) -> bytes:
    """A parquet file, the same bytes for the same rows."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = pa.Table.from_pylist([dict(row.columns) for row in rows], schema=_schema(rows, pa))
    out = io.BytesIO()
    parquet.write_table(pa.concat_tables([table] * repeat), out, compression="zstd")
    return out.getvalue()


def _schema(rows: Sequence[Row], pa):
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    kinds = {
        "correctness": pa.bool_(), "num_qwen_tokens": pa.int64(), "num_deepseek_tokens": pa.int64(),
        "raw_messages": pa.list_(turn),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0].columns])


def write(folder: Path, rows: Sequence[Row], card: str, *, split: str = "train", repeat: int = 1) -> None:
    write_atomic(folder / f"{split}.parquet", parquet_bytes(rows, repeat))
    write_atomic(folder / "README.md", card)


def card(name: str, facts: Mapping[str, object], settings: Sequence[Mapping], licence: str | None, source: str) -> str:
    """The dataset card: what it is, from what, under which licence, counts, settings."""
    head = ["---", f"pretty_name: {json.dumps(name)}", "task_categories:", "- text-generation", "tags:", "- reasoning"]
    head += [f"license: {licence}"] if licence else []
    counts = "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in facts.items())
    shown = [{key: value for key, value in item.items() if key not in ("stage", "input", "chains")} for item in settings]
    stages = "\n".join(f"| {item['stage']} | `{to_json(rest)}` |" for item, rest in zip(settings, shown, strict=True))
    return "\n".join(
        [
            *head, "---", "", f"# {name}", "",
            "Multi-threaded reasoning trajectories, made by ThreadWeaver's data generation pipeline from sequential chains",
            "of thought: passages that do not depend on each other are the threads of `<Parallel>` blocks.", "",
            f"- Source of the chains: {source}",
            f"- Licence: {licence or 'not stated; that of the source applies'}",
            "- Columns: `question`, `response_reasoning` (the trajectory), `response_content` (the answer), `ground_truth`,",
            "  `correctness`, `qwen_text` (the chat template's rendering), `num_qwen_tokens` (plain tokenizer),",
            "  `raw_messages`, `trajectory_source`, `uuid`", "",
            "| count | |", "|---|---|", counts, "",
            "Settings of the stages that made it:", "", "| stage | settings |", "|---|---|", stages, "",
        ]
    )
