"""Progress: a bar on a terminal, elsewhere a line a minute."""

from __future__ import annotations

import io
import time

import pytest

from threadweaver.runs import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch, stream: io.StringIO, until: int) -> str:
    """Return what is shown of a stage that takes as long as it takes to show so many lines."""
    monkeypatch.setattr(progress.sys, "stderr", stream)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    with progress.progress_bar(4, "step 1") as bar:
        bar.update()
        bar.set_postfix_str("2 calls in flight, $0.10")
        deadline = time.monotonic() + 300
        while stream.getvalue().count("\n") < until and time.monotonic() < deadline:
            time.sleep(0.005)
    return stream.getvalue()


def test_without_a_terminal_there_are_lines_also_while_nothing_is_finished(monkeypatch):
    lines = shown(monkeypatch, io.StringIO(), 3).split("\n")
    assert lines[1:3] == ["step 1: 1 of 4 samples, 0 min, 2 calls in flight, $0.10"] * 2


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    assert "step 1: 1 of 4 samples, " not in shown(monkeypatch, Terminal(), 0)


@pytest.mark.parametrize("late", [False, True])
def test_a_bar_leaves_the_terminal_as_it_was(monkeypatch, late):
    stream = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", stream)
    with progress.progress_bar(4, "step 1") as bar:
        bar.start_t, bar.last_print_t = bar.start_t - 3 * late, bar.last_print_t - 3 * late
        bar.set_postfix_str("2 calls in flight")
    *_, last, end = stream.getvalue().split("\r") if late else ("", "")
    assert ("2 calls in flight" in stream.getvalue()) is late
    assert last.strip() == end == "", "what follows begins on an empty line"


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_short_stage_shows_nothing_nor_does_one_without_a_stderr(monkeypatch, stream):
    monkeypatch.setattr(progress.sys, "stderr", stream)
    with progress.progress_bar(4, "step 1") as bar:
        bar.update()
    assert stream is None or stream.getvalue() == ""
