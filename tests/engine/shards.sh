# Sourced by slurm.sh and ray.sh: a project in which a run is made in shards, one in which it is made in one piece, and
# what both must have in common.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${ENGINE_DIR:=data/engine}" "${PYTHON:=.venv/bin/python}" "${SHARDS:=8}"
mkdir -p "$ENGINE_DIR"
ENGINE_DIR="$(cd "$ENGINE_DIR" && pwd)"
PYTHON="$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")"
chains="$(realpath "${1:-data/sample/chains.jsonl}")"
NUM_SAMPLES="${2:-$("$PYTHON" -c 'import sys; print(sum(1 for line in open(sys.argv[1], "rb") if line.strip()))' "$chains")}"
export PYTHON NUM_SAMPLES HF_HUB_OFFLINE=1 SRC_NAME=chains ANNOTATOR=rules TOKENIZER=data/sample/tokenizer DATASET_PATH="$chains"
parts=(src prompt requirements*.txt ./*.sh)

project() { # $1: where to copy the project, without what was made in it before
  rm -rf "$1"
  mkdir -p "$1/data"
  cp -r "${parts[@]}" "$1"
  cp -r data/sample "$1/data/sample"
}

pids_of() { # $1: NAME=VALUE of their environment; $2: a pattern of their command line: prints processes of $sharded
  "$PYTHON" - "$1" "$2" "$sharded" <<'FIND'
import contextlib, pathlib, re, sys
for process in pathlib.Path("/proc").glob("[0-9]*"):
    with contextlib.suppress(OSError):
        words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        known = sys.argv[1].encode() in (process / "environ").read_bytes().split(b"\0")
        if known and re.search(sys.argv[2], words) and (process / "cwd").resolve() == pathlib.Path(sys.argv[3]):
            print(process.name)
FIND
}

wait_for() { # $1: seconds; then a command that will succeed
  local limit=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $limit ] || { echo "it did not come to that: $*" >&2; return 1; }
    sleep 0.1
  done
}

kill_stage() { # $1: a shard: kills (-9) the Python that does a stage of it
  local pid
  pid="$(pids_of "SHARD=$1" ' src/[a-z].*\.py ' | head -1)"
  [ -n "$pid" ] && kill -9 "$pid" && echo "killed -9: the stage that process $pid of shard $1 did"
}

compare() { # $1, $2: projects; reports whether the second has the bytes of the first
  local folder same=0 differing=0
  for folder in "$1"/data/chains_* "$1"/dataset/*; do
    case "$folder" in *_shard*of* | *_ranks_of*) continue ;; esac
    if diff -rq -x .lock "$folder" "$2${folder#"$1"}"; then same=$((same + 1)); else differing=$((differing + 1)); fi
  done
  echo "$same folders and files have the bytes of the run in one piece, $differing differ"
  [ $differing = 0 ] && [ $same = 9 ]
}
