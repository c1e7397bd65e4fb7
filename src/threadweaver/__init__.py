"""ThreadWeaver's data generation: sequential chains of thought become multi-threaded training trajectories."""

import sys as _sys


def _tell_interrupt(kind, error, trace) -> None:
    """Ctrl-C while a command is still importing what it needs: a line, not a screen of where that was."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped before anything was done", file=_sys.stderr)
    else:
        _sys.__excepthook__(kind, error, trace)


_sys.excepthook = _tell_interrupt
