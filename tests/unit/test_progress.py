"""Progress: lines in a log, a bar on a terminal, never both."""

import io
import logging
import sys

import pytest

from rlvr import progress
from rlvr.progress import Steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_few_seconds_and_at_the_end(caplog, monkeypatch):
    clock = iter([0.0, 4.0, 12.0, 15.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO), Steps("training", 13, completed=10) as steps:
        for _ in range(3):
            steps.done(1, "reward 0.5")
    assert caplog.messages == [
        "training: 12/13  reward 0.5  6 s left",
        "training: 13/13  reward 0.5  0 s left",
    ]


def test_a_terminal_gets_a_bar_and_no_lines(caplog, monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with caplog.at_level(logging.INFO), Steps("training", 2) as steps:
        steps.done(2, "reward 0.5")
    assert "2/2" in terminal.getvalue() and "reward 0.5" in terminal.getvalue()
    assert caplog.messages == []
