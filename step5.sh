#!/usr/bin/env bash
# Keep what is well-formed and whole; measure it.
source "$(dirname "${BASH_SOURCE[0]}")/src/env.sh"
exec "$PYTHON" src/filter-format-correct-and-obtain-stats.py "${common[@]}" --skip_conclusion_check \
  --input "$STEP4" --output "$STEP5" "$@"
