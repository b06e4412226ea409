"""Requests to stop: the first signal is one, the second ends the process, and a time limit is one, too."""

import os
import signal
import threading

import pytest

from rlvr import stopping
from rlvr.stopping import SIGNALS, stop_requests


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request(number, caplog):
    before = signal.getsignal(number)
    with stop_requests() as stop:
        assert stop.check() is None
        os.kill(os.getpid(), number)
        assert stop.check() == f"stopped by {number.name}"
    assert "a second signal ends at once" in caplog.text
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_ends_the_process_at_once(second):
    child = os.fork()
    if child == 0:
        with stop_requests():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), second)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == second


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets, in minutes."""
    minutes = [0.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: 1000 + 60 * minutes[0])
    return minutes


def stops(clock, max_minutes: float, checks: list[float]) -> list[bool]:
    """Whether a job is asked to stop at each of some times, in minutes from its start."""
    clock[0] = 0.0
    answers = []
    with stop_requests(max_minutes) as stop:
        for clock[0] in checks:
            answers.append(stop.check() == f"stopped by --max-minutes {max_minutes:g}")
    return answers


def test_a_time_limit_asks_to_stop_before_a_step_that_might_not_fit(clock):
    assert stops(clock, 30, [3, 6, 9, 12, 15, 18, 21, 23.9]) == [False] * 8
    assert stops(clock, 30, [3, 6, 9, 12, 15, 18, 21, 24]) == [False] * 7 + [True], "a tenth is in reserve"
    assert stops(clock, 30, [3, 14, 16]) == [False, False, True], "the longest step counts, not the last"
    assert stops(clock, 2880, [10 * x for x in range(1, 286)]) == [False] * 285, "ten minutes at most"
    assert stops(clock, 0, [0]) == [True]
    clock[0] = 0.0
    with stop_requests(30) as stop:
        clock[0] = 14
        stop.begin_steps()
        clock[0] = 16
        assert stop.check() is None, "a long start is no step"
    with stop_requests() as stop:
        clock[0] = 1e9
        assert stop.check() is None


def test_outside_the_main_thread_only_the_time_limit_counts():
    reasons = []

    def job():
        with stop_requests(max_minutes=0) as stop:
            reasons.append(stop.check())

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert reasons == ["stopped by --max-minutes 0"]
