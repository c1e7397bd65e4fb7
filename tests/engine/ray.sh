#!/usr/bin/env bash
# Opt-in: shards as ranks of a Ray on this machine. Never part of tests/run.sh. A stage of one shard and the worker of
# another rank are killed; what is merged then is compared with the run in one piece. The first run makes an environment
# of its own (0.8 GB).
#   tests/engine/ray.sh                          the sample
#   tests/engine/ray.sh CHAINS.jsonl [COUNT]     8 shards of the first COUNT chains
#   ENGINE_DIR=/elsewhere SHARDS=16 tests/engine/ray.sh
source "$(dirname "$0")/shards.sh"
: "${RAY:=ray==2.60.0}"
venv="$ENGINE_DIR/ray-venv"
if ! "$venv/bin/python" -c "import ray, datatrove" 2>/dev/null; then
  uv="$(command -v uv || echo "$(dirname "$PYTHON")/uv")"
  "$uv" venv --quiet --allow-existing --python 3.11 "$venv"
  "$uv" pip install --quiet --python "$venv/bin/python" -r requirements-scale.txt "$RAY"
fi
export PYTHON="$venv/bin/python" RAY_USAGE_STATS_ENABLED=0 RAY_DEDUP_LOGS=0

date -u +"%Y-%m-%d %H:%M UTC"
"$PYTHON" -c "from importlib.metadata import version as v; print(*(f'{p} {v(p)}' for p in ('ray', 'datatrove')))"
sharded="$ENGINE_DIR/ray/sharded" whole="$ENGINE_DIR/ray/whole" name="chains_${NUM_SAMPLES}samples_ranks_of$SHARDS"
project "$sharded"
project "$whole"
echo "in one piece"
(cd "$whole" && ./run.sh >../whole.log)
cd "$sharded"
"$PYTHON" src/scale_out.py --shards "$SHARDS" --engine ray --memory 1 --no-plan >../scale_out.log 2>&1 &
launched=$!
trap 'kill $launched 2>/dev/null || true' EXIT

running() { [ -n "$(pids_of "SHARD=$1/$SHARDS" ' src/[a-z].*\.py ')" ]; }
worker_of() { # the Ray worker whose pool runs a shard: it began the process that began the shard's
  local watcher
  watcher="$(pids_of "SHARD=$1/$SHARDS" 'threadweaver.runs.ranks import watch' | head -1)"
  [ -n "$watcher" ] && ps -o ppid= -p "$(ps -o ppid= -p "$watcher" | tr -d ' ')" | tr -d ' '
}
wait_for 300 kill_stage "0/$SHARDS" # the rank continues it
wait_for 300 running 3
worker="$(worker_of 3)"
echo "killed -9: $(ps -o args= -p "$worker"), process $worker, whose rank is shard 3/$SHARDS"
kill -9 "$worker"
wait $launched && echo "scale_out.py ended well"
grep -E "failed with" ../scale_out.log | cut -c -160
ls data/"$name"/completions
compare "$whole" "$sharded"
