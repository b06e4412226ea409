"""Show how far the runs of a study are: a table that keeps up to date on a terminal, else printed once."""

import time
from collections import Counter
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rlvr.status.runs import ENDED, RunStatus

EVERY_SECONDS = 5.0
WIDE = 160
"""Columns of the table where there is no terminal, so that a name is not folded."""


def show_status(look: Callable[[], list[RunStatus]]) -> None:
    """Print the runs; on a terminal, again and again until all have ended or Ctrl-C is pressed."""
    console = Console()
    if not console.is_terminal:
        Console(width=max(console.width, WIDE)).print(page(look()))
        return
    statuses = look()
    with Live(page(statuses), console=console, auto_refresh=False) as live:
        try:
            while not all(status.state in ENDED for status in statuses):
                time.sleep(EVERY_SECONDS)
                statuses = look()
                live.update(page(statuses), refresh=True)
        except KeyboardInterrupt:
            return


def page(statuses: list[RunStatus]) -> Group:
    """Return the table with its totals."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("run", "state"):
        table.add_column(name, overflow="fold")
    for name in ("steps", "reward", "left", "attempts", "device hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for status in statuses:
        table.add_row(*_cells(status))
    notes = [Text(f"{status.run}: {status.note}") for status in statuses if status.note]
    return Group(table, Text(totals(statuses)), *notes)


def totals(statuses: list[RunStatus]) -> str:
    """Return how many runs are in each state, and what they cost so far."""
    states = Counter(status.state for status in statuses)
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    return (
        f"{len(statuses)} runs: {counts}; {sum(status.device_hours for status in statuses):.2f} device hours"
    )


def _cells(status: RunStatus) -> list[str]:
    where = f"{status.state} on {status.host}" if status.host else status.state
    steps = "" if status.steps is None else f"{status.steps} of {status.planned_steps}"
    return [
        status.run,
        where,
        steps,
        "" if status.reward is None else f"{status.reward:.2f}",
        "" if status.seconds_left is None else duration(status.seconds_left),
        str(status.attempts or ""),
        f"{status.device_hours:.2f}" if status.device_hours else "",
    ]


def duration(seconds: float) -> str:
    """Return a time in its two largest units: ``42 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
