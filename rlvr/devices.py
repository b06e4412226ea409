"""Which GPUs a job uses: leased ones, so that jobs side by side never share one by accident.

A lease is a lock (:mod:`rlvr.locks`) per device in a folder of the user. Candidates are the devices of
`CUDA_VISIBLE_DEVICES`, which a scheduler sets, or else all of the machine; the leased ones are put there
before CUDA starts.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rlvr.errors import TryAgain, UserError
from rlvr.locks import exclusive, holder_of

VISIBLE = "CUDA_VISIBLE_DEVICES"
RUNTIME = "RLVR_RUNTIME_DIR"
"""Environment variable that names another folder for the leases than :func:`runtime_folder` chooses."""
WAIT_SECONDS = 5.0

logger = logging.getLogger(__name__)


def candidate_devices() -> list[str]:
    """Return the devices that this process may use: their UUIDs where `nvidia-smi` tells them, else numbers.

    As CUDA does, entries of `CUDA_VISIBLE_DEVICES` after one that is negative are left out.
    """
    installed = _installed()
    given = os.environ.get(VISIBLE)
    if given is None:
        return installed
    entries = [entry.strip() for entry in given.split(",")]
    usable = entries[: next((i for i, entry in enumerate(entries) if entry in ("", "-1")), len(entries))]
    return [
        installed[int(entry)] if entry.isdigit() and int(entry) < len(installed) else entry
        for entry in usable
    ]


def _installed() -> list[str]:
    """Return the UUIDs of all devices of the machine or container, in the order of the PCI bus."""
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split() if done.returncode == 0 else []


@contextmanager
def leased_devices(count: int | None) -> Iterator[list[str]]:
    """Hold ``count`` devices for the block; CUDA, which must not have started, sees these alone.

    Waits until so many are free. A device that a scheduler gave to this job and to another one, as with
    shards, is shared.

    Processes of one `torchrun` share what that has, without leases.

    Args:
        count: devices to hold; 0 hides all of them; None holds one if there is one.

    Raises:
        UserError: the machine, or the scheduler, has given fewer.
    """
    candidates = candidate_devices()
    wanted = min(1, len(candidates)) if count is None else count
    if wanted > len(candidates):
        raise UserError(_too_few(wanted, candidates))
    if "LOCAL_RANK" in os.environ or (count is None and not candidates):
        yield candidates
        return
    before = os.environ.get(VISIBLE)
    with ExitStack() as leases:
        devices = _leased(candidates, wanted, leases)
        os.environ[VISIBLE] = ",".join(devices)
        try:
            if count:
                _check_cuda(count)
            yield devices
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _too_few(wanted: int, candidates: Sequence[str]) -> str:
    given = os.environ.get(VISIBLE)
    visible = f"{VISIBLE}={given}" if given is not None else "`nvidia-smi` lists no more"
    return (
        f"this job asked for {wanted} GPU{'s' if wanted > 1 else ''} (compute.gpus) and sees "
        f"{len(candidates) or 'none'} ({visible}); request them from the scheduler, start the job on a "
        "machine that has them, or set compute: {gpus: 0} to run on CPUs"
    )


def _check_cuda(count: int) -> None:
    """Start CUDA; PyTorch would otherwise use the CPU in silence.

    Raises:
        UserError: PyTorch can use fewer than ``count`` devices.
    """
    import torch

    if (found := torch.cuda.device_count()) < count:
        raise UserError(
            f"this job holds the GPUs {os.environ[VISIBLE]}, of which PyTorch {torch.__version__} can use "
            f"{found}; check the driver with `nvidia-smi`, install a build of PyTorch for it, or set "
            "compute: {gpus: 0} to run on CPUs"
        )


def _leased(candidates: Sequence[str], wanted: int, leases: ExitStack) -> list[str]:
    """Enter the leases of ``wanted`` devices, waiting for them."""
    waiting = False
    while True:
        with ExitStack() as attempt:
            held: list[str] = []
            for device in candidates:
                if len(held) < wanted and _lease(device, attempt):
                    held.append(device)
            if len(held) == wanted:
                leases.push(attempt.pop_all())
                return held
        if not waiting:
            logger.info("waiting for %d of the GPUs %s, which other jobs hold", wanted, ", ".join(candidates))
            waiting = True
        time.sleep(WAIT_SECONDS * (0.5 + os.getpid() % 16 / 16))  # two that each hold half do not keep step


def _lease(device: str, leases: ExitStack) -> bool:
    """Enter the lease of a device, and tell whether it can be used."""
    path = runtime_folder() / "devices" / device.replace("/", "-")
    try:
        leases.enter_context(exclusive(path))
    except TryAgain:
        job, holder = os.environ.get("SLURM_JOB_ID"), holder_of(path)
        if job is None or holder is None or holder.job in (None, job):
            return False
        logger.warning("GPU %s: the scheduler gave it to this job and to Slurm job %s", device, holder.job)
    return True


def runtime_folder() -> Path:
    """Return a folder of the user on this machine that no session's end removes.

    Raises:
        UserError: it belongs to another user.
    """
    if RUNTIME in os.environ:
        return Path(os.environ[RUNTIME])
    folder = Path(f"/tmp/rlvr-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise UserError(f"{folder} belongs to another user; set {RUNTIME} to a folder of your own")
    return folder
