#!/usr/bin/env bash
# Mark the independent groups as parallel blocks in the chains.
source "$(dirname "${BASH_SOURCE[0]}")/src/env.sh"
exec "$PYTHON" src/extract_v1.py "${common[@]}" --trajectory "$COLLECTED" --annotations "$STEP1" \
  --filter-diff-threshold "$FILTER_DIFF_THRESHOLD" --output-dir "$STEP2" "$@"
