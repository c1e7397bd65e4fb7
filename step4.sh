#!/usr/bin/env bash
# Write the outlines that announce the threads.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh step4.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")")/src/env.sh"
exec "$PYTHON" src/generate-outline_v1.py "${annotator[@]}" ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --prompt "$STEP4_PROMPT" \
  --effort "${EFFORT:-low}" --input "$STEP3" --output "$STEP4" "$@"
