#!/usr/bin/env bash
# verl's SFT trainer on this folder's rows: `bash verl.sh [GPUS] [more=settings …]`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
gpus="${1:-8}"
settings=(
  data.train_files=train.parquet
  data.custom_cls.path="$PWD/verl_dataset.py" data.custom_cls.name=TokenizedRows
  data.pad_mode=no_padding data.truncation=error data.max_length={{context}} data.max_token_len_per_gpu={{context}}
  data.train_batch_size=16 data.micro_batch_size_per_gpu=1
  model.path="$PWD/start-model"
  optim.lr=1e-5 trainer.total_epochs=1 trainer.logger=console
  trainer.project_name=threadweaver trainer.experiment_name=sft
)
torchrun --standalone --nproc_per_node "$gpus" -m verl.trainer.sft_trainer "${settings[@]}" "${@:2}"
