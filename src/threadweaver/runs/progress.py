"""Progress on stderr: a bar on a terminal, elsewhere (a file, a pipe) a line a minute."""

from __future__ import annotations

import sys
import threading
import time

LINE_SECONDS = 60.0


def progress_bar(total: int | None, title: str):
    """Return the progress of `total` samples: a bar, shown after two seconds, where stderr is a terminal, else lines."""
    if sys.stderr is None or not sys.stderr.isatty():
        return ProgressLines(total, title)
    return _bar()(total=total, desc=title, unit=" samples", delay=2, leave=False, file=sys.stderr)


def _bar():
    """Return tqdm's bar as a class that draws nothing before its delay, and clears whatever it has drawn.

    Without this a new status draws the bar at any time, and what only a status has drawn is left in the way of the
    terminal's next line.
    """
    from tqdm import tqdm

    class Bar(tqdm):
        drawn = False

        def display(self, *args, **options):
            if self._time() < self.start_t + self.delay:
                return False
            self.drawn = True
            return super().display(*args, **options)

        def close(self) -> None:
            if self.drawn:
                self.delay = 0
            super().close()

    return Bar


class ProgressLines:
    """Prints a line every LINE_SECONDS while it is open, whether or not a sample was finished in the meantime."""

    def __init__(self, total: int | None, title: str):
        self.total, self.title, self.done, self.status = total, title, 0, ""
        self._begun = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> ProgressLines:
        if sys.stderr is not None:
            self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def update(self) -> None:
        self.done += 1

    def set_postfix_str(self, text: str) -> None:
        self.status = text

    def _run(self) -> None:
        while not self._closed.wait(LINE_SECONDS):
            minutes = (time.monotonic() - self._begun) / 60
            after = f", {self.status}" if self.status else ""
            of = "" if self.total is None else f" of {self.total}"
            line = f"{self.title}: {self.done}{of} samples, {minutes:.0f} min{after}"
            print(line, file=sys.stderr, flush=True)
