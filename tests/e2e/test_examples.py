"""The examples of `rlvr VERB --help` run as printed, on the files of a finished study."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli_examples import VERBS, example_of

SLOW = {"prepare-model", "train"}
"""The workflow has just called these with the same options; running them again would take a minute."""

TUNING = {"choose-rates", "write-rates"}
"""Verbs of a study that tunes; `tests/e2e/test_tuning.py` runs one, and their examples."""


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that sees what a finished study reads and wrote, and keeps what the examples write."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("config", "reports", "resources", "results", "Snakefile", "workflow"):
        (folder / name).symlink_to(finished.folder / name)
    return folder


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in TUNING])
def test_the_example_reads_what_the_workflow_makes(verb: str, folder: Path) -> None:
    for path in re.findall(r"(?:config|resources|results)/[\w./-]+", example_of(verb)):
        assert (folder / path.replace("demo", "mini")).exists(), path


def test_the_examples_run_as_printed(folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for verb in [verb for verb in VERBS if verb not in SLOW | TUNING]:
        script = "set -e\n" + example_of(verb).replace("demo", "mini")
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stderr}"
