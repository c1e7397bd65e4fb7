"""What each trainer reads: its columns, how they follow from an encoded row, and the files that go with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threadweaver.corpus import training_rows
from threadweaver.exports import tree
from threadweaver.exports.rows import Encoded, Unfit

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Export:
    """A form of export. `rows` yields the rows of one row of the dataset, each with its length in tokens."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Callable[[Encoded], Iterator[tuple[Row, int]]]
    shipped: tuple[str, ...] = ()
    """Files of `shipped/` that are copied into the folder."""


_PAIR = ("input_ids", "labels")
_SEGMENTS = ("segment_start", "segment_end", "segment_parent", "segment_fork")
_NUMBERS = (*_PAIR, "attention_mask", "position_ids", *_SEGMENTS)


def schema(export: Export) -> pyarrow.Schema:
    """Return the parquet schema of an export."""
    import pyarrow as pa

    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {name: pa.list_(pa.int32()) for name in _NUMBERS} | {
        "prompt": pa.list_(turn),
        "reward_model": pa.struct([("ground_truth", pa.string()), ("style", pa.string())]),
        "extra_info": pa.struct([("uuid", pa.string())]),
    }
    return training_rows.schema(export.columns, **{name: types[name] for name in export.columns if name in types})


def whole(row: Encoded) -> Iterator[tuple[Row, int]]:
    """The row as one sequence, trained on the assistant's turn."""
    ids = row.ids
    labels = [tree.IGNORED] * row.prompt_length + ids[row.prompt_length :]
    yield {"input_ids": ids, "labels": labels, "attention_mask": [1] * len(ids)}, len(ids)


def units(row: Encoded) -> Iterator[tuple[Row, int]]:
    """One sequence per request of fork-join inference, trained on what the model decodes for it."""
    for number, unit in enumerate(row.units):
        ids = unit.context + unit.continuation
        labels = [tree.IGNORED] * len(unit.context) + unit.continuation
        names = {"uuid": row.uuid, "unit": number, "kind": unit.kind, "block": unit.block, "thread": unit.thread}
        yield names | {"input_ids": ids, "labels": labels}, len(ids)


def packed(row: Encoded) -> Iterator[tuple[Row, int]]:
    """The tree of the row's contexts as one sequence."""
    found = tree.build(row.units)
    yield {"uuid": row.uuid} | tree.columns(found), len(found.ids)


def rendered(row: Encoded) -> Iterator[tuple[Row, int]]:
    """The row as text: the prompt as the chat template renders it, and the assistant's turn with its end token."""
    yield {"context": row.text[: row.begin], "continuation": row.text[row.begin :]}, len(row.ids)


def problems(row: Encoded) -> Iterator[tuple[Row, int]]:
    """The problem with its reference answer, for reinforcement learning, and the rendered row beside it."""
    answer = row.fields.get("ground_truth")
    if not isinstance(answer, str) or not answer.strip():
        raise Unfit("no_ground_truth", "no reference answer: nothing to reward")
    yield (
        {
            "data_source": row.dataset,
            "prompt": row.turns[:1],
            "ability": "math",
            "reward_model": {"ground_truth": answer, "style": "rule"},
            "extra_info": {"uuid": row.uuid},
            "qwen_text": row.text,
        },
        len(row.ids),
    )


MODEL = "prepare_model.py"
EXPORTS: Mapping[str, Export] = {
    export.name: export
    for export in (
        Export("trl", "rows in token ids for TRL", _PAIR, whole, (MODEL, "train_trl.py")),
        Export(
            "axolotl",
            "rows in token ids for axolotl",
            ("input_ids", "attention_mask", "labels"),
            whole,
            (MODEL, "axolotl.yaml"),
        ),
        Export(
            "llama-factory",
            "rendered rows for LLaMA-Factory",
            ("context", "continuation"),
            rendered,
            (MODEL, "llama_factory.yaml"),
        ),
        Export("verl", "rows in token ids for verl's SFT trainer", _PAIR, whole, (MODEL, "verl_dataset.py", "verl.sh")),
        Export(
            "verl-rl",
            "problems and reference answers for verl's RL trainers",
            ("data_source", "prompt", "ability", "reward_model", "extra_info", "qwen_text"),
            problems,
            ("verl_reward.py",),
        ),
        Export(
            "openrlhf",
            "training units in token ids for OpenRLHF",
            _PAIR,
            units,
            (MODEL, "openrlhf_units.py", "openrlhf.sh"),
        ),
        Export(
            "units",
            "training units in token ids",
            ("uuid", "unit", "kind", "block", "thread", *_PAIR),
            units,
            (MODEL, "train_trl.py"),
        ),
        Export(
            "tree",
            "trees of contexts in token ids",
            ("uuid", "input_ids", "position_ids", "labels", *_SEGMENTS),
            packed,
            (MODEL, "tree_reader.py"),
        ),
    )
}


def dataset_info(splits: Mapping[str, str]) -> str:
    """Return LLaMA-Factory's `dataset_info.json`: which columns of which file it reads."""
    columns = {"prompt": "context", "response": "continuation"}
    info = {
        f"threadweaver_{split}": {"file_name": file, "formatting": "alpaca", "columns": columns}
        for split, file in splits.items()
    }
    return json.dumps(info, indent=1) + "\n"
