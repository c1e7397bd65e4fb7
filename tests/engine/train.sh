#!/usr/bin/env bash
# Opt-in: the export of a saved dataset as trees through a tiny random Qwen3 on the CPU, as its recipe says: each
# trajectory packed as the tree of its contexts, compared with a plain causal pass over every unit. Never part of
# tests/run.sh.
# The first run makes an environment of its own (torch; 1 GB with a CPU build, several with another) from requirements-train.txt.
#   tests/engine/train.sh                      the sample's recorded run
#   tests/engine/train.sh DATASET TOKENIZER    a folder that save_dataset.py wrote, and the tokenizer it was saved with
#   ENGINE_DIR=/elsewhere tests/engine/train.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${ENGINE_DIR:=data/engine}"
mkdir -p "$ENGINE_DIR"
ENGINE_DIR="$(cd "$ENGINE_DIR" && pwd)"
venv="$ENGINE_DIR/train-venv" requirements=tests/engine/requirements-train.txt
sum="$(cat requirements.txt "$requirements" | cksum)"

if [ "$(cat "$venv/.sum" 2> /dev/null)" != "$sum" ]; then
  if command -v uv > /dev/null; then
    uv venv --quiet --allow-existing --python 3.11 "$venv"
    uv pip install --quiet --python "$venv/bin/python" -r "$requirements"
  else
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  fi
  echo "$sum" > "$venv/.sum"
fi
export PYTHON="$venv/bin/python" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false HF_DATASETS_DISABLE_PROGRESS_BARS=1

dataset="${1:-$ENGINE_DIR/dataset/sample_12samples}" tokenizer="${2:-data/sample/tokenizer}"
if [ $# = 0 ]; then
  SRC_NAME=sample OFFLINE=1 NUM_SAMPLES=12 ./run.sh
  "$PYTHON" src/save_dataset.py --units --tokenizer "$tokenizer" --input data/sample_12samples/collected.jsonl --overwrite \
    --trajectory-glob 'data/sample_12samples_step5_v1_v1_v1/*.txt' --trajectory-matched-only --output "$dataset" > /dev/null
fi
export="$ENGINE_DIR/exports/tree"
"$PYTHON" src/export_dataset.py --for tree --tokenizer "$tokenizer" --dataset "$dataset" --output "$export" --overwrite
date -u +"%Y-%m-%d %H:%M UTC"
"$PYTHON" -c "from importlib.metadata import version as v; print(*(f'{p} {v(p)}' for p in ('torch', 'transformers', 'datasets')))"
exec "$PYTHON" tests/engine/train.py --dataset "$dataset" --export "$export" --tokenizer "$tokenizer"
