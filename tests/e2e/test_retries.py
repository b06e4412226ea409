"""Snakemake's own retries continue a run that ended with 75, on this machine as on a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.checkout import Checkout, make_checkout
from tests.helpers.quick_study import RUN, TRAINED, write_study

CHECKPOINTS = f"checkpoints/faults/{RUN}"


def trainer_of(checkout: Checkout) -> int:
    """Return the process that trains, from the lock of its run."""
    (holder,) = checkout.folder.glob(f"{CHECKPOINTS}/*/lock/holder.json")
    return json.loads(holder.read_text())["process"]


@pytest.mark.slow
def test_a_run_that_was_asked_to_stop_continues_in_the_next_attempt(tmp_path: Path):
    checkout = make_checkout(tmp_path / "checkout")
    write_study(checkout.folder)
    arguments = ["snakemake", TRAINED, "--cores", "1", "--retries", "1", "--config", "studies=[faults]"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        arguments, cwd=checkout.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as snakemake:
        while not list(checkout.folder.glob(f"{CHECKPOINTS}/*/step-*")):
            assert snakemake.poll() is None
            time.sleep(0.02)
        os.kill(trainer_of(checkout), signal.SIGTERM)
        shown, _ = snakemake.communicate()
    assert snakemake.returncode == 0, shown.decode()
    assert "Trying to restart job" in shown.decode()
    record = json.loads((checkout.folder / TRAINED).read_text())
    assert record["run_info"]["attempts"] == 2
    both = (checkout.folder / "logs" / "faults" / "train" / f"{RUN}.attempts.log").read_text()
    assert both.count("$ rlvr train") == 2, "the log of each attempt is kept"
    assert "stopped by SIGTERM with" in both and "resuming after" in both
    assert "--max-minutes" not in both, "nothing ends the jobs of this machine"
