#!/usr/bin/env bash
# From collected chains to a training dataset: NUM_SAMPLES=10 ./run.sh [flags]
#
# Settings are variables (src/env.sh has the defaults); each flag goes to the stages that know it. Examples:
#   SRC_NAME=sample ./run.sh    the chains that ship; without a key, with a model's recorded answers
#   SRC_NAME=sample ANNOTATOR=rules NUM_SAMPLES=24 ./run.sh    the same without any model
#   DATASET_PATH=my/chains.jsonl SRC_NAME=mine PLAN=1 ./run.sh    what your own chains would cost
#   DATASET_PATH=my/chains.jsonl SRC_NAME=mine MAX_COST=20 ./run.sh --val-size 50
#   SELF_TRAIN=1 DATASET_PATH=data/<model>/<problems>_1.json ./run.sh    the trajectories that a model generated itself
#   SRC_NAME=mine SHARD=0/8 ./run.sh                           one of 8 parts, on any machine; when all are done, MERGE=8
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh run.sh
for word in "$@"; do
  case "$word" in -h | --help) exec bash "$(dirname "$(readlink -f "$0" 2>/dev/null || echo "$0")")/src/help.sh" ;; esac
done
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")")/src/env.sh"

settings=() # checked, with the flags, before anything is written or spent
for name in PLAN RECORDED MERGE NUM_SAMPLES KEEP_WRONG ANNOTATOR MODEL WORKERS OPENAI_KEY_PATH LEDGER MAX_COST OFFLINE BATCH \
  MAX_FAILED JOBS FILTER_DIFF_THRESHOLD TOKENIZER REPEAT LICENSE EFFORT STEP1_PROMPT STEP3_PROMPT STEP4_PROMPT REFEREE REFEREE_MODEL \
  SELF_TRAIN PROBLEMS SHARD; do
  settings+=(--setting "$name=${!name}")
done
settings+=(--setting "LEDGER=$ledger") # of a shard, its own
given="$("$PYTHON" src/check.py "${settings[@]}" -- "$@")" # flags_collect=…, flags_step1=…
eval "$given"
if [ -n "${recorded_alone:-}" ]; then
  export OFFLINE=1
  echo "no API key and no server: the recorded answers in $RECORDED are used; nothing is called or paid"
fi
stage() { # $1: its name; then its command, which gets the flags of ./run.sh that it knows
  local flags="flags_$1"
  shift
  eval "\"\$@\" ${!flags:-}"
}

[ "$ANNOTATOR" != llm ] || cap_of_shards
[ -z "$SELF_TRAIN" ] || [ -z "$SHARD$MERGE" ] || refuse_shard "SELF_TRAIN adopts a run in one piece: leave one of them out"
if [ -n "$SELF_TRAIN" ] && [ -n "$PLAN" ]; then
  echo "self-training calls no model${REFEREE:+ but the referee}: nothing to plan"
  exit
fi
if [ -n "$PLAN" ]; then # what it would call and cost; nothing is called or written
  stage plan "$PYTHON" src/plan.py "${annotator[@]}" --dataset_path "$DATASET_PATH" --max_samples "$NUM_SAMPLES" \
    ${this_shard:+--shard "$this_shard"} ${KEEP_WRONG:+--keep-wrong} --filter-diff-threshold "$FILTER_DIFF_THRESHOLD" \
    --step1-prompt "$STEP1_PROMPT" --step3-prompt "$STEP3_PROMPT" --step4-prompt "$STEP4_PROMPT" \
    ${EFFORT:+--step3-effort "$EFFORT" --step4-effort "$EFFORT"}
  exit
