"""The edge of a command: errors become one line and an exit code, never a traceback."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Sequence

from threadweaver.errors import UserError


def run_command(main: Callable[[Sequence[str] | None], int]) -> None:
    """Run a command's `main` and turn its end into an exit code: 0, 1 (samples failed), 2 (the user's to mend), 130.

    SIGTERM, which batch systems and containers send, ends it as Ctrl-C does: calls on the wire are waited for.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        code = main(None)
    except UserError as error:
        print(_one_line(str(error)), file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped: what is done is kept, and the same command goes on from there", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        print(_one_line(describe_os_error(error)), file=sys.stderr)
        code = 2
    raise SystemExit(code)


def describe_os_error(error: OSError) -> str:
    """One line for a full disk, a missing permission and the like."""
    name = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left to write {name}: make room and run the same command again; what is done is kept"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{name} may not be written or read ({error.strerror}): change its permissions or name another --output"
    return f"{error.strerror or error} ({name})"


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))
