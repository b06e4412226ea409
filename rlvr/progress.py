"""Progress of long work: a bar on a terminal, a line every few seconds in a log."""

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LOG_EVERY_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Steps:
    """Counts steps of a known total: ``with Steps("training", 40) as steps: steps.done(1, "reward 0.5")``."""

    def __init__(self, title: str, total: int, completed: int = 0) -> None:
        """Expect ``total`` steps, of which ``completed`` were done by an earlier attempt."""
        self.title, self.total, self.completed = title, total, completed
        self.started = self.logged = time.monotonic()
        self.first = completed
        self.bar = _bar() if sys.stderr.isatty() else None

    def __enter__(self) -> "Steps":
        """Show the bar."""
        if self.bar:
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=self.total, completed=self.completed, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        if self.bar:
            self.bar.stop()

    def done(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` more steps; ``note`` is shown after them."""
        self.completed += count
        if self.bar:
            self.bar.update(self.task, completed=self.completed, note=note)
            return
        now = time.monotonic()
        if now - self.logged >= LOG_EVERY_SECONDS or self.completed >= self.total:
            self.logged = now
            left = self._seconds_left(now)
            parts = f"{self.title}: {self.completed}/{self.total}", note, f"{left:.0f} s left"
            logger.info("%s", "  ".join(part for part in parts if part))

    def _seconds_left(self, now: float) -> float:
        pace = (now - self.started) / max(self.completed - self.first, 1)
        return pace * (self.total - self.completed)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
