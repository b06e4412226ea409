"""Fingerprints of weights: a tensor is compared with one that was sent before and is no longer in memory."""

import torch
from torch import Tensor

CHUNK = 1 << 22
"""Entries at a time; each takes 24 bytes of working memory."""


def fingerprint(weight: Tensor) -> int:
    """Return a number that differs for weights that differ in a bit or in the order of entries.

    The bits of every entry as a float32 times an odd multiplier of its position, summed modulo 2^64. The same
    for a weight in a wider precision and on another device; a zero counts without its sign.
    """
    total = 0
    for start, chunk in enumerate(weight.detach().reshape(-1).split(CHUNK)):
        bits = (chunk.float() + 0.0).view(torch.int32).long()
        place = torch.arange(start * CHUNK, start * CHUNK + len(chunk), device=chunk.device)
        mixed = (place + 1) * -7046029254386353131  # 2^64 / golden ratio, as a signed number
        total += int((bits * ((mixed ^ (mixed >> 31)) | 1)).sum())
    return total % (1 << 64)
