"""Rows of a saved dataset in token ids: found, read one by one, tokenized once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadweaver.corpus import chat, training_rows, training_units
from threadweaver.corpus.readers import SourceRow, read_rows
from threadweaver.corpus.tokenizer import Tokenizer
from threadweaver.errors import UserError
from threadweaver.trajectory import markup

NEEDED = ("question", "response_reasoning", "response_content")
_PLAIN, _HELD_OUT = re.compile(r"sample_\d+"), re.compile(r"val_\d+")


class Unfit(ValueError):
    """A row that cannot be exported: `code` names the reason."""

    def __init__(self, code: str, detail: str):
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row and its one tokenization, the tags as single tokens, cut into its units."""

    dataset: str
    uuid: str
    fields: Mapping[str, object]
    turns: list[dict[str, str]]
    text: str
    begin: int
    """The character of `text` at which the prompt ends and the assistant's turn begins."""
    units: list[training_units.Unit[list[int]]]

    @property
    def ids(self) -> list[int]:
        """The whole row: prompt and assistant's turn, up to its end token."""
        return self.units[-1].context + self.units[-1].continuation

    @property
    def prompt_length(self) -> int:
        return len(self.units[0].context)


def find(path: Path) -> dict[str, Path]:
    """Return the parquet file of each split (`train`, `val`) of a saved dataset; its repeated copies are left aside.

    `path` is the dataset's folder, one of its folders, or a parquet file. Raises UserError if it is none of these.
    """
    if path.is_file() and path.suffix == ".parquet":
        return {"train": path}
    if (path / "train.parquet").is_file():
        return {"train": path / "train.parquet"}
    children = sorted(path.iterdir()) if path.is_dir() else []
    named = {"train": _PLAIN, "val": _HELD_OUT}
    found = {
        split: child / f"{split}.parquet"
        for split, pattern in named.items()
        for child in children
        if pattern.fullmatch(child.name) and (child / f"{split}.parquet").is_file()
    }
    if "train" not in found:
        raise UserError(
            f"{path} is not a saved dataset (no sample_<k>/train.parquet in it): name the folder that save_dataset.py wrote"
        )
    return found


def read(path: Path) -> Iterator[SourceRow]:
    """Yield the rows of a parquet file; raises UserError if it has not the columns of a saved dataset."""
    for row in read_rows(path):
        if row.index == 0 and (missing := [name for name in NEEDED if name not in (row.fields or {})]):
            raise UserError(f"{path} has no column {', '.join(missing)}: name a dataset that save_dataset.py wrote")
        yield row


def encode(dataset: str, fields: Mapping[str, object], tokenizer: Tokenizer) -> Encoded:
    """Return a row of the dataset of this name in token ids; `tokenizer` must have the tags.

    The text is `qwen_text`, which was saved, or is rendered where the dataset has no chat columns. Raises Unfit for a
    row that fork-join inference would not build token for token.
    """
    if any(not isinstance(fields.get(name), str) for name in NEEDED):
        raise Unfit("no_text", f"{', '.join(NEEDED)} are not all text")
    question, reasoning, answer = (str(fields[name]) for name in NEEDED)
    turns = fields.get("raw_messages") or chat.messages(question, reasoning, answer)
    rendered = fields.get("qwen_text") or chat.render(tokenizer, turns)
    text, begin = training_rows.turn_span(rendered, turns, tokenizer)
    try:
        units = training_units.as_ids(text, begin, tokenizer)
    except markup.MarkupError as error:
        raise Unfit(error.code, str(error)) from None
    except training_units.UnitError as error:
        raise Unfit("tokens_merge", str(error)) from None
    return Encoded(dataset, str(fields.get("uuid") or ""), fields, turns, text, begin, units)


def check_tokenizer(fields: Mapping[str, object], plain: Tokenizer) -> None:
    """Raise UserError if the dataset was saved with another tokenizer: its own count of a row's tokens differs."""
    counted, text = fields.get("num_qwen_tokens"), fields.get("qwen_text")
    if isinstance(counted, int) and isinstance(text, str) and plain.count(text) != counted:
        raise UserError(
            f"the dataset was saved with another tokenizer than {plain.name} ({counted} tokens in its first row, "
            f"{plain.count(text)} with this one): name that one with --tokenizer"
        )
