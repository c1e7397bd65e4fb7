#!/usr/bin/env bash
# Mark the independent groups as parallel blocks in the chains.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh step2.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")")/src/env.sh"
exec "$PYTHON" src/extract_v1.py ${JOBS:+--jobs "$JOBS"} ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --trajectory "$COLLECTED" --annotations "$STEP1" \
  --filter-diff-threshold "$FILTER_DIFF_THRESHOLD" --output-dir "$STEP2" "$@"
