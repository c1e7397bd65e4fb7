#!/usr/bin/env bash
# OpenRLHF's SFT trainer on this folder's pairs: `bash openrlhf.sh [more flags …]`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
flags=(
  --model.model_name_or_path ./start-model
  --data.dataset ./train.parquet --data.max_len {{context}}
  --train.batch_size 128 --train.micro_batch_size 1 --train.max_epochs 1
  --adam.lr 1e-5 --ds.zero_stage 3 --ds.param_dtype bf16
  --model.gradient_checkpointing_enable --ckpt.output_dir ./out
)
deepspeed openrlhf_units.py "${flags[@]}" "$@"
