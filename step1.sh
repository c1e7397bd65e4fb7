#!/usr/bin/env bash
# Extract steps with line ranges, and mark which groups of them are independent.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh step1.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")")/src/env.sh"
exec "$PYTHON" src/gpt.py "${annotator[@]}" ${JOBS:+--jobs "$JOBS"} ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --prompt "$STEP1_PROMPT" \
  --input "$COLLECTED/collected.jsonl" --output "$STEP1" --chat "$STEP1/chat" "$@"
