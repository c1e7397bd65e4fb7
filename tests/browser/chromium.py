"""A real Chromium, kept to itself, and the viewer's command as a process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

COMMAND = Path(__file__).resolve().parents[2] / "src" / "visualize_trajectories.py"
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def executable() -> str:
    """Where Chromium is: CHROMIUM, or the first of NAMES on the path."""
    named = os.environ.get("CHROMIUM")
    found = next((path for name in ((named,) if named else NAMES) if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("no Chromium: install it (apt-get install chromium) or name it with CHROMIUM=")
    return found


@contextlib.contextmanager
def opened(profile: Path, **options) -> Iterator:
    """A browser context with a profile of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=executable(), headless=True, args=ARGUMENTS, **options
        )
        try:
            yield context
        finally:
            context.close()


class Command:
    """`visualize_trajectories.py` on a free port, with its index complete."""

    def __init__(self, root: Path, *arguments: str):
        self.line = [sys.executable, str(COMMAND), "--root", str(root), "--port", "0", *arguments]

    def __enter__(self) -> Command:
        self.process = subprocess.Popen(self.line, stdout=subprocess.PIPE, text=True)
        self.base = re.search(r"http://[^/ ]+", self.process.stdout.readline()).group()
        for _ in range(600):
            with contextlib.suppress(OSError):
                if self.json("/api/run")["index"]["complete"]:
                    return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError("no index within 30 s")

    def __exit__(self, *exception) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def indexed(self, *runs: int) -> None:
        """Wait until these runs of several are indexed."""
        for run in runs:
            for _ in range(600):
                if self.json(f"/run/{run}/api/run")["index"]["complete"]:
                    break
                time.sleep(0.05)

    def json(self, path: str):
        with urllib.request.urlopen(self.base + path, timeout=30) as answer:
            return json.load(answer)
