"""Attention of a model with grouped heads, without a copy of the keys for every query head."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rlvr.rollout.engines.bfloat16_attention import attention_by_products, is_by_products


def grouped_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    hold_scores: bool = True,
    **keywords: Any,
) -> tuple[Tensor, None]:
    """Return the attention [rows, queries, heads, width] of `transformers`' `sdpa`.

    With grouped heads and a mask, that repeats keys and values for each query head. It is the same to let the
    heads of a group be further queries of its keys. In bfloat16 on a CPU it is made of products, which hold
    the scores (:mod:`rlvr.rollout.engines.bfloat16_attention`), unless ``hold_scores`` is false.
    """
    rows, heads, queries, width = query.shape
    groups = heads // key.shape[1]
    per_head = attention_mask is not None and attention_mask.shape[1] != 1
    usual = not per_head and keywords.get("position_bias") is None and heads == groups * key.shape[1]
    by_products = usual and hold_scores and not dropout and is_by_products(query, key)
    unmasked = attention_mask is None and queries > 1
    if not by_products and (not usual or unmasked or groups == 1):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **keywords)
    mask = attention_mask
    if unmasked and _is_causal(module, keywords.get("is_causal")):
        mask = torch.ones(1, 1, queries, key.shape[2], dtype=torch.bool).tril()
    if mask is not None:
        mask = mask.expand(-1, -1, queries, -1).repeat(1, 1, groups, 1)
    stacked = query.reshape(rows, heads // groups, groups * queries, width)
    if by_products:
        output = attention_by_products(stacked, key, value, mask, scaling)
    else:
        output = functional.scaled_dot_product_attention(
            stacked, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
        )
    return output.reshape(rows, heads, queries, value.shape[-1]).transpose(1, 2), None


def _is_causal(module: nn.Module, given: bool | None) -> bool:
    return bool(getattr(module, "is_causal", True) if given is None else given)


@contextmanager
def grouped_attention() -> Iterator[None]:
    """Let models use :func:`grouped_attention_forward` where they use `sdpa`."""
    ALL_ATTENTION_FUNCTIONS["sdpa"] = grouped_attention_forward
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS["sdpa"]  # the library's own again
