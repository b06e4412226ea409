"""Requests to stop: signals and a time limit end a job between two steps, not within one."""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LARGEST_RESERVE = 600.0
"""Seconds of a time limit kept for what is before and after the steps, at most; else a tenth of it."""

logger = logging.getLogger(__name__)


class StopRequest:
    """Whether a job has been asked to stop."""

    def __init__(self, max_minutes: float | None) -> None:
        self.max_minutes = max_minutes
        self._checked = time.monotonic()
        self._ends = math.inf
        """When the last step must have ended."""
        if max_minutes is not None:
            self._ends = self._checked + 60 * max_minutes - min(6 * max_minutes, LARGEST_RESERVE)
        self._longest = 0.0
        """The longest time from one check to the next, in seconds: what another step may take."""
        self._signal: str | None = None

    def begin_steps(self) -> None:
        """Start the clock of the first step, so that what came before it does not count as one."""
        self._checked = time.monotonic()

    def check(self) -> str | None:
        """Return, after a step, what asks the job to stop, in words; None while nothing does.

        The time limit does so when a step as long as the longest one so far would no longer fit.
        """
        now = time.monotonic()
        self._longest, self._checked = max(self._longest, now - self._checked), now
        if self._signal:
            return f"stopped by {self._signal}"
        if now + self._longest >= self._ends:
            return f"stopped by --max-minutes {self.max_minutes:g}"
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
    """Yield the requests to stop that arrive within the block: SIGTERM, SIGINT, and the time limit.

    Signals reach the main thread only; in another thread, the time limit alone counts.

    Args:
        max_minutes: time limit from the start of the block, within which the job is to end; None: no limit.
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