fi
full() { case "$1" in /*) printf %s "$1" ;; *) printf %s "$ROOT/$1" ;; esac; } # a path as it can be typed anywhere
if [ -z "$MERGE" ] && [ ! -e "$DATASET_PATH" ]; then # generated, but not converted yet?
  for outputs in data/*/*.json; do
    stem="$(basename "$outputs" .json)"
    if [ "${stem//-/_}_1k" = "$SRC_NAME" ]; then
      problems="data/${stem%_*}.parquet"
      [ -f "$problems" ] || problems="$(dirname "$outputs")/problems.parquet"
      echo "$DATASET_PATH does not exist, but its outputs do; convert them first:$(printf ' %q' \
        "$PYTHON" "$ROOT/src/generated_data_to_training_data_polaris.py" --dataset-json "$ROOT/$outputs" \
        --polaris-parquet "$ROOT/$problems" --output-dir "$(full "$DATASET_BASE")" \
        --tokenizer "$([ -e "$TOKENIZER" ] && full "$TOKENIZER" || printf %s "$TOKENIZER")")" >&2
      exit 2
    fi
  done
fi
if [ -n "$MERGE" ]; then # what the shards have made
  stage merge "$PYTHON" src/merge_shards.py --shards "$MERGE" ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --ledger "$ledger" \
    ${one_of_ledgers:+--shard-ledgers "$LEDGER"} "$COLLECTED" "$STEP1" "$STEP2" "$STEP3" "$STEP4" ${REFEREE:+"$FINDINGS"} "$STEP5"
elif [ -n "$SELF_TRAIN" ]; then # what a model that branches has generated
  stage adopt "$PYTHON" src/adopt_trajectories.py --max_samples "$NUM_SAMPLES" --tokenizer "$TOKENIZER" \
    --dataset-json "$DATASET_PATH" --polaris-parquet "$PROBLEMS" --output_path "$COLLECTED"
  STEP4="$COLLECTED"
  export STEP4_NAME="$DIR_NAME"
else
  stage collect "$PYTHON" src/collect_trajectories.py ${JOBS:+--jobs "$JOBS"} ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --max_samples "$NUM_SAMPLES" \
    --dataset_path "$DATASET_PATH" --output_path "$COLLECTED" ${this_shard:+--shard "$this_shard"} ${KEEP_WRONG:+--keep-wrong}
  whole_ledger="${LEDGER//"{shard}"/}"
  if [ "$whole_ledger" != "$ledger" ] && [ -e "$whole_ledger" ] && [ ! -e "$ledger" ] && [ "$ANNOTATOR" = llm ]; then
    stage ledger "$PYTHON" src/ledger.py copy "$whole_ledger" --ledger "$ledger" # what was paid before
  fi
  if [ -n "$OFFLINE" ] && [ -n "$RECORDED" ] && [ "$ANNOTATOR" = llm ]; then
    stage ledger "$PYTHON" src/ledger.py import "$RECORDED" --ledger "$ledger"
  fi
  stage step1 ./step1.sh # steps with line ranges, and which of them are independent
  stage step2 ./step2.sh # the independent ones become threads of parallel blocks
  stage step3 ./step3.sh # no thread depends on a sibling
  stage step4 ./step4.sh # an outline announces each thread
fi
if [ -z "$MERGE" ]; then
  [ -z "$REFEREE" ] || stage referee "$PYTHON" src/referee.py --openai_model "$REFEREE_MODEL" "${asking[@]}" \
    ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --input "$STEP4" --output "$FINDINGS" # no thread depends on a sibling, says another model
  stage step5 ./step5.sh # what is well-formed and complete is kept, and measured
fi
if [ -n "$shards" ]; then
  echo "shard $this_shard is done; when all $shards are, MERGE=$shards instead of SHARD merges them and saves the dataset"
  exit
fi
stage save "$PYTHON" src/save_dataset.py --tokenizer "$TOKENIZER" ${JOBS:+--jobs "$JOBS"} ${MAX_FAILED:+--max-failed "$MAX_FAILED"} \
  --input "$COLLECTED/collected.jsonl" --trajectory-glob "$STEP5/*.txt" --trajectory-matched-only --build-chat \
  --repeat "$REPEAT" ${LICENSE:+--license "$LICENSE"} --output "$DATASET"
[ -z "$SELF_TRAIN" ] || echo "The next round, with the model trained on it:  $PYTHON src/generate_trajectories.py --branching \
--model_name … --launch_server --data-type $PROBLEMS -n $samples_per_problem --suffix next"
