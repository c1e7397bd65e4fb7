#!/usr/bin/env bash
# The viewer in a real Chromium: installs or finds the browser and playwright, runs tests/browser/pages.py.
#   tests/browser/run.sh [pytest arguments]     the tests
#   tests/browser/run.sh pictures               makes tests/pictures/*.png anew
# PYTHON= names the interpreter, CHROMIUM= the browser. Exits 3 when there is no browser to be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-}
if [ -z "$PYTHON" ]; then
  if [ -n "${VIRTUAL_ENV:-}" ]; then PYTHON=$VIRTUAL_ENV/bin/python
  elif [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python
  else PYTHON=python3; fi
fi
PLAYWRIGHT=1.65.2   # drives Debian's Chromium; no browser of its own is downloaded

if [ -z "${CHROMIUM:-}" ] && ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  echo "no Chromium on this machine: trying to install Debian's" >&2
  asroot=; [ "$(id -u)" = 0 ] || asroot="sudo -n"
  if ! { $asroot apt-get update -qq && $asroot apt-get install -y -qq chromium; } >/dev/null 2>&1; then
    echo "Chromium could not be installed (apt-get install chromium): install it or name it with CHROMIUM=; the page was not tested" >&2
    exit 3
  fi
fi
if ! "$PYTHON" -c "import playwright, pytest" 2>/dev/null; then
  echo "installing playwright $PLAYWRIGHT for $PYTHON" >&2
  if ! { "$PYTHON" -m pip install -q "playwright==$PLAYWRIGHT" pytest || uv pip install -q --python "$PYTHON" "playwright==$PLAYWRIGHT" pytest; } 2>/dev/null; then
    echo "playwright could not be installed (pip install playwright==$PLAYWRIGHT): the page was not tested" >&2
    exit 3
  fi
fi

if [ "${1:-}" = pictures ]; then
  shift
  PYTHONPATH=src:tests exec "$PYTHON" tests/browser/pictures.py "$@"
fi
exec "$PYTHON" -m pytest -q -p no:cacheprovider ${PYTEST_FLAGS:-} tests/browser/pages.py "$@"
