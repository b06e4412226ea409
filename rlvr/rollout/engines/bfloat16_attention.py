"""Attention in bfloat16 on a CPU, by matrix products.

On a CPU, PyTorch's fused kernel reaches a small share of the rate of bfloat16 products, and its plain one
computes in float32 (`docs/performance.md`). Scores that are only bfloat16 would be too coarse for a softmax,
so they are the sum of two products: the second subtracts the first before it rounds, and so is what the first
has lost by rounding.
"""

from functools import cache
from itertools import repeat

import torch
from torch import Tensor

MOST_SCORES = 2**22
"""Attention scores that are held at once, float32."""


@cache
def has_bfloat16_products() -> bool:
    """Whether this CPU multiplies in bfloat16; others emulate it, many times slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def is_by_products(query: Tensor, key: Tensor) -> bool:
    """Whether :func:`attention_by_products` is faster, and the scores of a row, which it holds, are few.

    Not those of all rows, so that what a row gets does not depend on the number of rows.
    """
    bfloat16 = query.device.type == "cpu" and query.dtype == torch.bfloat16 and has_bfloat16_products()
    scores = query.shape[1:-1].numel() * key.shape[-2]
    return bfloat16 and len(query) > 0 and 0 < scores <= MOST_SCORES


def attention_by_products(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    """Return what `scaled_dot_product_attention` does, with scores and softmax in float32.

    A query that sees no key gets the mean of the values, where the library gives 0.

    Args:
        query: [rows, heads, queries, width], bfloat16.
        key: [rows, heads, keys, width].
        value: [rows, heads, keys, width of a value].
        mask: which keys a query sees, or what is added to its scores; [rows or 1, 1, queries, keys].
        scale: of the scores; None is width ** -0.5.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    size = max(1, MOST_SCORES // (query.shape[1:-1].numel() * key.shape[-2]))
    masks = mask.expand(len(query), -1, -1, -1).split(size) if mask is not None else repeat(None)
    parts = zip(query.split(size), key.split(size), value.split(size), masks, strict=False)
    return torch.cat([_attention(*part, scale) for part in parts])


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    key, value = key.contiguous(), value.contiguous()  # of a part of a cache, each product would make a copy
    queries, keys = query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2)
    with torch.no_grad():
        rounded = torch.bmm(queries, keys)
    lost = torch.baddbmm(rounded, queries, keys, beta=-1)
    scores = lost.float().add_(rounded).mul_(scale).unflatten(0, query.shape[:2])
    lowest = torch.finfo(scores.dtype).min  # finite, for a query that sees no key
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, lowest)
    elif mask is not None:
        scores = (scores + mask).clamp(min=lowest)
    return scores.softmax(dim=-1).to(value.dtype) @ value
