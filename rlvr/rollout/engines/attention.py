"""Attention of a model with grouped heads, without a copy of the keys for every query head."""

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
    dropout: float = 0.0,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Return the attention [rows, queries, heads, width] of `transformers`' `sdpa`.

    With grouped heads and a mask, that repeats keys and values for each query head. It is the same to let the
    heads of a group be further queries of its keys.
    """
    groups = getattr(module, "num_key_value_groups", 1)
    rows, heads, queries, width = query.shape
    per_head = attention_mask is not None and attention_mask.shape[1] != 1
    grouped = groups > 1 and heads == groups * key.shape[1]
    unmasked = attention_mask is None and queries > 1
    if not grouped or unmasked or per_head or keywords.get("position_bias") is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **keywords)
    mask = None
    if attention_mask is not None:
        mask = attention_mask.expand(-1, -1, queries, -1).repeat(1, 1, groups, 1)
    stacked = query.reshape(rows, heads // groups, groups * queries, width)
    output = functional.scaled_dot_product_attention(
        stacked, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
    )
    return output.reshape(rows, heads, queries, -1).transpose(1, 2), None


@contextmanager
def grouped_attention() -> Iterator[None]:
    """Let models use :func:`grouped_attention_forward` where they use `sdpa`."""
    ALL_ATTENTION_FUNCTIONS["sdpa"] = grouped_attention_forward
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS["sdpa"]  # the library's own again
