"""The training dataset: rows and their units, splits, parquet files and cards."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from threadweaver.corpus import chat, training_units
from threadweaver.corpus.duplicates import normalized_problem
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError, setting
from threadweaver.files import to_json, write_atomic, write_parquet
from threadweaver.samples import Sample
from threadweaver.trajectory import markup
from threadweaver.trajectory.measures import measure

if TYPE_CHECKING:
    import pyarrow

_COUNTS = "num_qwen_tokens num_deepseek_tokens num_context_tokens num_continuation_tokens"
COLUMN_TYPES = {
    **dict.fromkeys(("correctness", "correct", "correct_rl"), "bool"),
    **dict.fromkeys((*_COUNTS.split(), "message_idx", "sample_idx", "unit", "block", "thread"), "int64"),
}
"""Of all parquet files written here and by the conversion; `raw_messages` is a list of turns, all others are strings."""


def schema(columns: Iterable[str], **others: pyarrow.DataType) -> pyarrow.Schema:
    """Return the parquet schema of these columns; `others` overrides the declared type of a column."""
    import pyarrow as pa

    types = {"raw_messages": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))} | others
    return pa.schema([(name, types.get(name) or COLUMN_TYPES.get(name, "string")) for name in columns])


@dataclass(frozen=True, slots=True)
class Row:
    """One row as trainers read it. `training_length`, in tokens, is not saved: it decides whether the row fits."""

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
    blocks: Mapping[str, object] | None = None,
) -> Row:
    """Return the row of a sample with this trajectory; without a tokenizer it has no chat columns and length 0."""
    columns: dict[str, object] = {
        "uuid": sample.uuid,
        "question": sample.problem,
        "response_reasoning": reasoning,
        "response_content": sample.output,
        "correctness": sample.correctness,
        "graded": sample.extra.get("graded"),
        "ground_truth": sample.solution if isinstance(sample.solution, str) else to_json(sample.solution),
        "trajectory_source": source,
        **{name: to_json(value) for name, value in (blocks or {}).items()},
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
    """Return a special token of the tokenizer found in one of the texts: it would end a turn in the wrong place."""
    tokens = {token for token in tokenizer.hf.all_special_tokens if token not in markup.TAGS}
    return next(
        (token for token in sorted(tokens) for text in (sample.problem, reasoning, sample.output) if token in text),
        None,
    )


def turn_span(text: str, turns: Sequence[dict], tokenizer: Tokenizer) -> tuple[str, int]:
    """Return a rendering up to the end of the assistant's turn, and the character at which its prompt ends.

    What the template writes after the assistant's turn is never decoded. The prompt is the one that generation sends;
    raises UserError when the rendering does not begin with it.
    """
    prompt = tokenizer.chat(turns[:1], add_generation_prompt=True)
    if not text.startswith(prompt):
        raise UserError(
            f"the chat template of {tokenizer.name} renders a question differently for training and for generation: "
            f"units cannot be made with it; name another {setting('--tokenizer', 'TOKENIZER')}, or leave --units out"
        )
    whole = text.rstrip()
    return (whole if whole.endswith(tuple(tokenizer.hf.all_special_tokens)) else text), len(prompt)


def unit_rows(row: Row, tokenizer: Tokenizer) -> list[dict[str, object]]:
    """Return the units of a row as saved: text, and counts of tokens with each tag as one token.

    `tokenizer` must have the tags. Raises UserError when the row is not, token for token, what fork-join inference would
    build.
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


