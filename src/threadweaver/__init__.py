"""ThreadWeaver's data generation: sequential chains of thought become multi-threaded training trajectories."""

import sys as _sys
from pathlib import Path as _Path

_ROOT = _Path(__file__).resolve().parents[2]
_WAY_ON = f"use {_ROOT / '.venv' / 'bin' / 'python'}, which ./run.sh makes"

if _sys.version_info < (3, 11):  # noqa: UP036 - commands that are run directly may be run by any Python
    print(f"Python 3.11 or newer is needed, and {_sys.executable} is older: {_WAY_ON}", file=_sys.stderr)
    raise SystemExit(2)


def _report(kind, error, trace) -> None:
    """Print one line where it is not a fault of ours: Ctrl-C while a command is importing, and a missing package."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped before anything was done", file=_sys.stderr)
    elif issubclass(kind, ModuleNotFoundError) and not str(error.name).startswith(__name__):
        line = f"{_sys.executable} lacks the package {error.name}: {_WAY_ON}, or install requirements.txt"
        print(line, file=_sys.stderr)
        raise SystemExit(2)
    else:
        _sys.__excepthook__(kind, error, trace)


if _Path((_sys.argv or [""])[0]).resolve().parent == _ROOT / "src" or "threadweaver.runs" in " ".join(_sys.orig_argv):
    _sys.excepthook = _report  # of our own commands; a program that imports the library keeps its own
