"""Which folder is the configuration: `config`, checked, or in a job the copy that was made when the run started.

REQUIRED INPUTS: none
OUTPUTS: .snakemake/rlvr/, the copy
"""

import os
from pathlib import Path

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


CONFIG = Path("config") if workflow.is_main_process else frozen.config_of_job()
FROZEN = CONFIG
"""What jobs read."""
if workflow.is_main_process:
    # Snakemake takes the last of keys given twice.
    if Path("config/config.yaml").exists():  # else `--configfile` names another
        checked(read_yaml, Path("config/config.yaml"))
    FROZEN = frozen.frozen_config(CONFIG, Path(".snakemake/rlvr"))
    os.environ[frozen.VARIABLE] = str(FROZEN)
