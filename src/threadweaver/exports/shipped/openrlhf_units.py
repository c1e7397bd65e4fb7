"""The pairs of an `openrlhf` export for OpenRLHF: run this file with the flags of `openrlhf.cli.train_sft`.

OpenRLHF's own dataset appends an end token to each pair; a thread would learn to end the whole turn.
"""

from __future__ import annotations

import runpy

import torch

IGNORED = -100


class TokenizedPairs(torch.utils.data.Dataset):
    """Pairs of `input_ids` and `labels`, as they are; built and batched like OpenRLHF's SFTDataset.

    A pair longer than `--data.max_len` is an error. In its loss mask, a token stands for the one that follows it.
    """

    def __init__(self, dataset, tokenizer, max_length, strategy, **_options):
        self.rows, self.pad_token_id = dataset, tokenizer.pad_token_id or 0
        longest = max(map(len, dataset["input_ids"]))
        if longest > max_length:
            raise ValueError(f"the longest pair has {longest} tokens, --data.max_len is {max_length}")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        ids, labels = (torch.tensor([self.rows[at][name]]) for name in ("input_ids", "labels"))
        loss_mask = torch.zeros(ids.shape)
        loss_mask[:, :-1] = (labels[:, 1:] != IGNORED).float()
        return ids, torch.ones_like(ids), loss_mask

    def collate_fn(self, items) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        width = max(ids.shape[1] for ids, _, _ in items)
        fills = (self.pad_token_id, 0, 0)

        def column(tensors, fill):
            return torch.cat([torch.nn.functional.pad(one, (0, width - one.shape[1]), value=fill) for one in tensors])

        return tuple(column(tensors, fill) for tensors, fill in zip(zip(*items, strict=True), fills, strict=True))


if __name__ == "__main__":
    import openrlhf.datasets

    openrlhf.datasets.SFTDataset = TokenizedPairs
    runpy.run_module("openrlhf.cli.train_sft", run_name="__main__")
