#!/usr/bin/env bash
# Opt-in: the exports through the real data code of each trainer on the CPU: tokens and loss mask are ours for every row
# of the sample's recorded run, the thinking is there, and TRL takes two steps. Never part of tests/run.sh.
# The first run makes an environment per trainer (1 to 10 GB each) from tests/engine/requirements-<trainer>.txt.
#   tests/engine/trainers.sh                       all of them
#   tests/engine/trainers.sh trl verl              these
#   ENGINE_DIR=/elsewhere tests/engine/trainers.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${ENGINE_DIR:=data/engine}"
mkdir -p "$ENGINE_DIR"
ENGINE_DIR="$(cd "$ENGINE_DIR" && pwd)"
source src/env.sh
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false HF_DATASETS_DISABLE_PROGRESS_BARS=1 CUDA_VISIBLE_DEVICES=""
[ $# -gt 0 ] || set -- trl llama-factory verl verl-rl openrlhf axolotl

# OpenRLHF asks for flash-attn, which is built with CUDA: the package goes in without its dependencies, and what its data
# code imports from the file. LLaMA-Factory brings a torchvision and a torchaudio that do not load beside a CPU build of
# this torch: both are removed, and an empty torchaudio satisfies an import that only rows with sound use.
install() {
  local venv="$1" trainer="$2"
  python3 -m venv "$venv"
  local pip=("$venv/bin/python" -m pip --disable-pip-version-check)
  "${pip[@]}" install --quiet -r "tests/engine/requirements-$trainer.txt"
  if [ "$trainer" = openrlhf ]; then "${pip[@]}" install --quiet --no-deps openrlhf==0.11.2; fi
  if [ "$trainer" = llama-factory ]; then
    "${pip[@]}" uninstall --quiet --yes torchvision torchaudio
    : > "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torchaudio.py"
  fi
}

dataset="$ENGINE_DIR/dataset/sample_12samples" tokenizer=data/sample/tokenizer
SRC_NAME=sample OFFLINE=1 NUM_SAMPLES=12 ./run.sh > /dev/null
"$PYTHON" src/save_dataset.py --units --tokenizer "$tokenizer" --input data/sample_12samples/collected.jsonl --overwrite \
  --trajectory-glob 'data/sample_12samples_step5_v1_v1_v1/*.txt' --trajectory-matched-only --output "$dataset" > /dev/null
"$PYTHON" tests/engine/trainers.py expect --dataset "$dataset" --tokenizer "$tokenizer" --to "$ENGINE_DIR/expected.json"

date -u +"%Y-%m-%d %H:%M UTC"
failed=0
for trainer in "$@"; do
  library="${trainer%-rl}" # verl-rl is verl
  venv="$ENGINE_DIR/$library-venv" sum="$(cksum < "tests/engine/requirements-$library.txt")"
  export="$ENGINE_DIR/exports/$trainer" model="$ENGINE_DIR/tiny-start"
  echo "$trainer"
  if [ "$(cat "$venv/.sum" 2> /dev/null)" != "$sum" ]; then
    install "$venv" "$library" || { echo "  does not install here"; failed=1; continue; }
    echo "$sum" > "$venv/.sum"
  fi
  "$PYTHON" src/export_dataset.py --for "$trainer" --tokenizer "$tokenizer" --dataset "$dataset" --output "$export" \
    --overwrite > /dev/null
  log="$ENGINE_DIR/$trainer.log"
  check() { "$venv/bin/python" tests/engine/trainers.py "$@" 3>&1 > "$log" 2>&1 || { tail -5 "$log"; failed=1; }; }
  [ -d "$model" ] || check start --export "$export" --to "$model"
  check "$trainer" --export "$export" --expected "$ENGINE_DIR/expected.json" --model "$model"
done
exit $failed
