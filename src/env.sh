# Sourced by run.sh and step1.sh … step5.sh: the one place for environment defaults and folder names.
# Every name can be set from the environment; paths are relative to the project's root.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────
: "${SRC_NAME:=polaris_data_53K_1_1k}"
: "${INPUT_SUFFIX:=}"
: "${NUM_SAMPLES:=1000}"
: "${DATASET_BASE:=data/processed}"
case "$SRC_NAME" in
  sample) # ships with the project, tokenizer included
    : "${DATASET_PATH:=data/sample/chains.jsonl}"
    : "${TOKENIZER:=data/sample/tokenizer}"
    : "${RECORDED:=data/sample/recorded.jsonl}" # a model's answers for the first 12 chains, for OFFLINE=1
    : "${LICENSE:=apache-2.0}" ;;
  *)
    if [ -z "${DATASET_PATH:-}" ] && [ ! -e "$DATASET_BASE/$SRC_NAME" ] && [ -f "$DATASET_BASE/$SRC_NAME.jsonl" ]; then
      DATASET_PATH="$DATASET_BASE/$SRC_NAME.jsonl"
    fi
    : "${DATASET_PATH:=$DATASET_BASE/$SRC_NAME}"
    : "${TOKENIZER:=Qwen/Qwen3-8B}"
    : "${RECORDED:=}"
    : "${LICENSE:=}" ;;
esac
: "${KEEP_WRONG:=}"

# ── who annotates ───────────────────────────────────────────────────────────────────────────────────────────────
: "${ANNOTATOR:=llm}"
: "${MODEL:=gpt-5}"
: "${LEDGER:=data/ledger.sqlite}"
: "${WORKERS:=128}"          # calls in flight at the most, as in the published run
: "${FILTER_DIFF_THRESHOLD:=200}"
: "${REPEAT:=8}"
: "${MAX_FAILED:=}"          # empty: each command's own default

# ── folders: they carry the versions of the prompts that made them ──────────────────────────────────────────────
: "${VERSION:=v1}"           # of the step-1 prompt; a full lineage such as v1_v1_v1 is taken too
STEP1_VERSION="${VERSION%%_*}"
if [ "$FILTER_DIFF_THRESHOLD" = 200 ]; then threshold_suffix=""; else threshold_suffix="_filter_diff_th_$FILTER_DIFF_THRESHOLD"; fi
: "${STEP2_VERSION:=$STEP1_VERSION$threshold_suffix}"
: "${STEP3_VERSION:=${STEP2_VERSION}_v1}"
case "$VERSION" in
  *_*_*) STEP4_VERSION="$VERSION" ;;
  *) STEP4_VERSION="${STEP3_VERSION}_v1" ;;
esac
: "${BASE_NAME:=${SRC_NAME}${INPUT_SUFFIX}_${NUM_SAMPLES}samples}"
: "${DIR_NAME:=$BASE_NAME}"
prompt_version() { printf %s "$1" | sed 's/_filter_diff_th_[0-9]*//'; } # the threshold is no prompt's version
STEP1_PROMPT="prompt/step1-prompt_$STEP1_VERSION.txt"
STEP3_PROMPT="prompt/step3-prompt_$(prompt_version "$STEP3_VERSION").txt"
STEP4_PROMPT="prompt/step4-prompt_$(prompt_version "$STEP4_VERSION").txt"
COLLECTED="data/$DIR_NAME"
STEP1="data/${BASE_NAME}_step1_$STEP1_VERSION"
STEP2="data/${BASE_NAME}_step2_$STEP2_VERSION"
STEP3="data/${BASE_NAME}_step3_$STEP3_VERSION${SUFFIX:-}"
: "${STEP4_NAME:=${BASE_NAME}_step4_$STEP4_VERSION${SUFFIX:-}}"
: "${STEP5_NAME:=${BASE_NAME}_step5_$STEP4_VERSION${SUFFIX:-}}"
STEP4="data/$STEP4_NAME"
STEP5="data/$STEP5_NAME"
lineage_digits="v$(prompt_version "$STEP4_VERSION" | sed 's/[v_]//g')"   # v1_v1_v1 → v111
dataset_suffix="${SUFFIX:-$lineage_digits}"
DATASET="dataset/${BASE_NAME}_${dataset_suffix#_}"

for switch in PLAN OFFLINE BATCH KEEP_WRONG; do # 0 means no
  [ "${!switch:-}" != 0 ] || unset "$switch"
done

# ── flags that every stage takes ────────────────────────────────────────────────────────────────────────────────
common=(--annotator "$ANNOTATOR" --workers "$WORKERS" --tokenizer "$TOKENIZER")
[ -z "$MAX_FAILED" ] || common+=(--max-failed "$MAX_FAILED")
common+=(--openai_model "$MODEL")
[ -z "${OPENAI_KEY_PATH:-}" ] || common+=(--key-path "$OPENAI_KEY_PATH")
[ -z "${MAX_COST:-}" ] || common+=(--max-cost "$MAX_COST")     # USD that the ledger's spending never passes
[ -z "${OFFLINE:-}" ] || common+=(--offline)                   # answers from the ledger alone
[ -z "${BATCH:-}" ] || common+=(--batch)                       # the Batch API, at half the price
common+=(--ledger "$LEDGER")

# ── Python: $PYTHON, or the active environment, or .venv (made from the requirements, anew when they change) ────
make_venv() { # $1: requirements file
  local stamp=".venv/.$(basename "$1").sum" sum
  sum="$(cat requirements.txt "$1" | cksum)"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
  local python
  python="$(command -v python3.11 python3.12 python3.13 python3 | head -n 1)" || true
  "${python:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    { echo "Python 3.11 or newer is needed: install it, or name one with PYTHON=" >&2; exit 2; }
  echo "making .venv from $1 (once; about a minute)" >&2
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null &&
    .venv/bin/uv pip install --quiet --python .venv/bin/python -r "$1" 2>/dev/null ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$1" ||
    { echo "the packages of $1 cannot be installed: see pip's message above" >&2; exit 2; }
  printf '%s' "$sum" >"$stamp"
}
if [ -z "${PYTHON:-}" ]; then
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
    PYTHON=python
  else
    if command -v flock >/dev/null; then
      exec 9>.venv.lock && flock 9
      make_venv "${REQUIREMENTS:-requirements.txt}"
      exec 9>&-
    else
      make_venv "${REQUIREMENTS:-requirements.txt}"
    fi
    PYTHON="$ROOT/.venv/bin/python"
  fi
fi
