"""The worker process: what it imports and how much address space it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.config.choices import Grader as GraderName
from rlvr.verify.graders.registry import GRADERS
from rlvr.verify.pool import DEFAULT_MEMORY_BYTES, Worker
from tests.helpers.paths import REPOSITORY

MOST_MEGABYTES = 100
HEAVY = {"pandas", "pyarrow", "rich", "numpy", "scipy", "torch", "transformers", "pydantic", "yaml"}


@pytest.mark.parametrize("grader", GRADERS)
def test_a_worker_needs_little_address_space_before_its_first_question(
    grader: GraderName, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # the worker lists its imports on stderr
    worker = Worker(DEFAULT_MEMORY_BYTES, deadline=2.0, grader=grader)
    try:
        worker.wait_until_ready()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
        )
    finally:
        worker.kill()
    assert int(status["VmPeak"].split()[0]) < MOST_MEGABYTES * 1024
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in capfd.readouterr().err.splitlines()
    }
    assert "sympy" in imported, "the list of imports is empty"
    assert not imported & HEAVY


def test_the_parent_imports_no_algebra() -> None:
    code = (
        "import sys, rlvr.verify.pool;"
        "print([m for m in ('torch', 'sympy', 'math_verify', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.strip() == "[]"
