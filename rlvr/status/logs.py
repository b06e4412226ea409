"""Read the end of a job's log: its last lines, and how far the job is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROGRESS = re.compile(r"^(?:.*: )?(\d+)/(\d+)  (?:reward (\S+)  )?.*?(\d+) s left$")
"""A line of :class:`rlvr.progress.Steps` in a log."""


class Progress(NamedTuple):
    """How far a job is, by the last line of progress in its log."""

    steps: int
    planned_steps: int
    reward: float | None
    seconds_left: float


def log_progress(log: Path, now: float) -> Progress | None:
    """Return how far a job is; None where its log does not say.

    Args:
        log: the log of the job.
        now: seconds since the epoch; what has passed since the log was written is taken off the time left.
    """
    try:
        since = now - log.stat().st_mtime
    except OSError:  # Snakemake removes the log before another attempt
        return None
    for line in reversed(list(_end_of(log))):
        if match := PROGRESS.match(line):
            steps, planned, reward, left = match.groups()
            return Progress(
                int(steps), int(planned), float(reward) if reward else None, max(float(left) - since, 0.0)
            )
    return None


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not empty; none where there is no log."""
    return [line for line in _end_of(log) if line.strip()][-count:]


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty; nothing where there is no log."""
    return "".join(last_lines(log, 1))


def _end_of(log: Path, size: int = 16_384) -> Iterator[str]:
    """Yield the last lines of a log."""
    try:
        with open(log, "rb") as file:
            file.seek(max(log.stat().st_size - size, 0))
            yield from file.read().decode(errors="replace").splitlines()
    except OSError:
        return
