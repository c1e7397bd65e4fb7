"""The edge of a command: errors become one line and an exit code, never a traceback. Also prints commands to type."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import IO

from threadweaver.errors import UserError
from threadweaver.text import shown

_ROOT = Path(__file__).resolve().parents[3]


def run_command(main: Callable[[Sequence[str] | None], int]) -> None:
    """Run a command's `main` and turn its end into an exit code: 0, 1 (samples failed), 2 (the user can fix it), 130.

    SIGTERM, which batch systems and containers send, ends it as Ctrl-C does: it waits for calls under way.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # of a job that a script started with `&`: SIGTERM would be lost
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A process of the grading would import the script again, 0.4 s of processor time for nothing: not one of this name.
    sys.modules["__main__"].__spec__ = ModuleSpec("__main__", None)
    _open_closed()
    with _any_streams() as stdout:
        code = _code_of(main)
        stdout.flush()
        if stdout.lost:
            print(f"standard output could not be written ({stdout.lost}); what was done is kept", file=sys.stderr)
        sys.stderr.flush()
    raise SystemExit(code)


def _code_of(main: Callable[[Sequence[str] | None], int]) -> int:
    """Return how a command ends, with a line on stderr for an error that is the user's."""
    try:
        return main(None)
    except UserError as error:
        print(_one_line(str(error)), file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped: what is done is kept, and the same command continues from there", file=sys.stderr)
        return 130
    except OSError as error:
        print(_one_line(describe_os_error(error)), file=sys.stderr)
    except MemoryError:
        print("there is not enough memory for this: give fewer samples, or a smaller number in a flag", file=sys.stderr)
    return 2


@contextlib.contextmanager
def _any_streams() -> Iterator[_Stream]:
    """Let standard output and error be of any kind while a command runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_Stream, before)
    try:
        yield sys.stdout
    finally:
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open the standard streams that whoever started us has closed: the next file would get their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


class _Stream:
    """Standard output or error of any kind: what cannot be written there neither ends the run nor hides its end.

    An encoding without our characters gets escapes. `lost` says why nothing more is written, unless the reader has
    gone, as that of `| head` does.
    """

    def __init__(self, stream: IO[str] | None):
        self.lost = ""
        self._stream = stream if stream is not None else open(os.devnull, "w")  # noqa: SIM115  as long as the process
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        with self._tolerating():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._tolerating():
            self._stream.flush()

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _tolerating(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.lost = self.lost or error.strerror or str(error)
            # what is still buffered would fail again when the interpreter ends
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, self._stream.fileno())
            os.close(devnull)


def describe_os_error(error: OSError) -> str:
    """Return one line for a full disk, a missing permission and the like."""
    name = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left to write {name}: make room and run the same command again; what is done is kept"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{name} may not be written or read ({error.strerror}): change its permissions or name another --output"
    return f"{error.strerror or error} ({name})"


def shown_command(script: str, *words: str | Path) -> str:
    """Return a command of this project as it can be typed in the directory where the user started the program.

    `script` is relative to the project's root; words that are paths are relative to the current directory.
    """
    shown = [shown_path(word) if isinstance(word, Path) else word for word in words]
    return shlex.join([_shown_python(), shown_path(_ROOT / script), *shown])


def shown_run(**settings: str | Path) -> str:
    """Return run.sh with these variables as it can be typed in the directory where the user started the program.

    A path is relative to the project's root, where run.sh reads it, or absolute.
    """
    words = []
    for name, value in settings.items():
        if isinstance(value, Path):
            full = value.resolve()
            value = str(full.relative_to(_ROOT) if full.is_relative_to(_ROOT) else full)
        words.append(f"{name}={shlex.quote(value)}")
    script = shown_path(_ROOT / "run.sh")
    return " ".join([*words, shlex.quote(script if os.sep in script else f"./{script}")])


def shown_path(path: Path) -> str:
    """Return a path as it can be typed in the directory where the user started the program."""
    started_in = os.environ.get("THREADWEAVER_STARTED_IN") or os.getcwd()  # run.sh changes to the project's root
    full = os.path.abspath(path)
    return os.path.relpath(full, started_in) if Path(full).is_relative_to(started_in) else full


def _shown_python() -> str:
    if shutil.which("python") == sys.executable:
        return "python"
    shown = shown_path(Path(sys.executable))
    return shown if os.sep in shown else sys.executable


def _one_line(text: str) -> str:
    return " ".join(shown(text).split("\n"))