def split_validation(rows: Sequence[Row], size: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Return training and validation rows, with all rows of a problem on the same side.

    Validation gets at least `size` rows where the problems allow it, and never all problems.
    """
    problems = [normalized_problem(str(row.columns["question"])) for row in rows]
    counts = Counter(problems)
    keys = sorted(counts)
    random.Random(seed).shuffle(keys)
    chosen: set[str] = set()
    held_out = 0
    for key in keys[:-1]:
        if held_out >= size:
            break
        chosen.add(key)
        held_out += counts[key]
    sides = list(zip(problems, rows, strict=True))
    return [row for key, row in sides if key not in chosen], [row for key, row in sides if key in chosen]


def parquet_bytes(rows: Sequence[Row], repeat: int = 1) -> bytes:
    """Return a parquet file of the rows, `repeat` times over; the same rows give the same bytes."""
    import pyarrow as pa

    table = pa.Table.from_pylist([dict(row.columns) for row in rows], schema=schema(rows[0].columns))
    out = io.BytesIO()
    write_parquet(out, table.schema, [pa.concat_tables([table] * repeat)])
    return out.getvalue()


UNIT_COLUMNS = "uuid unit kind block thread context continuation num_context_tokens num_continuation_tokens".split()
ROWS_PER_GROUP = 256
"""A unit's context is everything before it: 256 units of 15,000 tokens are about 15 MB of text."""


def unit_parquet_bytes(rows: Iterable[Mapping[str, object]]) -> tuple[bytes, int]:
    """Return a parquet file of units and their number.

    It is built group by group: contexts repeat one another and compress to a fraction of their size in memory.
    """
    import pyarrow as pa

    kinds, out, rows = schema(UNIT_COLUMNS), io.BytesIO(), iter(rows)
    groups = iter(lambda: list(islice(rows, ROWS_PER_GROUP)), [])
    tables = (pa.Table.from_pylist(group, schema=kinds) for group in groups)
    count = write_parquet(out, kinds, tables, use_dictionary=["uuid", "kind"])
    return out.getvalue(), count


def write(folder: Path, rows: Sequence[Row], card: str, *, split: str = "train", repeat: int = 1) -> Path:
    """Write `<split>.parquet` with the rows, `repeat` times over, and the card; return the parquet file."""
    path = folder / f"{split}.parquet"
    write_atomic(path, parquet_bytes(rows, repeat))
    write_atomic(folder / "README.md", card)
    return path


def write_units(
    output: Path,
    prefix: str,
    rows: Iterable[Mapping[str, object]],
    name: str,
    facts: Mapping,
    licence: str | None,
    source: str,
    *,
    split: str,
) -> Path:
    """Write `<prefix>_<number of units>/<split>.parquet` and its card; return the parquet file."""
    data, count = unit_parquet_bytes(rows)
    folder = output / f"{prefix}_{count}"
    write_atomic(folder / f"{split}.parquet", data)
    write_atomic(folder / "README.md", unit_card(name, {"units": count, **facts}, licence, source))
    return folder / f"{split}.parquet"


CONFIGURATIONS = {
    "sample": "the rows for training",
    "repeated": "the same rows several times over",
    "val": "rows held out: no problem of them is in the others",
    "units": "the rows for training as pairs `<context, continuation>`",
    "val_units": "the rows held out as pairs",
}


def top_card(name: str, files: Mapping[str, str], licence: str | None, source: str) -> str:
    """Return the card of a dataset's folder: its configurations, so that loading the folder gives one set and never
    a mixture; `files` has the parquet file of each configuration that there is, the default one first."""
    configs = ["configs:"]
    for number, (config, path) in enumerate(files.items()):
        split = "validation" if config.startswith("val") else "train"
        configs += [f"- config_name: {config}", *(["  default: true"] if number == 0 else [])]
        configs += ["  data_files:", f"  - split: {split}", f"    path: {json.dumps(path)}"]
    table = "\n".join(f"| `{config}` | `{path}` | {CONFIGURATIONS[config]} |" for config, path in files.items())
    return f"""{_front_matter(name, licence, configs)}
Multi-threaded reasoning trajectories. Each configuration has its own card beside its file;
`datasets.load_dataset` with this folder loads `{next(iter(files))}`, with a name as second argument another one.

{_origin(licence, source)}

| configuration | file | rows |
|---|---|---|
{table}
"""


def unit_card(name: str, facts: Mapping[str, object], licence: str | None, source: str) -> str:
    """Return the card of a dataset of units."""
    return f"""{_front_matter(name, licence)}
The trajectories of the dataset next to it as pairs `<context, continuation>`: each is one request of fork-join
generation and what the model decodes for it. Train on the continuation, after the context, with the ten markup
tags as single tokens: the tokens of the two, encoded apart or together, are then those of the row and of inference.

{_origin(licence, source)}
- `kind`: `outlines` (up to `</Outlines>`), `thread` (up to `</Thread>`), `end` (to the end of the turn)
- `uuid`, `unit`: the row and the unit's number in it, from 0; `block` and `thread` count from 1, 0 for none
- `context`: everything before it, chat template included; siblings do not see each other, and what follows a
  block sees all its threads in order
- `num_context_tokens`, `num_continuation_tokens`: each tag counted as one token

{_counts(facts)}
"""


def card(name: str, facts: Mapping[str, object], settings: Sequence[Mapping], licence: str | None, source: str) -> str:
    """Return the dataset card: what it is, from what source, under which licence, counts, settings."""
    hidden = ("stage", "input", "chains")
    shown = [(item["stage"], {key: value for key, value in item.items() if key not in hidden}) for item in settings]
    stages = "\n".join(f"| {stage} | `{to_json(rest)}` |" for stage, rest in shown)
    return f"""{_front_matter(name, licence)}
Multi-threaded reasoning trajectories, made from sequential chains of thought by an independent implementation of
ThreadWeaver's data pipeline (arXiv 2512.07843): passages that do not depend on each other are the threads of
`<Parallel>` blocks.

{_origin(licence, source)}
- Columns: `question`, `response_reasoning` (the trajectory), `response_content` (the answer), `ground_truth`,
  `correctness`, `qwen_text` (the chat template's rendering), `num_qwen_tokens` (plain tokenizer),
  `raw_messages`, `trajectory_source`, `uuid`, where known `block_kinds` and `independence` (JSON, one item a block)

{_counts(facts)}

Settings of the stages that made it{_MODEL_NOTE if any("model" in rest for _, rest in shown) else ""}:

| stage | settings |
|---|---|
{stages}
"""


_MODEL_NOTE = " (`model` is the one that the requests name; replies can also have been imported)"


def _origin(licence: str | None, source: str) -> str:
    return f"""- Source of the chains: {source}
- Licence: {licence or "not stated; that of the source applies"}"""


def _front_matter(name: str, licence: str | None, more: Sequence[str] = ()) -> str:
    lines = ["---", f"pretty_name: {json.dumps(name)}", "task_categories:", "- text-generation", "tags:", "- reasoning"]
    lines += [f"license: {json.dumps(licence)}"] if licence else []
    lines += more
    return "\n".join([*lines, "---", "", f"# {name}", ""])


def _counts(facts: Mapping[str, object]) -> str:
    rows = [f"| {key.replace('_', ' ')} | {value} |" for key, value in facts.items()]
    return "\n".join(["| count | |", "|---|---|", *rows])
