#!/usr/bin/env bash
# Keep the trajectories that are well-formed and complete; measure them.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh step5.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}")")/src/env.sh"
exec "$PYTHON" src/filter-format-correct-and-obtain-stats.py --tokenizer "$TOKENIZER" ${JOBS:+--jobs "$JOBS"} ${MAX_FAILED:+--max-failed "$MAX_FAILED"} \
  ${REFEREE:+--referee "$FINDINGS"} --skip_conclusion_check --input "$STEP4" --output "$STEP5" "$@"
