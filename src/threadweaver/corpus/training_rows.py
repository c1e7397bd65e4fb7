"""The training dataset: rows, the units they are trained as, splits, parquet files and the card."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from threadweaver.corpus import chat, training_units
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError
from threadweaver.files import to_json, write_atomic, write_parquet
from threadweaver.samples import Sample
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure


@dataclass(frozen=True, slots=True)
class Row:
    """One row as trainers read it; `training_length` decides whether it fits and is not saved."""

    columns: Mapping[str, object]
    training_length: int


def build_row(
    sample: Sample,
    reasoning: str,
    source: str,
    tokenizer: Tokenizer | None,
    *,
    instruction: str,
    deepseek: bool = False,
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
    return Row(columns, measure(markup.parse(text), starts).training_length)


def special_token(sample: Sample, reasoning: str, tokenizer: Tokenizer) -> str | None:
    """A special token of the tokenizer that stands in a text: the template would take it for the end of a turn."""
    tokens = {token for token in tokenizer.hf.all_special_tokens if token not in markup.TAGS}
    return next(
        (token for token in sorted(tokens) for text in (sample.problem, reasoning, sample.output) if token in text),
        None,
    )


def turn_span(text: str, turns: Sequence[dict], tokenizer: Tokenizer) -> tuple[str, int]:
    """A rendering without what the template writes behind the end of the assistant's turn (nobody decodes that),
    and where in it the prompt ends that generation sends.

    Raises UserError when the rendering does not begin with that prompt.
    """
    prompt = tokenizer.chat(turns[:1], add_generation_prompt=True)
    if not text.startswith(prompt):
        raise UserError(
            f"the chat template of {tokenizer.name} renders a question otherwise in training than for generating: "
            "units cannot be made with it; name another --tokenizer, or leave --units out"
        )
    whole = text.rstrip()
    return (whole if whole.endswith(tuple(tokenizer.hf.all_special_tokens)) else text), len(prompt)


def unit_rows(row: Row, tokenizer: Tokenizer) -> list[dict[str, object]]:
    """The units of a row as they are saved: text, and counts of tokens with each tag as one token.

    `tokenizer` has the tags. Raises UserError when the row is not what fork-join inference would build, token for
    token.
    """
    columns = row.columns
    text, begin = turn_span(str(columns["qwen_text"]), columns["raw_messages"], tokenizer)
    try:
        pairs = zip(training_units.as_text(text, begin), training_units.as_ids(text, begin, tokenizer), strict=True)
        return [
            {
                "uuid": columns["uuid"],
                "unit": number,
                "kind": unit.kind,
                "block": unit.block,
                "thread": unit.thread,
                "context": unit.context,
                "continuation": unit.continuation,
                "num_context_tokens": len(ids.context),
                "num_continuation_tokens": len(ids.continuation),
            }
            for number, (unit, ids) in enumerate(pairs)
        ]
    except (markup.MarkupError, training_units.UnitError) as error:
        raise UserError(
            f"no units can be made of {columns['uuid']} ({error}): put its trajectory through stage 5, or leave --units out"
        ) from None


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

    table = pa.Table.from_pylist([dict(row.columns) for row in rows], schema=_schema(rows, pa))
    out = io.BytesIO()
    write_parquet(out, table.schema, [pa.concat_tables([table] * repeat)])
    return out.getvalue()


ROWS_A_GROUP = 256
"""A unit's context is all that stands before it: so many units of 15,000 tokens are about 15 MB of text."""


def unit_parquet_bytes(rows: Iterable[Mapping[str, object]]) -> tuple[bytes, int]:
    """A parquet file of units and their number. It is built group by group: contexts repeat one another, and compress
    to a fraction of what they are in memory."""
    import pyarrow as pa

    numbers = ("unit", "block", "thread", "num_context_tokens", "num_continuation_tokens")
    texts = ("uuid", "kind", "context", "continuation")
    columns = ("uuid", "unit", "kind", "block", "thread", "context", "continuation", *numbers[3:])
    schema = pa.schema([(name, pa.string() if name in texts else pa.int64()) for name in columns])
    out, rows = io.BytesIO(), iter(rows)
    groups = iter(lambda: list(islice(rows, ROWS_A_GROUP)), [])
    tables = (pa.Table.from_pylist(group, schema=schema) for group in groups)
    count = write_parquet(out, schema, tables, use_dictionary=["uuid", "kind"])
    return out.getvalue(), count


