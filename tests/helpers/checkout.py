"""A throw-away checkout of the workflow, in which tests run Snakemake as a user would."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.paths import REPOSITORY

PARTS = ("Snakefile", "workflow", "config", "environment.yml", "slurm", "profiles")


@dataclass(frozen=True)
class Checkout:
    """A folder with the workflow and its configuration, where results may be made."""

    folder: Path

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake here with the environment of the tests."""
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["snakemake", *arguments], cwd=self.folder, capture_output=True, text=True, env=environment
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return how often each rule would run, by a dry run."""
        done = self.snakemake("-n", *arguments)
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal", done.stdout, re.DOTALL)
        assert table or "Nothing to be done" in done.stdout + done.stderr, done.stdout
        rows = table.group(1).splitlines() if table else []
        return {name: int(count) for name, count in (row.split() for row in rows) if name != "all"}


def make_checkout(folder: Path) -> Checkout:
    """Copy what Snakemake needs; symbolic links stay links."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        original = REPOSITORY / part
        if original.is_dir() and not original.is_symlink():
            shutil.copytree(original, folder / part, symlinks=True)
        else:
            shutil.copy(original, folder / part, follow_symlinks=False)
    return Checkout(folder)
