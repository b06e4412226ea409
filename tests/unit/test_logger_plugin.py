"""The terminal of the workflow, fed with Snakemake's records: by its interface's own tests, and by ours."""

import io
import logging
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

from rlvr.config.choices import PaperItem
from snakemake_logger_plugin_rlvr import LogHandler
from snakemake_logger_plugin_rlvr.handler import TARGETS
from tests.helpers.paths import REPOSITORY
from tests.helpers.report_tree import write_tree

STATS = {"prepare_data": 2, "train_run": 1, "render_report": 1, "all": 1, "total": 5}


class TestByTheInterface(TestLogHandlerBase):
    """What Snakemake's interface asks of every plugin."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> None:
        return None


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def handler(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **settings: Any) -> LogHandler:
    monkeypatch.setattr(sys, "stderr", stream)
    chosen = MockOutputSettings()
    for name, value in {"printshellcmds": False, **settings}.items():
        setattr(chosen, name, value)
    return LogHandler(common_settings=chosen, settings=None)


def record(message: str | None, level: int = logging.INFO, **facts: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "workflow.py", 1, message, (), None)
    made.__dict__.update(facts)
    return made


def job(number: int, rule: str, message: str, log: Path | None = None, **facts: Any) -> logging.LogRecord:
    facts = {
        "event": LogEvent.JOB_INFO, "jobid": number, "rule_name": rule, "rule_msg": message,
        "log": [str(log)] if log else [], "wildcards": {}, **facts,
    }  # fmt: skip
    return record("", **facts)


def finished(number: int) -> logging.LogRecord:
    return record("", event=LogEvent.JOB_FINISHED, job_id=number)


def test_snakemake_finds_the_plugin():
    assert "rlvr" in LoggerPluginRegistry().get_registered_plugins()


def test_the_targets_are_those_of_the_snakefile():
    named = re.findall(r"^rule (\w+):", (REPOSITORY / "Snakefile").read_text(), re.MULTILINE)
    assert {*named, *get_args(PaperItem)} == TARGETS


def test_without_a_terminal_long_jobs_have_lines_and_short_ones_a_line_for_their_stage(monkeypatch, folder):
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    terminal.emit(record("Building DAG of jobs..."))
    terminal.emit(record("study 'demo': two presets", logging.WARNING))
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats=STATS))
    for number in (1, 2):
        terminal.emit(job(number, "prepare_data", f"Preparing {number}"))
        terminal.emit(finished(number))
    terminal.emit(job(3, "train_run", "Training one"))
    terminal.emit(finished(3))
    terminal.close()
    lines = stream.getvalue().splitlines()
    assert lines[:5] == [
        "study 'demo': two presets",
        "Jobs: prepare 2, train 1, report 1",
        "[0:00:00] prepare 2/2",
        "[0:00:00] Training one: started",
        "[0:00:00] Training one: finished in 0 s (train 1/1)",
    ]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_is_redrawn_with_running_jobs_and_left_with_its_cursor(monkeypatch, folder):
    log = folder / "one.log"
    log.write_text("one: 20/60  reward 0.51  length 4  80 s left\n")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    terminal = handler(monkeypatch, stream)
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats=STATS))
    terminal.emit(job(3, "train_run", "Training one", log))
    shown = stream.getvalue()
    assert "Training one" in shown and "20/60" in shown and "reward 0.51" in shown and "1 min left" in shown
    assert "more than 1 min left" in shown, "nothing is known of the report"
    terminal.close()
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
    terminal.close()  # again, as Snakemake may


def test_an_error_has_the_message_the_log_and_its_last_lines(monkeypatch, folder):
    log = folder / "one.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats=STATS))
    terminal.emit(job(3, "train_run", "Training one", log))
    error = {"event": LogEvent.JOB_ERROR, "aux": {"slurm_jobid": 7}, "shellcmd": "rlvr train"}
    failure = job(3, "train_run", "see the log of the cluster", log, **error)
    failure.levelno = logging.ERROR
    terminal.emit(failure)
    terminal.close()
    shown = stream.getvalue()
    assert "Failed: Training one (rule train_run, job 3)\n  see the log of the cluster\n" in shown
    assert f"  slurm_jobid: 7\n  log: {log}\n    line 70\n" in shown and "    line 99\n" in shown
    assert "0/1" in shown and "1 failed" in shown

    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    terminal.emit(job(4, "check_runs", "", None, **error))
    assert "command:\n    rlvr train" in stream.getvalue(), "without a log, the command"


def test_jobs_that_end_by_ctrl_c_are_stopped_and_not_failed(monkeypatch, folder):
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats=STATS))
    terminal.emit(job(3, "train_run", "Training one"))
    terminal.emit(record("Terminating processes on user request, this might take some time."))
    terminal.emit(job(3, "train_run", "", event=LogEvent.JOB_ERROR, aux={}, shellcmd="x"))
    assert "Stopped: Training one" in stream.getvalue() and "Failed" not in stream.getvalue()


def test_with_several_studies_a_job_is_shown_with_its_study(monkeypatch, folder):
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    terminal.emit(record("Studies: one, two", studies=["one", "two"]))
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats={"train_run": 2, "total": 2}))
    for number, study in enumerate(("one", "two")):
        terminal.emit(job(number, "train_run", "Training lora", wildcards={"study": study, "run": "lora"}))
    assert "one: Training lora: started" in stream.getvalue()
    assert "two: Training lora: started" in stream.getvalue()


@pytest.mark.parametrize("asked", [False, True])
def test_commands_are_shown_to_who_asks_for_them(monkeypatch, folder, asked):
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream, printshellcmds=asked)
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats=STATS))
    terminal.emit(record("", event=LogEvent.SHELLCMD, shellcmd="\nrlvr train a.json\n"))
    terminal.emit(record("", event=LogEvent.SHELLCMD, shellcmd=None))
    assert ("    rlvr train a.json\n" in stream.getvalue()) == asked


def test_a_quiet_run_shows_messages_and_failures_alone(monkeypatch, folder):
    stream = io.StringIO()
    quiet = {Quietness.RULES, Quietness.PROGRESS}  # `--quiet` without a value
    terminal = handler(monkeypatch, stream, quiet=quiet)
    terminal.emit(record("Job stats", event=LogEvent.RUN_INFO, stats=STATS))
    terminal.emit(job(3, "train_run", "Training one"))
    terminal.emit(record("the disk is full", logging.WARNING))
    terminal.emit(job(3, "train_run", "", event=LogEvent.JOB_ERROR, aux={}, shellcmd="rlvr train"))
    terminal.close()
    failure = "Failed: train_run (rule train_run, job 3)\n  command:\n    rlvr train"
    assert stream.getvalue().strip() == f"the disk is full\n{failure}"


def test_a_dry_run_is_in_snakemakes_own_words(monkeypatch, folder, capsys):
    terminal = handler(monkeypatch, io.StringIO(), dryrun=True, stdout=True)
    terminal.emit(record("Job stats:\njob    count", event=LogEvent.RUN_INFO, stats=STATS))
    assert "Job stats:\njob    count" in capsys.readouterr().out


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_tree(
        tmp_path_factory.mktemp("verdict"), methods=("base", "lora"), benchmarks={"sums": (40, 4)}
    )


def test_the_output_ends_with_the_verdict_of_what_was_reported(monkeypatch, tree):
    monkeypatch.chdir(tree.root)
    page = tree.root / "reports" / "demo.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("")
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    terminal.emit(record("Studies: demo", studies=["demo"]))
    terminal.emit(record("Nothing to be done (all requested files are present and up to date)."))
    terminal.close()
    lines = stream.getvalue().splitlines()[-6:]
    assert lines[0] == "demo"
    assert [line.split()[0] for line in lines[1:]] == ["Best", "How", "Claims", "Took", "Report"]
    assert lines[-1].endswith(str(page))


def test_no_verdict_on_a_page_of_an_earlier_run(monkeypatch, tree):
    monkeypatch.chdir(tree.root)
    page = tree.root / "reports" / "demo.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("")
    stream = io.StringIO()
    terminal = handler(monkeypatch, stream)
    monkeypatch.setattr("rlvr.status.stages.time", SimpleNamespace(time=lambda: page.stat().st_mtime + 60))
    terminal.emit(record("Studies: demo", studies=["demo"]))
    terminal.emit(record("stats", event=LogEvent.RUN_INFO, stats=STATS))
    terminal.close()
    assert "Best" not in stream.getvalue()