def _schema(rows: Sequence[Row], pa):
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    kinds = {
        "correctness": pa.bool_(),
        "num_qwen_tokens": pa.int64(),
        "num_deepseek_tokens": pa.int64(),
        "raw_messages": pa.list_(turn),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0].columns])


def write(folder: Path, rows: Sequence[Row], card: str, *, split: str = "train", repeat: int = 1) -> None:
    write_atomic(folder / f"{split}.parquet", parquet_bytes(rows, repeat))
    write_atomic(folder / "README.md", card)


def write_units(
    output: Path, prefix: str, rows: Iterable[Mapping[str, object]], name: str, facts: Mapping, *, split: str
) -> None:
    """Write `<prefix>_<number of units>/<split>.parquet` and its card."""
    data, count = unit_parquet_bytes(rows)
    folder = output / f"{prefix}_{count}"
    write_atomic(folder / f"{split}.parquet", data)
    write_atomic(folder / "README.md", unit_card(name, {"units": count, **facts}))


def unit_card(name: str, facts: Mapping[str, object]) -> str:
    """The card of the units."""
    counts = "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in facts.items())
    return "\n".join(
        [
            "---",
            f"pretty_name: {json.dumps(name)}",
            "task_categories:",
            "- text-generation",
            "tags:",
            "- reasoning",
            "---",
            "",
            f"# {name}",
            "",
            "The trajectories of the dataset beside it as pairs `<context, continuation>`: each is one request of fork-join",
            "generation and what the model decodes for it. Train on the continuation, behind the context, with the ten markup",
            "tags as single tokens: the tokens of the two, encoded apart or together, are then those of the row and of inference.",
            "",
            "- `kind`: `outlines` (up to `</Outlines>`), `thread` (up to `</Thread>`), `end` (to the end of the turn)",
            "- `uuid`, `unit`: the row and the unit's number in it, from 0; `block` and `thread` count from 1, 0 for none",
            "- `context`: all that stands before it, chat template included; siblings do not see each other, what follows a",
            "  block sees all its threads in order",
            "- `num_context_tokens`, `num_continuation_tokens`: each tag counted as one token",
            "",
            "| count | |",
            "|---|---|",
            counts,
            "",
        ]
    )


def card(name: str, facts: Mapping[str, object], settings: Sequence[Mapping], licence: str | None, source: str) -> str:
    """The dataset card: what it is, from what, under which licence, counts, settings."""
    head = ["---", f"pretty_name: {json.dumps(name)}", "task_categories:", "- text-generation", "tags:", "- reasoning"]
    head += [f"license: {licence}"] if licence else []
    counts = "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in facts.items())
    shown = [
        {key: value for key, value in item.items() if key not in ("stage", "input", "chains")} for item in settings
    ]
    stages = "\n".join(f"| {item['stage']} | `{to_json(rest)}` |" for item, rest in zip(settings, shown, strict=True))
    return "\n".join(
        [
            *head,
            "---",
            "",
            f"# {name}",
            "",
            "Multi-threaded reasoning trajectories, made by ThreadWeaver's data generation pipeline from sequential chains",
            "of thought: passages that do not depend on each other are the threads of `<Parallel>` blocks.",
            "",
            f"- Source of the chains: {source}",
            f"- Licence: {licence or 'not stated; that of the source applies'}",
            "- Columns: `question`, `response_reasoning` (the trajectory), `response_content` (the answer), `ground_truth`,",
            "  `correctness`, `qwen_text` (the chat template's rendering), `num_qwen_tokens` (plain tokenizer),",
            "  `raw_messages`, `trajectory_source`, `uuid`",
            "",
            "| count | |",
            "|---|---|",
            counts,
            "",
            "Settings of the stages that made it:",
            "",
            "| stage | settings |",
            "|---|---|",
            stages,
            "",
        ]
    )
