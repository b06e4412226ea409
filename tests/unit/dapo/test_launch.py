"""The launcher of ranks: signals, early ends, and exit codes. Its ranks are real processes."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlvr.cli import main
from rlvr.dapo import launch as launching
from rlvr.dapo.launch import is_rank, launch
from rlvr.errors import UserError
from tests.helpers.paths import REPOSITORY
from tests.unit.dapo.test_ranks import STEPS, Case
from tests.unit.dapo.test_train import data  # noqa: F401 (a fixture)

BEGIN = """
import os, signal, sys, time
from rlvr.dapo.launch import follow_launcher
from rlvr.stopping import StopRequest
rank, stop = int(os.environ["RANK"]), StopRequest(None)
follow_launcher(stop)
"""
"""What every rank of these tests does first; it imports no torch."""


@pytest.fixture
def rank_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let every rank run some Python."""

    def set_code(code: str) -> None:
        text = BEGIN + textwrap.dedent(code)
        monkeypatch.setattr(launching, "COMMAND", (sys.executable, "-c", text))

    return set_code


def test_all_ranks_finish(rank_that):
    rank_that("sys.exit(int(os.environ['WORLD_SIZE']) - 3)")
    assert launch([], 3) == 0


def test_a_killed_rank_is_named_and_ends_the_others(rank_that, monkeypatch, caplog):
    monkeypatch.setattr(launching, "GRACE_SECONDS", 0.5)
    rank_that("os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else time.sleep(600)")
    started = time.monotonic()
    assert launch([], 3) == 75
    assert time.monotonic() - started < 300
    assert "rank 1 of 3 was killed (SIGKILL)" in caplog.text
    assert "the same command continues from the last checkpoint" in caplog.text


def test_the_code_of_a_rank_that_failed_counts(rank_that, capfd, caplog):
    rank_that("print('out of luck', file=sys.stderr); sys.exit(75 if rank == 0 else 1)")
    assert launch([], 2) == 1
    assert "rank 1 of 2 failed (exit code 1)" in caplog.text
    shown = capfd.readouterr().err
    assert "rank 1: out of luck" in shown and "rank 0: " not in shown


def test_what_rank_0_has_written_counts(rank_that):
    """It has recorded a failure that the others have met too."""
    rank_that("sys.exit(0 if rank == 0 else 1)")
    assert launch([], 2) == 0


def test_a_signal_to_the_whole_job_asks_every_rank_once(rank_that, capfd):
    rank_that("""
        os.kill(os.getpid(), signal.SIGTERM)  # as a cluster does
        if rank == 0:
            os.kill(os.getppid(), signal.SIGTERM)
        while not stop.check():
            time.sleep(0.02)
        print(rank, stop.check(), file=sys.stderr, flush=True)
        sys.exit(75)
    """)
    assert launch([], 2) == 75
    shown = capfd.readouterr().err
    assert "0 stopped by SIGTERM" in shown and "rank 1: 1 stopped by SIGTERM" in shown


def test_a_second_signal_ends_the_ranks_at_once(rank_that):
    rank_that("""
        for _ in range(2 if rank == 0 else 0):
            os.kill(os.getppid(), signal.SIGINT)
            while not stop.check():
                time.sleep(0.02)
        time.sleep(600)
    """)
    assert launch([], 2) == 75


def test_ranks_end_when_the_launcher_is_killed(tmp_path):
    """They write their process ids; the launcher is then killed."""
    waiting = BEGIN + f"open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w').close(); time.sleep(600)"
    program = f"""
import sys
from rlvr.dapo import launch
launch.COMMAND = (sys.executable, "-c", {waiting!r})
launch.launch([], 2)
"""
    launcher = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY)
    while len(started := list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{path.name}").exists() for path in started):
        assert time.monotonic() < deadline, "ranks outlive their launcher"
        time.sleep(0.05)


def test_a_process_of_another_number_of_ranks_is_refused(monkeypatch):
    assert not is_rank(2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert is_rank(2)
    with pytest.raises(UserError, match=r"--ranks 4 in one of 2 processes \(WORLD_SIZE"):
        is_rank(4)


@pytest.mark.slow
def test_a_run_on_two_ranks_from_the_command_line(tiny_folder, tmp_path, data, monkeypatch, capfd):  # noqa: F811
    """A rank kills itself in one of the first steps; the same command then finishes the run."""
    monkeypatch.setattr(launching, "COMMAND", (sys.executable, "-m", "tests.helpers.even_sum_rank"))
    monkeypatch.setenv("KILL_RANK_AT_CALL", "1 5")
    monkeypatch.chdir(REPOSITORY)
    case = Case(tmp_path, tiny_folder, data)
    arguments = ["train", *map(str, case.arguments("run", checkpoint_every=1)), "--ranks", "2"]
    assert main(arguments) == 75
    shown = capfd.readouterr().err
    assert "rank 1 of 2 was killed (SIGKILL)" in shown, shown
    assert "training in 2 processes (gloo)" in shown
    assert 0 < case.steps_saved("run") < STEPS
    monkeypatch.delenv("KILL_RANK_AT_CALL")
    assert main(arguments) == 0
    assert case.log("run")["step"].tolist() == list(range(STEPS))
