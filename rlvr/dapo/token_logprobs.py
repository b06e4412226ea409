"""Log-probabilities and entropies of tokens from hidden states, a few rows of logits at a time.

Logits are made of each state alone, so the gradient of a token's log-probability by its state needs only a
factor from the loss. Where the output layer is frozen, as in most methods, it is therefore computed together
with the value, and logits are neither kept nor made again. Where the layer is trained, its own gradient sums
over tokens with their factors, so that logits are made again in the backward pass.

Shape suffixes: M tokens, D width of a state, V vocabulary.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rlvr.dapo.head import Head

CHUNK_LOGITS = {"cpu": 2**23, "cuda": 2**27}
"""Logits in memory at once, by device; two tables of so many float32 numbers are needed."""


def token_logprobs(
    head: Head, states_MD: Tensor, targets_M: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return log-probability [M] and entropy [M], in nats, of each target given its state.

    Only log-probabilities carry a gradient.
    """
    learns = torch.is_grad_enabled()
    trained = learns and head.is_trained(states_MD)

    def values(states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if learns and not trained:
            return cast(tuple[Tensor, Tensor], _FrozenHead.apply(states, targets, temperature, head))
        return _values(head(states), targets, temperature)

    rows = max(1, CHUNK_LOGITS.get(states_MD.device.type, 2**23) // head.vocabulary)
    count = max(1, math.ceil(len(states_MD) / rows))  # alike, since each chunk reads all of the output layer
    parts = [
        checkpoint(values, *chunk, use_reentrant=False) if trained else values(*chunk)
        for chunk in zip(states_MD.tensor_split(count), targets_M.tensor_split(count), strict=True)
    ]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _values(logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    return cast(tuple[Tensor, Tensor], _TargetLogprobs.apply(logits, targets, temperature))


class _TargetLogprobs(torch.autograd.Function):
    """Log-probability and entropy from logits; probabilities become the gradient in place.

    d log p(target) / d logit_v = ([v = target] - p(v)) / temperature.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        scaled = logits.float() if temperature == 1 else logits.float() / temperature
        probabilities = scaled.softmax(dim=-1)
        # log softmax = (scaled - largest) + log p(largest), without a third table of this size
        largest, log_of_largest = scaled.amax(dim=-1), probabilities.amax(dim=-1).log()
        logprobs = scaled.gather(1, targets[:, None]).squeeze(1) - largest + log_of_largest
        with torch.autocast(logits.device.type, enabled=False):  # in float32, without a copy of both
            expected = torch.bmm(probabilities[:, None], scaled[:, :, None]).flatten()
        entropy = largest - log_of_largest - expected
        ctx.save_for_backward(probabilities, targets)  # so that a checkpoint drops them, unlike attributes
        ctx.temperature, ctx.dtype = temperature, logits.dtype
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        factors = gradient[:, None] / ctx.temperature
        probabilities, targets = ctx.saved_tensors
        gradients = probabilities.mul_(-factors).scatter_add_(1, targets[:, None], factors)
        return gradients.to(ctx.dtype), None, None


class _FrozenHead(torch.autograd.Function):
    """Log-probability and entropy from states, with the gradient by each state computed at once."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, targets: Tensor, temperature: float, head: Head
    ) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            own = states.detach().requires_grad_()
            logprobs, entropy = _values(head(own), targets, temperature)
            (gradients,) = torch.autograd.grad(logprobs.sum(), own)
        ctx.save_for_backward(gradients)
        ctx.mark_non_differentiable(entropy)
        return logprobs.detach(), entropy

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (gradients,) = ctx.saved_tensors
        return (gradient[:, None] * gradients).to(gradients.dtype), None, None, None
