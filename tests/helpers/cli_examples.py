"""The examples that `rlvr VERB --help` prints, as a user would copy them."""

import textwrap

from typer.main import get_command

from rlvr.cli import app

VERBS = get_command(app).commands
"""Verb -> its command."""


def example_of(verb: str) -> str:
    """Return the shell lines below `Example:`."""
    return textwrap.dedent(VERBS[verb].epilog.partition("Example:\n")[2])
