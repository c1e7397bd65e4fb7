"""The rows of a `verl` export for verl's SFT trainer: `data.custom_cls.path=…/verl_dataset.py data.custom_cls.name=TokenizedRows`.

verl's own dataset renders every turn alone, and Qwen3's template then drops the whole thinking.
"""

from __future__ import annotations

import pyarrow.parquet as parquet
import torch

IGNORED = -100


class TokenizedRows(torch.utils.data.Dataset):
    """Rows of `input_ids` and `labels`, as they are. A row longer than `data.max_length` is an error."""

    def __init__(self, parquet_files, tokenizer, config, processor=None, max_samples=-1):
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        rows = [row for file in files for row in parquet.read_table(file, columns=["input_ids", "labels"]).to_pylist()]
        self.rows = rows if max_samples < 0 else rows[:max_samples]
        self.max_length, self.padded = config.max_length, str(config.pad_mode).rpartition(".")[2].lower() == "right"
        self.pad_token_id = tokenizer.pad_token_id or 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        ids, labels = (torch.tensor(self.rows[at][name]) for name in ("input_ids", "labels"))
        if len(ids) > self.max_length:
            raise ValueError(f"row {at} has {len(ids)} tokens, data.max_length is {self.max_length}")
        row = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "position_ids": torch.arange(len(ids)),
            "loss_mask": (labels != IGNORED).long(),
        }
        if not self.padded:
            del row["attention_mask"]
            return row
        fills = {"input_ids": self.pad_token_id, "attention_mask": 0, "position_ids": 0, "loss_mask": 0}
        width = self.max_length - len(ids)
        return {name: torch.nn.functional.pad(row[name], (0, width), value=fill) for name, fill in fills.items()}
