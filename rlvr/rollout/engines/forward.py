"""What gives the logits of the next tokens of a batch: the model's own forward pass, recorded or not."""

import inspect
from typing import Any, Protocol, cast

from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from rlvr.rollout.engines.graphed import GraphedForward, fits_graph


class Forward(Protocol):
    """Gives the logits of the next tokens of a batch that rows leave."""

    def __call__(self, ids: Tensor, present: Tensor) -> Tensor:
        """Return the logits [rows, vocabulary] after the last of these tokens, which the cache lacks."""

    def keep(self, rows: Tensor) -> None:
        """Keep the rows of these indices, in their order."""


class PlainForward:
    """The model's own forward pass, in whatever way its family prepares the inputs."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache) -> None:
        self.model, self.cache = model, cache
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters

    def __call__(self, ids: Tensor, present: Tensor) -> Tensor:
        """Return the next logits, see :class:`Forward`."""
        positions = {"position_ids": present.sum(dim=1, keepdim=True) - 1} if self.takes_positions else {}
        inputs = cast(Any, self.model).prepare_inputs_for_generation(
            ids,
            next_sequence_length=1,
            past_key_values=self.cache,
            attention_mask=present,
            use_cache=True,
            **positions,
        )
        output = cast(Any, self.model)(**inputs, return_dict=True)
        self.cache = output.past_key_values
        return output.logits[:, -1]

    def keep(self, rows: Tensor) -> None:
        """Keep some rows, see :class:`Forward`."""
        self.cache.reorder_cache(cast(Any, rows))


def forward_of(model: PreTrainedModel, cache: DynamicCache, longest: int) -> Forward:
    """Return the forward pass that continues a cache: recorded as a CUDA graph where that is possible.

    Args:
        model: in evaluation mode, without defaults of its own for generation.
        cache: of all tokens but the last of each prompt.
        longest: tokens of prompt and completion, at most.
    """
    if fits_graph(model, cache):
        return GraphedForward(model, cache, longest)
    return PlainForward(model, cache)
