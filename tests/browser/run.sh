#!/usr/bin/env bash
# The viewer in a real Chromium: installs or finds the browser and playwright, runs the tests.
#   tests/browser/run.sh [FILE] [pytest arguments]     the tests, or those of one file
#   tests/browser/run.sh pictures               takes tests/pictures/*.png again
# PYTHON= names the interpreter (as in src/env.sh), CHROMIUM= the browser. Exits 3 without a browser.
REQUIREMENTS=requirements-dev.txt
source "$(dirname "${BASH_SOURCE[0]}")/../../src/env.sh"
PLAYWRIGHT=1.65.2   # drives Debian's Chromium; no browser of its own is downloaded

give_up() { echo "$1: the page was not tested" >&2; exit 3; }

find_chromium() { command -v "${CHROMIUM:-chromium}" || { [ -z "${CHROMIUM:-}" ] && command -v chromium-browser google-chrome; }; }

install_chromium() {
  local asroot=() log
  [ "$(id -u)" = 0 ] || asroot=(sudo -n)
  command -v apt-get >/dev/null || return 1
  log="$(mktemp)"
  DEBIAN_FRONTEND=noninteractive "${asroot[@]}" sh -c "apt-get update -qq && apt-get install -y -qq chromium" >"$log" 2>&1 ||
    { tail -n 3 "$log" >&2; rm "$log"; return 1; }
  rm "$log"
}

if ! find_chromium >/dev/null; then
  [ -z "${CHROMIUM:-}" ] || give_up "CHROMIUM=$CHROMIUM is not a program (name another, or leave it out)"
  echo "no Chromium on this machine: installing Debian's (apt-get install chromium)" >&2
  install_chromium || give_up "Chromium could not be installed (as root: apt-get install chromium; or name one with CHROMIUM=)"
fi
if ! "$PYTHON" -c "import playwright" 2>/dev/null; then
  echo "installing playwright $PLAYWRIGHT for $PYTHON" >&2
  "$PYTHON" -m pip install --quiet --disable-pip-version-check "playwright==$PLAYWRIGHT" 2>/dev/null ||
    uv pip install --quiet --python "$PYTHON" "playwright==$PLAYWRIGHT" 2>/dev/null ||
    give_up "playwright could not be installed ($PYTHON -m pip install playwright==$PLAYWRIGHT)"
fi

if [ "${1:-}" = pictures ]; then
  shift
  PYTHONPATH=src:tests exec "$PYTHON" tests/browser/pictures.py "$@"
fi
if [ -f "${1:-}" ]; then files=("$1"); shift; else files=(tests/browser/{pages,keyboard,evidence,mathematics,charts}.py); fi
exec "$PYTHON" -m pytest -p no:cacheprovider "${files[@]}" "$@"
