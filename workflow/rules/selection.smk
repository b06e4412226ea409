"""`config/config.yaml` is read by Snakemake, which takes the last of keys given twice: check it first.

REQUIRED INPUTS: none
OUTPUTS: none
"""

from pathlib import Path

from snakemake.exceptions import WorkflowError

from rlvr.config.loading import read_yaml
from rlvr.errors import UserError


def checked(function, *arguments):
    """Call a function of the package; a wrong configuration is a message, not a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


if Path("config/config.yaml").exists():  # else `--configfile` names another
    checked(read_yaml, Path("config/config.yaml"))
