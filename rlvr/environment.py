"""The environment of a result: code, packages, hardware."""

import os
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from rlvr.artifacts import Environment, Hardware

PACKAGES = ("rlvr", "torch", "transformers", "peft", "math-verify", "numpy", "pandas", "snakemake")
"""Packages that matter for the numbers."""


def current_environment() -> Environment:
    """Return git commit and dirty flag (null outside a checkout), package versions, and hardware."""
    return Environment(
        git_commit=_git("rev-parse", "HEAD"),
        git_dirty=_dirty(),
        packages=package_versions(),
        hardware=Hardware(
            machine=platform.machine(),
            processor=_processor(),
            cpu_count=os.cpu_count(),
            accelerator=_accelerator(),
        ),
    )


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that matter."""
    return {name: version for name in PACKAGES if (version := _version(name))}


def _git(*arguments: str) -> str | None:
    folder = Path(__file__).parent
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _dirty() -> bool | None:
    status = _git("status", "--porcelain", "--untracked-files=no")
    return None if status is None else bool(status)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _accelerator() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def peak_memory_bytes() -> int:
    """Return the peak memory of this process so far: the GPU's if there is one, else main memory."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
