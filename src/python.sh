# Sourced by env.sh: decides on $PYTHON. That is the one that is named, else the active environment if the requirements
# are installed in it, else .venv, which is made from the requirements and completed when they change.
# shellcheck shell=bash
: "${REQUIREMENTS:=requirements.txt}"

stop() { echo "$1" >&2; exit 2; }

fault_of() { # prints what keeps the Python $1 from running the project; nothing if nothing does
  local said code=0
  said="$(PYTHONPATH="$ROOT/src" "$1" -m threadweaver.runs.environment "$REQUIREMENTS" 2>/dev/null)" || code=$?
  case $code$said in
    0complete) ;;
    2*) echo "is older than Python 3.11" ;;
    3*) echo "lacks $said ($REQUIREMENTS)" ;;
    *) echo "is not a Python that runs" ;;
  esac
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

installed_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3.14 python3 python; do
    ! new_enough "$name" || { command -v "$name"; return; }
  done
  stop "Python 3.11 or newer is needed: install it, or name one with PYTHON="
}

make_venv() {
  local python=.venv/bin/python stamp sum base
  stamp=".venv/.$(basename "$REQUIREMENTS").sum"
  sum="$(cat requirements.txt "$REQUIREMENTS" | cksum)"
  if [ -x $python ]; then
    [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ] || return 0
    [ -e "$stamp" ] || [ -n "$(fault_of $python)" ] || return 0 # made by hand, and complete
  fi
  base="$(installed_python)" || exit 2
  echo "making .venv from $REQUIREMENTS (once; about a minute)" >&2
  if ! $python -m pip --version >/dev/null 2>&1 && ! $python -m ensurepip >/dev/null 2>&1; then # a killed attempt too
    "$base" -m venv --clear .venv >/dev/null 2>&1 ||
      stop "$base cannot make .venv here: check its permissions and the space left (Debian, Ubuntu: apt install python3-venv)"
  fi
  new_enough $python || stop ".venv holds a Python older than 3.11: remove .venv and run the same command again"
  $python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null &&
    .venv/bin/uv pip install --quiet --python $python -r "$REQUIREMENTS" 2>/dev/null ||
    $python -m pip install --quiet --disable-pip-version-check -r "$REQUIREMENTS" ||
    stop "the packages of $REQUIREMENTS cannot be installed: see pip's message above"
  printf '%s' "$sum" >"$stamp"
}

own_venv() {
  (: >>.venv.lock) 2>/dev/null || stop "$ROOT cannot be written, so .venv cannot be made: name a Python with PYTHON="
  if command -v flock >/dev/null; then
    exec 9>.venv.lock
    flock 9 2>/dev/null || true # a file system without locks
    make_venv
    exec 9>&-
  else
    make_venv
  fi
  PYTHON="$ROOT/.venv/bin/python"
}

find_python() {
  local active="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" fault
  [ -f "$REQUIREMENTS" ] || stop "REQUIREMENTS=$REQUIREMENTS was not found: name a file of this folder, or leave it out"
  if [ -n "${PYTHON:-}" ]; then
    case "$PYTHON" in # relative to where it was typed, else to the project
      /* | ~*) ;;
      */*) [ ! -e "$THREADWEAVER_STARTED_IN/$PYTHON" ] || PYTHON="$THREADWEAVER_STARTED_IN/$PYTHON"
        [ "${PYTHON#/}" != "$PYTHON" ] || PYTHON="$ROOT/$PYTHON" ;;
    esac
    fault="$(fault_of "$PYTHON")"
    [ -z "$fault" ] || stop "PYTHON=$PYTHON $fault: name another, or leave PYTHON out"
  elif [ -z "$active" ] || [ "$active" -ef .venv ]; then
    own_venv
  else
    fault="$(fault_of "$active/bin/python")"
    if [ -z "$fault" ]; then
      PYTHON="$active/bin/python"
    else
      echo "the active environment $active $fault: using .venv instead" >&2
      own_venv
    fi
  fi
}

# The steps of a run need not look again.
[ "${THREADWEAVER_PYTHON:-}" = "$REQUIREMENTS ${PYTHON:-}" ] || find_python
export PYTHON THREADWEAVER_PYTHON="$REQUIREMENTS $PYTHON"
