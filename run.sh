#!/usr/bin/env bash
# From collected chains to a training dataset: NUM_SAMPLES=… ./run.sh
# Everything can be set from the environment (src/env.sh has the defaults); flags go to every stage.
# Without a key, on the chains that ship: SRC_NAME=sample ANNOTATOR=rules NUM_SAMPLES=24 ./run.sh
# and with a model's recorded answers:    SRC_NAME=sample OFFLINE=1 NUM_SAMPLES=12 ./run.sh
source "$(dirname "${BASH_SOURCE[0]}")/src/env.sh"
export PYTHON

if [ -n "${PLAN:-}" ]; then # what it would call and cost; nothing is called or written
  exec "$PYTHON" src/plan.py "${common[@]}" --dataset_path "$DATASET_PATH" --max_samples "$NUM_SAMPLES" ${KEEP_WRONG:+--keep-wrong} \
    --step1-prompt "$STEP1_PROMPT" --step3-prompt "$STEP3_PROMPT" --step4-prompt "$STEP4_PROMPT" \
    ${EFFORT:+--step3-effort "$EFFORT" --step4-effort "$EFFORT"} --filter-diff-threshold "$FILTER_DIFF_THRESHOLD" "$@"
fi
if [ -n "${OFFLINE:-}" ] && [ -n "$RECORDED" ] && [ "$ANNOTATOR" = llm ]; then
  "$PYTHON" src/ledger.py import "$RECORDED" --ledger "$LEDGER"
fi
if [ ! -e "$DATASET_PATH" ]; then # generated, but not converted yet?
  for outputs in data/*/*.json; do
    stem="$(basename "$outputs" .json)"
    if [ "${stem//-/_}_1k" = "$SRC_NAME" ]; then
      problems="data/${stem%_*}.parquet"
      [ -f "$problems" ] || problems="$(dirname "$outputs")/problems.parquet"
      echo "$DATASET_PATH is not there, but its outputs are; convert them first: $PYTHON src/generated_data_to_training_data_polaris.py" \
        "--dataset-json $outputs --polaris-parquet $problems --tokenizer $TOKENIZER --output-dir $DATASET_BASE" >&2
      exit 2
    fi
  done
fi
"$PYTHON" src/collect_trajectories.py --dataset_path "$DATASET_PATH" --output_path "$COLLECTED" \
  "${common[@]}" --max_samples "$NUM_SAMPLES" ${KEEP_WRONG:+--keep-wrong} "$@"
./step1.sh "$@" # steps with line ranges, and which of them are independent
./step2.sh "$@" # the independent ones become threads of parallel blocks
./step3.sh "$@" # no thread leans on a sibling
./step4.sh "$@" # an outline announces each thread
./step5.sh "$@" # what is well-formed and whole is kept, and measured
"$PYTHON" src/save_dataset.py "${common[@]}" --input "$COLLECTED/collected.jsonl" --trajectory-glob "$STEP5/*.txt" \
  --trajectory-matched-only --build-chat --repeat "$REPEAT" ${LICENSE:+--license "$LICENSE"} --output "$DATASET" "$@"
