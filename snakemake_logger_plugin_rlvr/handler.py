"""Turns Snakemake's log records into stages, running jobs, errors and, at the end, the verdict."""

import logging
import sys
import time
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from rlvr.config.choices import PaperItem
from rlvr.status.logs import last_lines
from rlvr.status.screen import Screen
from rlvr.status.stages import Job, Stages, stage_of

LINES = 30
"""Lines of the log of a failed job that are shown."""
ROUTINE = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Conda environments: ignored",
    "Execute ",
    "Finished jobid",
    "Group jobs: inactive",
    "Select jobs to execute",
    "Singularity containers: ignored",
    "Touching output file",
    "Using shell:",
    "host: ",
)
"""Beginnings of messages that say nothing on the run; they are in `.snakemake/log/` all the same."""
STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}
STOPPING = "Terminating processes on user request"
TARGETS = frozenset(
    {"all", "data", "train", "evaluate", "tables", "claims", "rates", "report", "audit", *get_args(PaperItem)}
)
"""Rules of the Snakefile that only name what is to be made."""


class LogHandler(LogHandlerBase):
    """Shows a run by stage; with `--quiet`, only messages and failures; a dry run in Snakemake's words."""

    def __post_init__(self) -> None:
        """Choose between the stages and Snakemake's own output."""
        settings = self.common_settings
        self.quiet = settings.quiet or ()
        own = settings.dryrun or settings.verbose or settings.debug_dag or Quietness.ALL in self.quiet
        self.snakemake = _snakemake_handler(settings) if own else None
        self.screen = Screen(Console(file=sys.stderr, no_color=settings.nocolor or None, highlight=False))
        self.stages: Stages | None = None
        self.studies: list[str] = []
        self.reported = False  # all there is to report was reported before
        self.stopping = False  # Ctrl-C was pressed: jobs save what they have and end
        self.ended = False

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if self.snakemake:
            self.snakemake.handle(record)
            return
        try:
            self._show(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End the display, and print the verdict of every study whose page there is."""
        if not self.ended:
            self.ended = True
            self.screen.end()
            if self.snakemake is None:
                self._verdicts()
        super().close()

    def _show(self, record: logging.LogRecord) -> None:
        facts = record.__dict__
        self.studies = facts.get("studies") or self.studies
        match facts.get("event"):
            case LogEvent.RUN_INFO if not self.quiet:
                self._begin(facts["stats"])
            case LogEvent.JOB_INFO:
                self._started(facts)
            case LogEvent.JOB_FINISHED:
                if self.stages and (job := self.stages.finish(facts["job_id"], time.time())):
                    self.screen.finished(job)
            case LogEvent.JOB_ERROR:
                self._failed(facts)
            case LogEvent.GROUP_ERROR:
                self.screen.say(_group_failure(facts), "bold red")
            case LogEvent.SHELLCMD if self.common_settings.printshellcmds and facts.get("shellcmd"):
                self.screen.say("\n".join(_command(facts["shellcmd"])))
            case None | LogEvent.ERROR:
                self._message(record)

    def _begin(self, stats: dict[str, int]) -> None:
        jobs = {rule: number for rule, number in stats.items() if rule not in {"total", *TARGETS}}
        self.stages = Stages.of_rules(jobs)
        self.reported = not jobs.keys() - {"check_runs"}
        self.screen.begin(self.stages)

    def _started(self, facts: dict[str, Any]) -> None:
        if self.stages and facts["rule_name"] not in TARGETS:
            log = Path(facts["log"][0]) if facts["log"] else None
            title = facts["rule_msg"] or f"{facts['rule_name']} (job {facts['jobid']})"
            if len(self.studies) > 1 and (study := facts["wildcards"].get("study")):
                title = f"{study}: {title}"  # studies have runs of the same name
            job = Job(facts["jobid"], stage_of(facts["rule_name"]), title, log, time.time())
            self.stages.start(job)
            self.screen.started(job)

    def _failed(self, facts: dict[str, Any]) -> None:
        job = self.stages.fail(facts["jobid"]) if self.stages else None
        title = job.title if job else facts["rule_name"]
        if self.stopping:
            self.screen.say(f"Stopped: {title}", "yellow")
        else:
            self.screen.say(_failure(title, facts), "red")
        self.screen.redraw()

    def _message(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.reported |= text == NOTHING_TO_BE_DONE_MSG
        self.stopping |= text.startswith(STOPPING)
        if record.levelno <= logging.INFO and text.startswith(ROUTINE):
            return
        if text and text != "None":
            self.screen.say(text, STYLES.get(record.levelno, ""))

    def _verdicts(self) -> None:
        for study in self.studies:
            page = Path("reports") / f"{study}.html"
            written = self.stages and page.exists() and page.stat().st_mtime >= self.stages.started
            if written or (self.reported and page.exists()):
                self.screen.say(_verdict(study, page))

    @property
    def writes_to_stream(self) -> bool:
        """Replaces Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log file has everything."""
        return False

    @property
    def has_filter(self) -> bool:
        """What is not shown is decided here."""
        return True

    @property
    def has_formatter(self) -> bool:
        """What is shown is written here."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The stages have a fixed order."""
        return False


def _failure(title: str, facts: dict[str, Any]) -> str:
    """Return all that is known of a failed job: message, log and its last lines, else its command."""
    lines = [f"Failed: {title} (rule {facts['rule_name']}, job {facts['jobid']})"]
    lines += [f"  {message}" for message in (facts["rule_msg"] or "").splitlines()]
    lines += [f"  {name}: {value}" for name, value in facts["aux"].items()]
    for log in facts["log"]:
        lines += [f"  log: {log}", *(f"    {line}" for line in last_lines(Path(log), LINES))]
    if not facts["log"] and facts["shellcmd"]:
        lines += ["  command:", *_command(facts["shellcmd"])]
    return "\n".join(lines)


def _command(shell: str) -> list[str]:
    """Return the lines of a command, indented."""
    return [f"    {line}" for line in shell.splitlines() if line.strip()]


def _group_failure(facts: dict[str, Any]) -> str:
    """Return which jobs were in a group of which one failed; each of them is shown on its own as well."""
    lines = [f"Failed: a group of {len(facts['job_error_info'])} jobs"]
    for log in facts["aux_logs"]:
        lines += [f"  log: {log}", *(f"    {line}" for line in last_lines(Path(log), LINES))]
    return "\n".join(lines)


def _verdict(study: str, page: Path) -> str:
    """Return the verdict of a study; where its tables cannot be read, why, and its page."""
    from rlvr.errors import UserError
    from rlvr.report.terminal import verdict_lines

    try:
        lines = verdict_lines(Path("results") / study, Path("resources"), page.resolve())
    except UserError as error:
        lines = [str(error), f"Report    {page.resolve()}"]
    return "\n".join([f"\n{study}", *(f"  {line}" for line in lines)])


def _snakemake_handler(settings: Any) -> logging.Handler:
    """Return the handler that Snakemake has without a plugin."""
    handler = ColorizingTextHandler(settings.nocolor, sys.stdout if settings.stdout else sys.stderr)
    handler.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
    handler.addFilter(
        DefaultFilter(
            settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds
        )
    )
    return handler
