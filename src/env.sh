# Sourced by run.sh and step1.sh … step5.sh: the one place for defaults and folder names.
# Every name can be set from the environment; paths are relative to the project's root. `./run.sh --help` prints the
# variables that have a comment.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export THREADWEAVER_STARTED_IN="${THREADWEAVER_STARTED_IN:-$PWD}" # where the commands that are printed will be typed
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────
: "${SELF_TRAIN:=}" # 1: DATASET_PATH is the .json of a fork-join run, whose sound trajectories become the dataset
if [ -n "${SELF_TRAIN#0}" ]; then
  if [ -z "${DATASET_PATH:-}" ]; then
    echo "SELF_TRAIN=1 needs the outputs of a fork-join run (generate_trajectories.py --branching): name the .json with DATASET_PATH" >&2
    exit 2
  fi
  outputs="$(basename "$DATASET_PATH" | sed 's/\.jsonl\{0,1\}$//')"
  samples_per_problem="${outputs##*_}"
  : "${SRC_NAME:=${outputs//-/_}}"
  for problems in "data/${outputs%_*}.parquet" "$(dirname "$DATASET_PATH")/problems.parquet"; do
    [ ! -f "$problems" ] || : "${PROBLEMS:=$problems}"
  done
fi
: "${PROBLEMS:=}" # with SELF_TRAIN: the problems of that run (data/<name>.parquet)
: "${SRC_NAME:=polaris_data_53K_1_1k}" # name of the source, and of the run; "sample" ships with the project
: "${INPUT_SUFFIX:=}" # added to the names of the run's folders, to keep two runs of one source
: "${DATASET_BASE:=data/processed}" # folder of the sources
case "$SRC_NAME" in
  sample)
    : "${DATASET_PATH:=data/sample/chains.jsonl}"
    : "${NUM_SAMPLES:=36}"
    : "${TOKENIZER:=data/sample/tokenizer}"
    : "${RECORDED:=data/sample/recorded.jsonl}"
    : "${LICENSE:=apache-2.0}" ;;
  *)
    if [ -z "${DATASET_PATH:-}" ] && [ ! -e "$DATASET_BASE/$SRC_NAME" ] && [ -f "$DATASET_BASE/$SRC_NAME.jsonl" ]; then
      DATASET_PATH="$DATASET_BASE/$SRC_NAME.jsonl"
    fi ;;
esac
: "${NUM_SAMPLES:=1000}" # rows to read, from the first on
: "${DATASET_PATH:=$DATASET_BASE/$SRC_NAME}" # the source: a file, a folder, or a name on the hub
: "${TOKENIZER:=Qwen/Qwen3-8B}" # tokenizer of the model to train: a name on the hub or a local folder
: "${RECORDED:=}" # a model's recorded answers, imported with OFFLINE=1 or where there is no key
: "${LICENSE:=}" # licence of the data, for the dataset's card
: "${KEEP_WRONG:=}" # 1: collect chains marked or graded wrong, too

# ── one run in many parts ───────────────────────────────────────────────────────────────────────────────────────
: "${SHARD:=}" # i/k: only the rows r with r mod k = i, in folders of their own; auto: as the launcher numbers its tasks
: "${MERGE:=}" # k: merge the k shards of a run, and save the dataset of the whole
source "$ROOT/src/shard.sh"

# ── who annotates ───────────────────────────────────────────────────────────────────────────────────────────────
: "${ANNOTATOR:=llm}" # llm: a language model; rules: no model and no cost
: "${MODEL:=gpt-5}" # the language model
: "${EFFORT:=}" # its reasoning effort in steps 3 and 4 (low)
: "${WORKERS:=128}" # most calls in flight
: "${OPENAI_KEY_PATH:=}" # file with the key (~/.openai_api_key, else OPENAI_API_KEY)
: "${LEDGER:=data/ledger.sqlite}" # where every paid reply is kept; with {shard} in its name, each shard has one
: "${PLAN:=}" # 1: print what a run would call and cost; nothing is called or written
: "${MAX_COST:=}" # USD that the ledger's total spending never exceeds
: "${OFFLINE:=}" # 1: answers from the ledger alone
: "${BATCH:=}" # 1: the Batch API, at half the price
: "${REFEREE:=}" # 1: a second model judges the blocks, and those that it calls dependent become sequential again
: "${REFEREE_MODEL:=}" # that model: one that did not annotate
: "${JOBS:=}" # most processes for all work but the calls (one per core)
: "${MAX_FAILED:=}" # failed samples allowed per stage, a count or a fraction (0.1; 0 when collecting)

