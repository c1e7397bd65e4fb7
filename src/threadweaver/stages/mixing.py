"""Mix the rows of an earlier dataset into a new one: a round of self-training is trained on together with the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from threadweaver.errors import UserError
from threadweaver.files import digest_file, read_json
from threadweaver.runs.folder import SETTINGS_FILE

_PLAIN = re.compile(r"sample_\d+")
"""The folder of the rows themselves, not of the repeated ones."""


def rows_file(dataset: Path) -> Path:
    """Return the parquet file with the training rows of a saved dataset; raises UserError if there is not one."""
    found = [path for path in dataset.glob("sample_*/train.parquet") if _PLAIN.fullmatch(path.parent.name)]
    if len(found) != 1:
        raise UserError(f"{dataset} is not a saved dataset (sample_<k>/train.parquet): name another with --mix")
    return found[0]


def setting_of(datasets: Sequence[Path]) -> list[str]:
    """Return what identifies the datasets in the settings of the new one."""
    return [f"{dataset.name} {digest_file(rows_file(dataset))}" for dataset in datasets]


def rows_of(dataset: Path, columns: Sequence[str], tokenizer: str) -> Iterator[Mapping[str, object]]:
    """Yield the rows of an earlier dataset. Raises UserError if it has other columns or was made for another tokenizer."""
    from pyarrow import parquet

    settings = read_json(dataset / SETTINGS_FILE) if (dataset / SETTINGS_FILE).is_file() else {}
    other = settings.get("tokenizer") if isinstance(settings, dict) else None
    if other != tokenizer:
        raise UserError(
            f"{dataset} was made for the tokenizer {other}, this one is for {tokenizer}: save it again with it"
        )
    with parquet.ParquetFile(rows_file(dataset)) as file:
        if missing := [name for name in columns if name not in file.schema_arrow.names]:
            raise UserError(f"{dataset} has no column {missing[0]}: save it again, with the flags of this one")
        for number in range(file.num_row_groups):
            yield from file.read_row_group(number, columns=list(columns)).to_pylist()
