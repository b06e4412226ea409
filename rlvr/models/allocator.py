"""Main memory that is freed is kept for the next tensor."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt` in `malloc.h` of the GNU C library."""
LARGEST_THRESHOLD = 2**25
"""Bytes; larger blocks are always taken from the system and given back."""


def keep_freed_memory() -> None:
    """Let the allocator of the GNU C library give nothing back to the system; elsewhere do nothing.

    Every microbatch frees and allocates activations and logits of the same sizes. By default the allocator
    returns large blocks to the system, which must clear their pages before the next use.
    """
    if not sys.platform.startswith("linux"):
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if set_option:
        set_option(TRIM_THRESHOLD, 2**31 - 1)
        set_option(MMAP_THRESHOLD, LARGEST_THRESHOLD)
