#!/usr/bin/env bash
# The viewer in a real Chromium: installs or finds the browser, playwright and axe-core, runs the tests.
#   tests/browser/run.sh [FILE] [pytest arguments]     the tests, or those of one file
#   tests/browser/run.sh pictures               takes tests/pictures/*.png again
# PYTHON= names the interpreter (as in src/env.sh), CHROMIUM= the browser. Exits 3 without a browser.
REQUIREMENTS=requirements-dev.txt
source "$(dirname "${BASH_SOURCE[0]}")/../../src/env.sh"
PLAYWRIGHT=1.65.2   # drives Debian's Chromium; no browser of its own is downloaded
AXE=0.1.8           # the package that holds axe-core 4.12.1

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
install() { # what is imported, and the package with its version
  "$PYTHON" -c "import $1" 2>/dev/null && return
  echo "installing $2 for $PYTHON" >&2
  "$PYTHON" -m pip install --quiet --disable-pip-version-check "$2" 2>/dev/null ||
    uv pip install --quiet --python "$PYTHON" "$2" 2>/dev/null ||
    give_up "$2 could not be installed ($PYTHON -m pip install $2)"
}
install playwright "playwright==$PLAYWRIGHT"
install axe_playwright_python "axe-playwright-python==$AXE"

if [ "${1:-}" = pictures ]; then
  shift
  PYTHONPATH=src:tests exec "$PYTHON" tests/browser/pictures.py "$@"
fi
if [ -f "${1:-}" ]; then files=("$1"); shift; else mapfile -t files < <(grep -l "^def test_" tests/browser/*.py); fi
exec "$PYTHON" -m pytest -p no:cacheprovider "${files[@]}" "$@"
