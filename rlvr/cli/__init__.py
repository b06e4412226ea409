"""The command line `rlvr`: one verb per job of the workflow, and no logic.

Exit codes: 0 done, 1 an error that the message explains, 2 wrong usage, 75 stopped or locked: the same
command continues later. Results go to stdout, messages to stderr. Each verb imports what it needs when it
runs, so that `rlvr --help` is fast.
"""

from rlvr.cli import study  # isort: skip  (verbs are listed in the order of their registration)
from rlvr.cli import inputs, training, evaluation, results  # isort: skip
from rlvr.cli.entry_point import main
from rlvr.cli.verbs import app, importing

__all__ = ["app", "evaluation", "importing", "inputs", "main", "results", "study", "training"]
