"""The training dataset: rows and their units, splits, parquet files and cards."""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from threadweaver.corpus import chat, training_units
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError, setting
from threadweaver.files import ROWS_PER_GROUP, atomic_file, row_groups, to_json, write_atomic, write_parquet
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


def special_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return the special tokens of a tokenizer that a text must not contain."""
    return tuple(sorted({token for token in tokenizer.hf.all_special_tokens if token not in markup.TAGS}))


def special_token(texts: Iterable[str], tokens: Iterable[str]) -> str | None:
    """Return the first of these tokens that is in one of the texts: it would end a turn in the wrong place."""
    texts = tuple(texts)
    return next((token for token in tokens if any(token in text for text in texts)), None)


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


def split_validation(problems: Sequence[str], size: int, seed: int) -> list[bool]:
    """Return which rows are held out, given their problems, normalized: all rows of a problem are on the same side.

    Validation gets at least `size` rows where the problems allow it, and never all problems.
    """
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
    return [key in chosen for key in problems]


def tables_of(rows: Sequence[Row], repeat: int = 1) -> Iterator[pyarrow.Table]:
    """Yield the rows, `repeat` times over, as tables for `write`."""
    for _ in range(repeat):
        yield from row_groups((dict(row.columns) for row in rows), schema(rows[0].columns))


class Spool:
    """Rows in a parquet file of their own, written as they come, until it is known which of them go where."""

    def __init__(self, path: Path):
        self.path, self.count = path, 0
        self.columns: tuple[str, ...] = ()
        self._rows: list[Mapping[str, object]] = []
        self._writer = None

    def add(self, columns: Mapping[str, object]) -> None:
        self.columns = self.columns or tuple(columns)
        self._rows.append(columns)
        self.count += 1
        if len(self._rows) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        if self._rows:
            kinds = schema(self._rows[0])
            self._writer = self._writer or parquet.ParquetWriter(self.path, kinds, compression="zstd")
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=kinds))
            self._rows.clear()

    def close(self) -> None:
        """Write what is left; the rows can then be read."""
        self._flush()
        if self._writer:
            self._writer.close()
            self._writer = None

    def discard(self) -> None:
        """Remove the file, whatever became of it."""
        writer, self._writer = self._writer, None
        with contextlib.suppress(OSError, ValueError):  # it could not be written, as on a full disk
            if writer:
                writer.close()
        self.path.unlink(missing_ok=True)

    def tables(self, keep: Sequence[bool], repeat: int = 1) -> Iterator[pyarrow.Table]:
        """Yield the rows to keep, `repeat` times over, in groups of the usual size."""
        for _ in range(repeat):
            yield from self._groups(keep)

    def rows(self, keep: Sequence[bool]) -> Iterator[Mapping[str, object]]:
        return (row for table in self._groups(keep) for row in table.to_pylist())

    def _groups(self, keep: Sequence[bool]) -> Iterator[pyarrow.Table]:
        import pyarrow as pa
        from pyarrow import parquet

        held, first = None, 0
        with parquet.ParquetFile(self.path) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number)
                chosen = table.filter(pa.array(keep[first : first + table.num_rows]))
                first += table.num_rows
                held = chosen if held is None else pa.concat_tables([held, chosen])
                while held.num_rows >= ROWS_PER_GROUP:
                    yield held.slice(0, ROWS_PER_GROUP).combine_chunks()
                    held = held.slice(ROWS_PER_GROUP)
        if held is not None and held.num_rows:
            yield held.combine_chunks()


UNIT_COLUMNS = "uuid unit kind block thread context continuation num_context_tokens num_continuation_tokens".split()
UNITS_PER_GROUP = 256
"""A unit's context is everything before it: 256 units of 15,000 tokens are about 15 MB of text. Contexts repeat one
another, and compress the better the more of them are in a group."""


def write(folder: Path, tables: Iterable[pyarrow.Table], card: str, *, split: str = "train") -> Path:
    """Write `<split>.parquet` with the rows of at least one table, each a row group, and the card; return the parquet
    file."""
    path, tables = folder / f"{split}.parquet", iter(tables)
    first = next(tables)
    with atomic_file(path) as out:
        write_parquet(out, first.schema, chain([first], tables))
    write_atomic(folder / "README.md", card)
    return path


def write_unit_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    """Write units to a parquet file, group by group, and return their number."""
    kinds = schema(UNIT_COLUMNS)
    with atomic_file(path) as out:
        return write_parquet(out, kinds, row_groups(rows, kinds, UNITS_PER_GROUP), use_dictionary=["uuid", "kind"])


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
    part = output / f".{prefix}.part"
    count = write_unit_rows(part, rows)
    folder = output / f"{prefix}_{count}"
    folder.mkdir(exist_ok=True)
    os.replace(part, folder / f"{split}.parquet")
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
