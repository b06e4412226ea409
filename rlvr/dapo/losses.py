"""Losses and advantages: pure functions, tensors in, tensors out.

Shapes: S sequences (completions) of the whole batch, N their tokens laid end to end, P prompts, G group size.
All algorithms share the clipped surrogate; they differ in how advantages are normalised and in the weight of
each token. Weights are relative to the whole batch, so the losses of its microbatches add up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class LossInputs(NamedTuple):
    """Tokens of some completions of a batch."""

    logprobs_N: Tensor
    """Log-probabilities under the policy being trained; carries the gradient."""
    old_logprobs_N: Tensor
    """Log-probabilities under the policy that sampled the tokens."""
    advantages_N: Tensor
    """Advantage of the completion that each token belongs to."""
    weights_N: Tensor
    """Weight of each token in the loss of the whole batch."""


def group_normalised(rewards_PG: Tensor) -> Tensor:
    """Return (R - mean) / std within each group [P, G]; GRPO, arXiv 2402.03300, section 4.1.2.

    The sample standard deviation is used. Groups of equal rewards get zeros; rewards are compared, since the
    computed deviation of equal numbers may not be exactly zero.
    """
    centred = group_centred(rewards_PG)
    equal = (rewards_PG == rewards_PG[:, :1]).all(dim=1, keepdim=True)
    deviation = rewards_PG.std(dim=1, keepdim=True, correction=1)
    return torch.where(equal, torch.zeros_like(centred), centred / deviation)


def group_centred(rewards_PG: Tensor) -> Tensor:
    """Return R - mean within each group [P, G]; Dr.GRPO, arXiv 2503.20783, section 3.2."""
    return rewards_PG - rewards_PG.mean(dim=1, keepdim=True)


def token_mean(lengths_S: Tensor, max_tokens: int) -> Tensor:
    """Return 1 / (tokens of the batch) for each completion [S]; DAPO, arXiv 2503.14476, Eq. 12."""
    return torch.full_like(lengths_S, 1.0, dtype=torch.float32) / lengths_S.sum()


def sequence_mean(lengths_S: Tensor, max_tokens: int) -> Tensor:
    """Return 1 / (S |o_i|) for each completion [S]; GRPO, arXiv 2402.03300, Eq. 3."""
    return 1.0 / (len(lengths_S) * lengths_S.float())


def constant_length(lengths_S: Tensor, max_tokens: int) -> Tensor:
    """Return 1 / (S max_tokens) for each completion [S]; Dr.GRPO, arXiv 2503.20783, section 3.2."""
    return torch.full_like(lengths_S, 1.0 / (len(lengths_S) * max_tokens), dtype=torch.float32)


def clipped_surrogate(
    inputs: LossInputs, clip_low: float, clip_high: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of Eq. 8 of DAPO (arXiv 2503.14476) and its metrics, both scalars to be summed.

    loss = -sum_N w min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A) with rho = exp(logp - old logp).
    ``clipped_tokens`` counts the tokens whose gradient the clip removes.
    """
    ratio = torch.exp(inputs.logprobs_N - inputs.old_logprobs_N)
    unclipped = ratio * inputs.advantages_N
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high) * inputs.advantages_N
    loss = -(torch.minimum(unclipped, clipped) * inputs.weights_N).sum()
    return loss, {"clipped_tokens": (clipped < unclipped).sum().detach()}


@dataclass(frozen=True)
class Algorithm:
    """How an algorithm normalises rewards and weighs tokens."""

    advantages: Callable[[Tensor], Tensor]
    """Rewards [P, G] -> advantages [P, G]."""
    weights: Callable[[Tensor, int], Tensor]
    """(lengths [S], length limit) -> weight of each token of a completion [S]."""


ALGORITHMS = {
    "dapo": Algorithm(group_normalised, token_mean),
    "grpo": Algorithm(group_normalised, sequence_mean),
    "dr_grpo": Algorithm(group_centred, constant_length),
}
"""Name in the configuration -> algorithm."""


def soft_overlong_punishment(length: int, max_tokens: int, buffer_tokens: int) -> float:
    """Return the length reward of DAPO (arXiv 2503.14476, Eq. 13): 0, then linear down to -1.

    Lengths are in tokens. It is 0 up to ``max_tokens - buffer_tokens`` and -1 from ``max_tokens`` on.
    """
    excess = length - (max_tokens - buffer_tokens)
    return -min(max(excess, 0) / buffer_tokens, 1.0)
