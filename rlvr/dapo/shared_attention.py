"""Attention of a row in which completions share their prompt, by the model's own attention function.

The attention modules of Transformers call a function by its name, ``sdpa``, and pass on what the model's
forward pass was called with. The function registered here under that name takes one more argument, the
blocks of a :class:`rlvr.dapo.packing.Row`, and only rearranges: it gathers the queries and keys of each
block, gives them to the original function (grouped heads share their keys there, see
:mod:`rlvr.rollout.engines.attention`), and puts the results back in the row. What the family asks for
(scale, sliding window) reaches it as always. A model that does not pass the argument on computes
something else, which :mod:`rlvr.dapo.packing_check` finds.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from rlvr.dapo.packing import Row
from rlvr.rollout.engines.attention import grouped_attention_forward

MOST_SCORES = 2**22
"""Attention scores of a block that are held at once, float32, for the backward pass."""


def shared_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packed_row: Row | None = None,
    sliding_window: int | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Return the attention output [1, N, heads, head size] of a packed row; without one, the usual.

    Args:
        module: the attention module.
        query: [1, heads, N, head size]; key and value may have fewer heads.
        key: see above.
        value: see above.
        attention_mask: ignored where there is a packed row.
        packed_row: the row, as given to the model's forward pass.
        sliding_window: positions that a query of this layer sees; None: all.
        settings: scale, dropout and whatever else the family gives.
    """
    if packed_row is None:
        usual = {"sliding_window": sliding_window, **settings}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **usual)
    outputs = []
    for block in packed_row.blocks:
        queries, keys = _gather(query, block.queries_BT), _gather(key, block.keys_BK)
        values, mask = _gather(value, block.keys_BK), block.mask(sliding_window)
        few = queries.shape[:-1].numel() * keys.shape[-2] <= MOST_SCORES
        with _kernel(queries, few):
            output, _ = grouped_attention_forward(
                module, queries, keys, values, mask, hold_scores=few, **settings
            )
        outputs.append(output.flatten(0, 1))
    return torch.cat(outputs).index_select(0, packed_row.places_N)[None], None


def _kernel(queries: Tensor, few_scores: bool) -> AbstractContextManager[None]:
    """Choose PyTorch's kernel: on a CPU in 16 bits the plain one is several times as fast as the fused one.

    The plain one holds all scores, so only where they are few.
    """
    plain = queries.device.type == "cpu" and queries.element_size() == 2 and few_scores
    return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()


def _gather(states: Tensor, places_BT: Tensor) -> Tensor:
    """Return the states [B, heads, T, size] of places in a row, from those of all, [1, heads, N, size]."""
    rows = states.squeeze(0).transpose(0, 1).index_select(0, places_BT.flatten())
    return rows.unflatten(0, places_BT.shape).transpose(1, 2)


AttentionInterface.register("sdpa", shared_attention)
