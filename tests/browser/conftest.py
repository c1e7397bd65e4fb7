"""A run, its server and a browser, shared by the tests of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.chromium import Command, opened
from browser.fixture import Run, other_run

SOON = 8000
"""Milliseconds that an expectation may take."""
expect.set_options(timeout=SOON)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return Run(tmp_path_factory.mktemp("run")).write()


@pytest.fixture(scope="session")
def served(root):
    with Command(root) as command:
        yield command


@pytest.fixture(scope="session")
def both(tmp_path_factory):
    """Two runs over one source in one server."""
    parent = tmp_path_factory.mktemp("two")
    for name in ("a", "b"):
        (parent / name).mkdir()
    with Command(Run(parent / "a").write(), "--root", str(other_run(parent / "b"))) as command:
        command.indexed(0, 1)
        yield command


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def page(browser):
    """A fresh page. At its end: nothing was asked of another machine, nothing failed, no chain ran as a script."""
    page = browser.new_page()
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.set_viewport_size({"width": 1400, "height": 900})
    yield page
    strange = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:"))]
    broken = page.evaluate("window.broken")
    page.close()
    assert not strange and not faults and broken is None
