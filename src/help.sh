# Run by `./run.sh --help`: what run.sh does, the variables with their defaults, the flags of the stages.
# Needs no environment: the flags are read by any Python that is new enough.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sed -n '2,/^\[/s/^# \{0,1\}//p' run.sh
echo
echo "Variables (default):"
sed -nE 's/^ *: "\$\{([A-Z0-9_]+):=(.*)\}" +# (.*)$/\1\t\3\t\2/p' src/env.sh | while IFS=$'\t' read -r name text default; do
  printf '  %-22s %s%s\n' "$name" "$text" "${default:+ ($default)}"
done
echo
for python in "${PYTHON:-}" .venv/bin/python python3 python3.11 python3.12 python3.13 python3.14 python; do
  if [ -n "$python" ] && flags="$(PYTHONPATH=src "$python" -m threadweaver.runs.relay 2>/dev/null)"; then
    printf 'Flags, below the stages that know them (./step1.sh --help explains those of step 1):\n%s\n' "$flags"
    exit
  fi
done
echo "The flags of the stages are listed here when Python 3.11 or newer is installed."
