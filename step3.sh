#!/usr/bin/env bash
# Rewrite the threads so that none leans on a sibling.
source "$(dirname "${BASH_SOURCE[0]}")/src/env.sh"
exec "$PYTHON" src/rewrite-context_v1.py "${common[@]}" --prompt "$STEP3_PROMPT" \
  --effort "${EFFORT:-low}" --input "$STEP2" --output "$STEP3" "$@"
