"""Requests to stop: signals and a time budget end a job between two steps, not within one."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


class StopRequest:
    """Whether a job has been asked to stop."""

    def __init__(self, max_minutes: float | None) -> None:
        self.max_minutes = max_minutes
        self._started = time.monotonic()
        self._signal: str | None = None

    @property
    def reason(self) -> str | None:
        """What asks the job to stop after its current step, in words; None while nothing does."""
        if self._signal:
            return f"stopped by {self._signal}"
        if self.max_minutes is not None and time.monotonic() - self._started >= 60 * self.max_minutes:
            return f"stopped after --max-minutes {self.max_minutes:g}"
        return None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first one is a request, the second one ends the process at once."""
        if self._signal:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._signal = signal.Signals(number).name
        logger.warning("%s: stopping after the current step; a second signal ends at once", self._signal)


@contextmanager
def stop_requests(max_minutes: float | None = None) -> Iterator[StopRequest]:
    """Yield the requests to stop that arrive within the block: SIGTERM, SIGINT, and the time budget.

    Signals reach the main thread only; in another thread, the time budget alone counts.

    Args:
        max_minutes: time budget from the start of the block; None: no limit.
    """
    request = StopRequest(max_minutes)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
