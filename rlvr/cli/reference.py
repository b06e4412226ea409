"""Write the page that describes every verb of `rlvr`.

Run it as ``python -m rlvr.cli.reference``.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from rlvr.cli import app
from rlvr.files import write_text

PAGE = Path("docs/reference/verbs.md")
INTRODUCTION = """\
# The verbs of `rlvr`

Every job of the workflow calls one verb; its log begins with the command. The examples run after `make demo`,
in the activated environment; those of `choose-rates` and `write-rates` after
`snakemake rates --config 'studies=[demo-rates]'`. Exit codes: 0 done, 1 error, 2 wrong usage, 75 stopped or
locked (the same command continues later).

This page is generated from `rlvr/cli/` by `make schemas`.
"""


def reference() -> str:
    """Return the page as Markdown."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return "\n".join([INTRODUCTION, *(_verb(name, verb) for name, verb in group.commands.items())])


def _verb(name: str, verb: Any) -> str:
    example = textwrap.dedent((verb.epilog or "").partition("Example:\n")[2])
    rows = "\n".join(_rows(verb))
    table = f"| argument or option | meaning |\n|---|---|\n{rows}\n" if rows else ""
    return "\n".join(
        [
            f"\n## `{name}`\n",
            f"{textwrap.fill(' '.join((verb.help or '').split()), 118)}\n",
            f"```\n{example.rstrip()}\n```\n",
            table,
        ]
    )


def _rows(verb: Any) -> Iterator[str]:
    for parameter in verb.params:
        record = parameter.get_help_record(typer.Context(verb))
        if record and parameter.name != "help":
            term, meaning = record
            yield f"| `{term}` | {meaning.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    write_text(PAGE, reference())
