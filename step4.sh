#!/usr/bin/env bash
# Write the outlines that announce the threads.
source "$(dirname "${BASH_SOURCE[0]}")/src/env.sh"
exec "$PYTHON" src/generate-outline_v1.py "${common[@]}" --prompt "$STEP4_PROMPT" \
  --effort "${EFFORT:-low}" --input "$STEP3" --output "$STEP4" "$@"
