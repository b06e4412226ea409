"""Leases of devices, among processes of a machine whose GPUs are named by CUDA_VISIBLE_DEVICES."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlvr import devices
from rlvr.devices import candidate_devices, leased_devices
from rlvr.errors import UserError
from rlvr.locks import Holder

HOLD = """
import os, sys
from rlvr import devices
devices._check_cuda = lambda count: None  # there is no GPU here
devices.WAIT_SECONDS = 0.05
with devices.leased_devices(int(sys.argv[1])):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""
"""Holds devices until its input ends."""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with two GPUs, as far as leases see it."""
    monkeypatch.setenv(devices.RUNTIME, str(tmp_path))
    monkeypatch.setenv(devices.VISIBLE, "0,1")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(devices, "_installed", list)
    monkeypatch.setattr(devices, "WAIT_SECONDS", 0.05)


def holder(count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def seen(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_jobs_side_by_side_get_different_devices_and_a_third_waits():
    first, second = holder(1), holder(1)
    assert {seen(first), seen(second)} == {"0", "1"}
    third = holder(1)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(2)
    second.communicate()
    assert seen(third) in ("0", "1")
    for process in (first, third):
        process.communicate()


def test_a_killed_job_holds_nothing():
    killed = holder(2)
    assert seen(killed) == "0,1"
    killed.kill()
    killed.wait()
    after = holder(2)
    assert seen(after) == "0,1"
    after.communicate()


@pytest.mark.parametrize(
    ("given", "candidates"),
    [("", []), ("-1", []), ("1", ["1"]), ("0, 2,-1,3", ["0", "2"]), ("GPU-abc", ["GPU-abc"])],
)
def test_only_what_is_visible_can_be_leased(monkeypatch, given, candidates):
    monkeypatch.setenv(devices.VISIBLE, given)
    assert candidate_devices() == candidates


def test_numbers_and_identifiers_of_a_device_are_one_lease(monkeypatch):
    monkeypatch.setattr(devices, "_installed", lambda: ["GPU-a", "GPU-b"])
    monkeypatch.setenv(devices.VISIBLE, "1,GPU-a")
    assert candidate_devices() == ["GPU-b", "GPU-a"]
    monkeypatch.delenv(devices.VISIBLE)
    assert candidate_devices() == ["GPU-a", "GPU-b"]


def test_a_job_that_asked_for_more_than_it_sees_stops(monkeypatch):
    with (
        pytest.raises(UserError, match=r"asked for 3 GPUs .* sees 2 .*CUDA_VISIBLE_DEVICES=0,1"),
        leased_devices(3),
    ):
        pass
    monkeypatch.setenv(devices.VISIBLE, "")
    with pytest.raises(UserError, match=r"sees none .*set compute: \{gpus: 0\}"), leased_devices(1):
        pass


def test_a_device_that_pytorch_cannot_use_is_no_device():
    import torch

    if torch.cuda.is_available():
        pytest.skip("the devices of this test would be real")
    with pytest.raises(UserError, match=r"of which PyTorch .* can use 0"), leased_devices(1):
        pass
    assert not list(devices.runtime_folder().rglob("holder.json")), "the lease is given back"


def test_no_device_is_seen_by_a_job_that_asked_for_none():
    with leased_devices(0) as held:
        assert held == []
        assert os.environ[devices.VISIBLE] == ""
    assert os.environ[devices.VISIBLE] == "0,1"


def test_what_a_scheduler_gives_to_two_jobs_they_share(monkeypatch, caplog):
    """Shards: the scheduler meant it. Within one job, as in an interactive allocation, leases hold."""
    monkeypatch.setattr(devices, "_check_cuda", lambda count: None)
    monkeypatch.setenv(devices.VISIBLE, "0")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    other = holder(1)
    assert seen(other) == "0"
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert Holder().job == "8"
    with leased_devices(1) as held:
        assert held == ["0"]
    assert "the scheduler gave it to this job and to Slurm job 7" in caplog.text
    other.communicate()
