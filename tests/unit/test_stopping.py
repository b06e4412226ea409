"""Requests to stop: the first signal is one, the second ends the process, and a time budget is one, too."""

import os
import signal
import threading

import pytest

from rlvr.stopping import SIGNALS, stop_requests


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request(number, caplog):
    before = signal.getsignal(number)
    with stop_requests() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), number)
        assert stop.reason == f"stopped by {number.name}"
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


def test_a_time_budget_is_a_request_when_it_is_spent():
    with stop_requests(max_minutes=0) as stop:
        assert stop.reason == "stopped after --max-minutes 0"
    with stop_requests(max_minutes=60) as stop:
        assert stop.reason is None


def test_outside_the_main_thread_only_the_time_budget_counts():
    reasons = []

    def job():
        with stop_requests(max_minutes=0) as stop:
            reasons.append(stop.reason)

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert reasons == ["stopped after --max-minutes 0"]
