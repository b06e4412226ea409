"""Which folder is the configuration: `config`, checked, or in a job the copy that was made when the run started.

REQUIRED INPUTS: none
OUTPUTS: .snakemake/rlvr/, the copy
"""

import contextlib
import io
import os
import sys
from pathlib import Path

from snakemake.cli import parse_args
from snakemake.exceptions import WorkflowError

from rlvr.config.loading import read_yaml
from rlvr.errors import UserError
from rlvr.planning import frozen


def checked(function, *arguments):
    """Call a function of the package; a wrong configuration is a message, not a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def partition_file():
    """Return the partitions of the Slurm profile in use, or None; a dry run has the profile, but no executor."""
    with contextlib.redirect_stderr(io.StringIO()):
        _, arguments = parse_args(sys.argv[1:])
    chosen = any("slurm_partition" in value for value in arguments.default_resources or ())
    return None if chosen else getattr(arguments, "slurm_partition_config", None)


CONFIG = Path("config") if workflow.is_main_process else frozen.config_of_job()
FROZEN = CONFIG
"""What jobs read."""
if workflow.is_main_process:
    # Snakemake takes the last of keys given twice.
    if Path("config/config.yaml").exists():  # else `--configfile` names another
        checked(read_yaml, Path("config/config.yaml"))
    FROZEN = frozen.frozen_config(CONFIG, Path(".snakemake/rlvr"))
    os.environ[frozen.VARIABLE] = str(FROZEN)
PARTITIONS = partition_file() if workflow.is_main_process and workflow.resource_settings.nodes is not None else None
