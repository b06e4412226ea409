"""Freed memory is kept: memory that is used again is not fetched from the system, page by page."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from rlvr.models.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    kept = [torch.ones(2**21) for _ in range(16)]

if sys.argv[1] == "keep":
    keep_freed_memory()
use(), use()
before = faults()
for _ in range(5):
    use()
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library")
def test_memory_that_is_freed_is_kept_for_the_next_tensor():
    """In processes of their own, since the setting lasts; each use is 128 MiB.

    A tenth, because fragments of the heap may need one block of 8 MiB more.
    """

    def faults(setting: str) -> int:
        command = [sys.executable, "-c", SCRIPT, setting]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < faults("default") / 10
