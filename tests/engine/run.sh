#!/usr/bin/env bash
# Opt-in: generation against a real SGLang on this machine's CPU, with a tiny random Qwen3. Never part of tests/run.sh.
# The first run installs the engine into an environment of its own (11 GB, some minutes) and needs gcc.
#   tests/engine/run.sh                 keeps environment, model and results in data/engine
#   ENGINE_DIR=/elsewhere tests/engine/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${ENGINE_DIR:=data/engine}"
: "${PYTHON:=.venv/bin/python}"
: "${SGLANG:=sglang==0.5.23}"        # the version tested with the stub and the flags below
mkdir -p "$ENGINE_DIR"
ENGINE_DIR="$(cd "$ENGINE_DIR" && pwd)"
engine="$ENGINE_DIR/venv/bin/python"

if ! "$engine" -c "import sglang" 2> /dev/null; then
  if command -v uv > /dev/null; then
    uv venv --python 3.11 "$ENGINE_DIR/venv"
    uv pip install --python "$engine" "$SGLANG"
  else
    python3 -m venv "$ENGINE_DIR/venv"
    "$engine" -m pip install --quiet "$SGLANG"
  fi
fi
[ -f "$ENGINE_DIR/stub/libcuda.so.1" ] || bash tests/engine/stub_libcuda.sh "$ENGINE_DIR/stub"
[ -f "$ENGINE_DIR/tiny/config.json" ] || "$engine" tests/engine/tiny_model.py data/sample/tokenizer "$ENGINE_DIR/tiny"

date -u +"%Y-%m-%d %H:%M UTC"
"$engine" -c "from importlib.metadata import version as v; print(*(f'{p} {v(p)}' for p in ('sglang', 'torch', 'transformers')))"
export HF_HUB_OFFLINE=1 SGLANG_USE_CPU_ENGINE=1 OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=
export LD_LIBRARY_PATH="$ENGINE_DIR/stub${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$PYTHON" tests/engine/check.py --engine-python "$engine" --model "$ENGINE_DIR/tiny" --work "$ENGINE_DIR/work"