# ── what comes out ──────────────────────────────────────────────────────────────────────────────────────────────
: "${FILTER_DIFF_THRESHOLD:=200}" # characters that the threads of a block must have besides the longest one
: "${REPEAT:=8}" # also save the rows repeated this many times
: "${SUFFIX:=}" # of the dataset's folder (the versions of its prompts: v111)

# ── folders: they carry the versions of the prompts that made them ──────────────────────────────────────────────
: "${VERSION:=v1}" # version of the step-1 prompt, or the lineage of all three prompts, such as v1_v2_v1
prompt_version() { printf %s "$1" | sed 's/_filter_diff_th_[0-9]*//'; } # without the threshold
IFS=_ read -r STEP1_VERSION step3_own step4_own <<<"$(prompt_version "$VERSION")"
if [ "$FILTER_DIFF_THRESHOLD" = 200 ]; then threshold_suffix=""; else threshold_suffix="_filter_diff_th_$FILTER_DIFF_THRESHOLD"; fi
: "${STEP2_VERSION:=$STEP1_VERSION$threshold_suffix}"
: "${STEP3_VERSION:=${STEP2_VERSION}_${step3_own:-v1}}"
STEP4_VERSION="${STEP3_VERSION}_v1"
[ -z "$step4_own" ] || STEP4_VERSION="$VERSION"
: "${BASE_NAME:=${SRC_NAME}${INPUT_SUFFIX}_${NUM_SAMPLES}samples}"
: "${DIR_NAME:=$BASE_NAME}"
STEP1_PROMPT="prompt/step1-prompt_$STEP1_VERSION.txt"
STEP3_PROMPT="prompt/step3-prompt_$(prompt_version "$STEP3_VERSION").txt"
STEP4_PROMPT="prompt/step4-prompt_$(prompt_version "$STEP4_VERSION").txt"
COLLECTED="data/$DIR_NAME$shard_suffix"
STEP1="data/${BASE_NAME}_step1_$STEP1_VERSION$shard_suffix"
STEP2="data/${BASE_NAME}_step2_$STEP2_VERSION$shard_suffix"
STEP3="data/${BASE_NAME}_step3_$STEP3_VERSION$SUFFIX$shard_suffix"
: "${STEP4_NAME:=${BASE_NAME}_step4_$STEP4_VERSION$SUFFIX}"
: "${STEP5_NAME:=${BASE_NAME}_step5_$STEP4_VERSION$SUFFIX}"
STEP4="data/$STEP4_NAME$shard_suffix"
STEP5="data/$STEP5_NAME$shard_suffix"
FINDINGS="data/${BASE_NAME}_referee_$STEP4_VERSION$SUFFIX$shard_suffix"
lineage_digits="v$(prompt_version "$STEP4_VERSION" | sed 's/[v_]//g')"   # v1_v1_v1 → v111
threshold_part="$(printf %s "$STEP4_VERSION" | sed -n 's/.*\(_filter_diff_th_[0-9]*\).*/\1/p')"
dataset_suffix="${SUFFIX:-$lineage_digits}$threshold_part"
DATASET="dataset/${BASE_NAME}_${dataset_suffix#_}"

for switch in PLAN OFFLINE BATCH REFEREE KEEP_WRONG SELF_TRAIN; do # 0 means no
  [ "${!switch}" != 0 ] || printf -v "$switch" ''
done

# ── flags of the stages that ask a model: 1, 3, 4, the referee and the plan ─────────────────────────────────────────────
ledger="${LEDGER//"{shard}"/$shard_suffix}" one_of_ledgers="" # with {shard}, each shard has a ledger, and a part of the cap
[ "$ledger" = "$LEDGER" ] || one_of_ledgers="${shards:-$MERGE}"
asking=(--workers "$WORKERS" --ledger "$ledger")
[ -z "$OPENAI_KEY_PATH" ] || asking+=(--key-path "$OPENAI_KEY_PATH")
[ -z "$MAX_COST" ] || asking+=(--max-cost "$MAX_COST${one_of_ledgers:+/$one_of_ledgers}")
[ -z "$OFFLINE" ] || asking+=(--offline)
[ -z "$BATCH" ] || asking+=(--batch)
annotator=(--annotator "$ANNOTATOR" --openai_model "$MODEL" "${asking[@]}")

source "$ROOT/src/python.sh"
