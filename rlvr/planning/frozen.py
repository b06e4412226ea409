"""The configuration as it was when a run started: what its jobs read, whatever is edited while they queue.

Executors that submit jobs read the Snakefile again in each of them. A copy of the configuration, in a folder
named by its content, makes them find what was planned: the same threads, files and parameters.
"""

import hashlib
import os
import shutil
import time
from pathlib import Path

from rlvr.files import replacing_folder

VARIABLE = "RLVR_CONFIG"
"""Environment variable that names the copy; executors pass it on."""
KEPT_SECONDS = 90 * 24 * 3600
"""Copies that no run has used for so long are removed."""


def frozen_config(config: Path, folder: Path) -> Path:
    """Copy the YAML files of a configuration below ``folder``, unless that is done, and return the copy.

    Args:
        config: folder of the configuration.
        folder: where copies are; those unused for :data:`KEPT_SECONDS` are removed.
    """
    files = sorted(path.relative_to(config) for path in config.rglob("*.yaml") if path.is_file())
    digest = hashlib.sha256()
    for file in files:
        content = (config / file).read_bytes()
        digest.update(f"{file}\0{len(content)}\0".encode() + content)
    copy = folder.absolute() / digest.hexdigest()[:16] / config.name
    if not copy.exists():
        with replacing_folder(copy) as temporary:
            for file in files:
                (temporary / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(config / file, temporary / file)
    os.utime(copy.parent)
    for other in folder.iterdir():
        if time.time() - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    return copy


def config_of_job() -> Path:
    """Return the folder that a job reads: the copy, or `config` where the copy is on another file system."""
    copy = Path(os.environ.get(VARIABLE, ""))
    return copy if VARIABLE in os.environ and copy.is_dir() else Path("config")
