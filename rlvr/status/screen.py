"""Show a run of the workflow: on a terminal a table that keeps up to date, else a line for what happens."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from rlvr.status.logs import Progress
from rlvr.status.show import duration
from rlvr.status.stages import Job, StageRow, Stages, View

REDRAW_SECONDS = 1.0
LINE_SECONDS = 30.0
"""Between two lines on the progress of running jobs where there is no terminal."""
LONG = ("pretrain", "train", "evaluate")
"""Stages of which every job gets a line where there is no terminal; of the others, each stage gets one."""
BAR = 20
"""Columns of a stage's bar."""
BESIDE_BAR = 48
"""Columns that the rest of a stage's line may need; on a narrower terminal the bar is shorter, or missing."""
FEWEST_JOBS = 3
"""Running jobs that are listed on a terminal however low it is."""


class Screen:
    """Where a run is shown. Messages stay; what is above them on a terminal is redrawn below them."""

    def __init__(self, console: Console) -> None:
        """Show on ``console``."""
        self.console = console
        self.stages: Stages | None = None
        self.live: Live | None = None
        self.ticker: Ticker | None = None

    def begin(self, stages: Stages) -> None:
        """Begin to show a run."""
        self.stages = stages
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self.live = Live(self._page(), console=self.console, auto_refresh=False, transient=True)
            self.live.start()
            self.ticker = Ticker(REDRAW_SECONDS, self.redraw)
        else:
            planned = ", ".join(f"{name} {number}" for name, number in stages.planned.items())
            self.say(f"Jobs: {planned}")
            self.ticker = Ticker(LINE_SECONDS, self._progress_lines)
        self.ticker.start()

    def say(self, message: str, style: str = "") -> None:
        """Print a message as it is."""
        self.console.print(Text(message, style), soft_wrap=True)

    def started(self, job: Job) -> None:
        """Show that a job was given to the executor."""
        self._redraw_or(lambda stages: self._line(f"{job.title}: started") if job.stage in LONG else None)

    def finished(self, job: Job) -> None:
        """Show that a job has ended well."""

        def line(stages: Stages) -> None:
            row = stages.row(job.stage, {}, time.time())
            if job.stage in LONG:
                took = duration(time.time() - job.started)
                self._line(f"{job.title}: finished in {took} ({_counts(row)})")
            elif row.ended:
                self._line(_counts(row))

        self._redraw_or(line)

    def redraw(self) -> None:
        """Draw the table again."""
        if self.live:
            self.live.update(self._page(), refresh=True)

    def end(self) -> None:
        """Leave the terminal clean, with the last state of the stages."""
        if self.ticker:
            self.ticker.stop()
        if self.live:
            self.live.update(Text(""))
            self.live.stop()
        if self.stages:
            self.console.print(_table(self.stages.view(time.time()), self.console.width, ended=True))
        self.live = self.stages = self.ticker = None

    def _redraw_or(self, line: Callable[[Stages], None]) -> None:
        if self.live:
            self.redraw()
        elif self.stages:
            line(self.stages)

    def _line(self, text: str) -> None:
        assert self.stages
        passed = timedelta(seconds=round(time.time() - self.stages.started))
        self.say(f"[{passed}] {text}")

    def _progress_lines(self) -> None:
        if self.stages:
            for job, progress in self.stages.view(time.time()).jobs:
                if progress:
                    self._line(f"{job.title}: {'  '.join(filter(None, _progress_cells(progress)))}")

    def _page(self) -> RenderableType:
        assert self.stages
        view = self.stages.view(time.time())
        most = max(self.console.height - len(view.rows) - 6, FEWEST_JOBS)
        return Group(_heading(view), _table(view, self.console.width), _running(view, most))


class Ticker(threading.Thread):
    """Calls a function every few seconds until it is stopped."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        """Call ``function`` every ``seconds``."""
        super().__init__(daemon=True)
        self.seconds, self.function = seconds, function
        self.stopped = threading.Event()

    def run(self) -> None:
        """Call the function, in a thread of its own."""
        while not self.stopped.wait(self.seconds):
            self.function()

    def stop(self) -> None:
        """Return when the function is not called any more."""
        self.stopped.set()
        self.join()


def _counts(row: StageRow) -> str:
    failed = f", {row.failed} failed" if row.failed else ""
    return f"{row.name} {row.done}/{row.total}{failed}"


def _heading(view: View) -> Text:
    text = f"{duration(view.seconds)} so far"
    if view.seconds_left is not None:
        text += f", {'about' if view.all_known else 'more than'} {duration(view.seconds_left)} left"
    return Text(text, "bold")


def _table(view: View, width: int, ended: bool = False) -> Table:
    table = Table.grid(*(Column(no_wrap=True) for _ in range(5)), padding=(0, 2))
    columns = min(max(width - BESIDE_BAR, 0), BAR)
    for row in view.rows:
        filled = round(columns * row.done / row.total)
        bar = Text("━" * filled, "green") + Text("━" * (columns - filled), "dim")
        left = f"{duration(row.seconds_left)} left" if row.seconds_left is not None and not ended else ""
        failed = Text(f"{row.failed} failed" if row.failed else "", "bold red")
        table.add_row(f"  {row.name}", bar, f"{row.done}/{row.total}", left, failed)
    return table


def _running(view: View, most: int) -> RenderableType:
    table = Table.grid(*(Column(no_wrap=True) for _ in range(4)), padding=(0, 2))
    for job, progress in view.jobs[:most]:
        table.add_row(f"  {job.title}", *(_progress_cells(progress) if progress else ()))
    hidden = len(view.jobs) - most
    notes = [f"{hidden} more running"] if hidden > 0 else []
    notes += [f"{view.submitted} submitted, not yet started"] if view.submitted else []
    return Group(table, Text(f"  {', '.join(notes)}" if notes else "", "dim"))


def _progress_cells(progress: Progress) -> tuple[str, str, str]:
    reward = "" if progress.reward is None else f"reward {progress.reward:.2f}"
    steps = f"{progress.steps}/{progress.planned_steps}"
    return steps, reward, f"{duration(progress.seconds_left)} left"
