"""What the benchmarks share: the model and its prompts, processes of their own, and result files."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlvr.environment import current_environment
from rlvr.files import read_json, write_json

MODEL = "smollm2-135m-instruct"
TOPICS = (
    *("a lighthouse", "a river", "a railway", "an orchard"),
    *("a glacier", "a market", "an island", "a violin"),
)
TASK = "Write a long story about {topic} with many details and no end."
"""A prompt that some dozens of tokens do not finish, so that every completion has the same length."""


def prompts() -> list[str]:
    """Return the user messages."""
    return [TASK.format(topic=topic) for topic in TOPICS]


def prepared_model(work: Path) -> Path:
    """Return the prepared model folder, written on first use."""
    from rlvr.config.catalogue import catalogue_entries
    from rlvr.models.prepare import prepare_model

    folder = work / MODEL
    if not folder.exists():
        entry = catalogue_entries()[f"models/{MODEL}"]
        write_json(work / "entry.json", entry.model_dump(mode="json"))
        prepare_model(work / "entry.json", [], [], folder)
    return folder


def paper_methods() -> list[str]:
    """Return the names of the methods of the paper."""
    from rlvr.planning.plan import load_plan, train_configs

    return list(dict.fromkeys(run.method for run in train_configs(load_plan("paper-1.5b"))))


def in_process(script: str, arguments: Sequence[str], output: Path, threads: int = 1) -> dict[str, Any]:
    """Run a script with ``--output`` in a process of its own and return what it wrote."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, script, *arguments, "--output", str(output)]
    subprocess.run(command, env=environment, check=True)
    return read_json(output)


def write_results(output: Path, measured: dict[str, Any]) -> None:
    """Write a result file: the environment, and what was measured in it."""
    write_json(output, {"environment": current_environment().model_dump(mode="json"), "measured": measured})


def cpu_seconds(action: Callable[[], Any]) -> float:
    """Return the CPU time of an action."""
    start = time.process_time()
    action()
    return time.process_time() - start


def peak_gb() -> float:
    """Return the peak memory of this process so far, in GB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


def median(values: Sequence[float], digits: int = 2) -> float:
    """Return the rounded median."""
    return round(statistics.median(values), digits)
