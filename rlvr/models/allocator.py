"""Main memory that is freed is kept for the next tensor."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt` in `malloc.h` of the GNU C library."""
LARGEST_THRESHOLD = 2**25
"""Bytes; larger blocks are always taken from the system and given back."""


def keep_freed_memory() -> None:
    """Let the allocator of the GNU C library give nothing back to the system; elsewhere do nothing.

    Activations and logits are freed and allocated anew all the time. By default, much of it is given back in
    between, and the system clears every page of it that is touched again.
    """
    if not sys.platform.startswith("linux"):
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if set_option:
        set_option(TRIM_THRESHOLD, 2**31 - 1)
        set_option(MMAP_THRESHOLD, LARGEST_THRESHOLD)
