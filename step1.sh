#!/usr/bin/env bash
# Extract steps with line ranges, and mark which groups of them are independent.
source "$(dirname "${BASH_SOURCE[0]}")/src/env.sh"
exec "$PYTHON" src/gpt.py "${common[@]}" --prompt "$STEP1_PROMPT" \
  --input "$COLLECTED/collected.jsonl" --output "$STEP1" --chat "$STEP1/chat" "$@"
