"""Attention of one query to cached keys, without a copy of the keys for every query head."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


def grouped_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Return the attention [rows, queries, heads, width] of `transformers`' `sdpa`.

    With grouped heads and padding, that repeats keys and values for each query head. For a single query it is
    the same to let the heads of a group be its queries.
    """
    groups = getattr(module, "num_key_value_groups", 1)
    rows, heads, queries, width = query.shape
    per_head = attention_mask is not None and attention_mask.shape[1] != 1
    grouped = groups > 1 and heads == groups * key.shape[1]
    if not grouped or queries > 1 or per_head or keywords.get("position_bias") is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **keywords)
    mask = None if attention_mask is None else attention_mask.expand(-1, -1, groups, -1)
    output = functional.scaled_dot_product_attention(
        query.reshape(rows, heads // groups, groups, width), key, value, attn_mask=mask, scale=scaling
    )
    return output.reshape(rows, 1, heads, -1), None


@contextmanager
def grouped_attention() -> Iterator[None]:
    """Let models use :func:`grouped_attention_forward` where they use `sdpa`."""
    ALL_ATTENTION_FUNCTIONS["sdpa"] = grouped_attention_forward
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS["sdpa"]  # the library's own again
