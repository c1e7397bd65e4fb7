#!/usr/bin/env bash
# Rewrite the threads so that none depends on a sibling.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh step3.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")")/src/env.sh"
exec "$PYTHON" src/rewrite-context_v1.py "${annotator[@]}" ${MAX_FAILED:+--max-failed "$MAX_FAILED"} --prompt "$STEP3_PROMPT" \
  --effort "${EFFORT:-low}" --input "$STEP2" --output "$STEP3" "$@"
