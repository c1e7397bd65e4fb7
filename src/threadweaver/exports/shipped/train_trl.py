"""Train on an export of `input_ids` and `labels` with TRL: `python train_trl.py START_MODEL OUTPUT`.

TRL leaves such rows as they are: no template, no end token but the row's own, loss where `labels` are not -100.
"""

from __future__ import annotations

import sys
from pathlib import Path

from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

HERE = Path(__file__).resolve().parent


def trainer(model: str, output: str, **changes) -> SFTTrainer:
    """Return the trainer; `changes` are arguments of SFTConfig."""
    files = {
        split: str(HERE / f"{split}.parquet") for split in ("train", "val") if (HERE / f"{split}.parquet").is_file()
    }
    rows = load_dataset("parquet", data_files=files)
    arguments = {
        "max_length": None,  # the default cuts rows at 1,024 tokens
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 16,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 10,
        "num_train_epochs": 1,
        "bf16": True,
        "gradient_checkpointing": True,
        "report_to": "none",
        **changes,
    }
    config = SFTConfig(output_dir=output, **arguments)
    return SFTTrainer(model=model, args=config, train_dataset=rows["train"], eval_dataset=rows.get("val"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    training = trainer(*sys.argv[1:])
    training.train()
    training.save_model()
