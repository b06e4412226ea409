"""Run one verb: its log, and its exit code."""

import io
import logging
import os
import shlex
import sys
from typing import Any

from typer.main import get_command

from rlvr.cli.verbs import app
from rlvr.dapo.launch import LAUNCHED
from rlvr.errors import EXIT_TRY_AGAIN, TryAgain, UserError

logger = logging.getLogger("rlvr.cli")

RESULT_VERBS = {"agreement", "copy-floor", "methods", "plan", "show", "status", "update-norms"}
"""Verbs whose output is the result. The log of any other verb begins with the command, to copy and repeat."""


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit code; errors that the user can fix are printed without a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log shows each line when it is written
    _configure_logging()
    if (
        arguments
        and arguments[0] not in RESULT_VERBS
        and "--help" not in arguments
        and LAUNCHED not in os.environ
        and not sys.stderr.isatty()
    ):
        logger.info("$ rlvr %s", shlex.join(arguments))
    try:
        get_command(app).main(arguments, prog_name="rlvr", obj=arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except TryAgain as stop:
        logger.warning(stop)
        return EXIT_TRY_AGAIN
    except (UserError, OSError) as error:
        logger.error(error)
        return 1
    return 0


def _configure_logging() -> None:
    """Send the messages of the package to stderr."""
    handler = _StderrHandler()
    handler.setFormatter(_PlainFormatter())
    package = logging.getLogger("rlvr")
    package.handlers = [handler]
    package.setLevel(logging.INFO)


class _StderrHandler(logging.StreamHandler):
    """Write to what is stderr at the moment: a progress bar replaces it while it is shown."""

    @property
    def stream(self) -> Any:
        """The current stderr."""
        return sys.stderr

    @stream.setter
    def stream(self, value: object) -> None:
        pass


class _PlainFormatter(logging.Formatter):
    """The message alone; a warning or an error begins with `warning: ` or `error: `."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return level + super().format(record)
