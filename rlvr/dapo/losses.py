"""Losses and advantages: pure functions, tensors in, tensors out.

Shapes: S sequences (completions), N their tokens laid end to end, P prompts, G group size. An algorithm is
four functions: how rewards become advantages, the weight of each token, the importance ratio, and the
objective. Weights are relative to the whole batch, so the losses of its microbatches, which hold whole
completions, add up.
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
    lengths: list[int]
    """Tokens of each of the S completions; they add up to N."""


class Objective(NamedTuple):
    """A loss, to be summed over microbatches, and what the clip did to each token [N]."""

    loss: Tensor
    clipped_low_N: Tensor
    """Whether the lower bound of the clip acts on the token."""
    clipped_high_N: Tensor
    """Whether the upper bound does."""


# --- advantages: rewards [P, G] -> advantages [P, G] ---------------------------------------------


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


# --- weights: tokens in the loss [S], length limit -> weight of each token of a completion [S] -----
# A completion left out of the loss (overlong filtering) has no tokens in it and counts in S all the same.


def token_mean(lengths_S: Tensor, max_tokens: int) -> Tensor:
    """Return 1 / (tokens of the batch) for each completion [S]; DAPO, arXiv 2503.14476, Eq. 12."""
    return torch.full_like(lengths_S, 1.0, dtype=torch.float32) / lengths_S.sum()


def sequence_mean(lengths_S: Tensor, max_tokens: int) -> Tensor:
    """Return 1 / (S |o_i|) for each completion [S]; GRPO, arXiv 2402.03300, Eq. 3."""
    return 1.0 / (len(lengths_S) * lengths_S.float())


def constant_length(lengths_S: Tensor, max_tokens: int) -> Tensor:
    """Return 1 / (S max_tokens) for each completion [S]; Dr.GRPO, arXiv 2503.20783, section 3.2."""
    return torch.full_like(lengths_S, 1.0 / (len(lengths_S) * max_tokens), dtype=torch.float32)


# --- importance ratio [N] of policy to old policy --------------------------------------------------


def token_ratio(inputs: LossInputs) -> Tensor:
    """Return the ratio of each token [N]; GRPO, arXiv 2402.03300, Eq. 3."""
    return torch.exp(inputs.logprobs_N - inputs.old_logprobs_N)


def sequence_ratio(inputs: LossInputs) -> Tensor:
    """Return, for each token [N], the ratio of its completion; GSPO, arXiv 2507.18071, Eq. 7.

    s_i = (pi(o_i) / pi_old(o_i))^(1 / |o_i|), the geometric mean of the ratios of the tokens. The gradient of
    s_i is s_i times the mean of the gradients of their log-probabilities (Eq. 10).
    """
    log_ratios = (inputs.logprobs_N - inputs.old_logprobs_N).split(inputs.lengths)
    return torch.cat([part.mean().exp().expand(len(part)) for part in log_ratios])


# --- objectives: ratio [N], inputs, clip ranges -> Objective ---------------------------------------


def clipped_surrogate(ratio_N: Tensor, inputs: LossInputs, clip_low: float, clip_high: float) -> Objective:
    """Return the loss of Eq. 8 of DAPO (arXiv 2503.14476).

    -sum_N w min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A) for a ratio rho. The clip acts on a token if
    it removes its gradient: below the range with A < 0, above it with A > 0. With the ratio of the whole
    completion and weights 1 / (S |o_i|) it is Eq. 5 of GSPO (arXiv 2507.18071).
    """
    unclipped = ratio_N * inputs.advantages_N
    clipped = ratio_N.clamp(1 - clip_low, 1 + clip_high) * inputs.advantages_N
    loss = -(torch.minimum(unclipped, clipped) * inputs.weights_N).sum()
    removed = (clipped < unclipped).detach()
    return Objective(loss, removed & (inputs.advantages_N < 0), removed & (inputs.advantages_N > 0))


def clipped_weights(ratio_N: Tensor, inputs: LossInputs, clip_low: float, clip_high: float) -> Objective:
    """Return the loss of CISPO, Eq. 4 and 5 of MiniMax-M1 (arXiv 2506.13585).

    -sum_N w sg(clip(rho, 1 - clip_low, 1 + clip_high)) A log pi, where sg stops the gradient: the clip bounds
    the importance weight of a token and never removes its gradient. With clip_low 1 there is no lower bound.
    """
    ratio_N = ratio_N.detach()
    importance_N = ratio_N.clamp(1 - clip_low, 1 + clip_high)
    loss = -(importance_N * inputs.advantages_N * inputs.logprobs_N * inputs.weights_N).sum()
    return Objective(loss, ratio_N < 1 - clip_low, ratio_N > 1 + clip_high)


@dataclass(frozen=True)
class Algorithm:
    """The parts of an algorithm."""

    advantages: Callable[[Tensor], Tensor]
    """Rewards [P, G] -> advantages [P, G]."""
    weights: Callable[[Tensor, int], Tensor]
    """(tokens in the loss [S], length limit) -> weight of each token of a completion [S]."""
    ratio: Callable[[LossInputs], Tensor] = token_ratio
    """Inputs -> importance ratio of each token [N]."""
    objective: Callable[[Tensor, LossInputs, float, float], Objective] = clipped_surrogate
    """(ratio [N], inputs, lower and upper clip range) -> loss and clipped tokens."""

    def loss(self, inputs: LossInputs, clip_low: float, clip_high: float) -> Objective:
        """Return the loss of some completions of a batch and their clipped tokens."""
        return self.objective(self.ratio(inputs), inputs, clip_low, clip_high)


ALGORITHMS = {
    "dapo": Algorithm(group_normalised, token_mean),
    "grpo": Algorithm(group_normalised, sequence_mean),
    "dr_grpo": Algorithm(group_centred, constant_length),
    "gspo": Algorithm(group_normalised, sequence_mean, ratio=sequence_ratio),
    "cispo": Algorithm(group_normalised, token_mean, objective=clipped_weights),
}
"""Name in the configuration -> algorithm."""


def soft_overlong_punishment(length: int, max_tokens: int, buffer_tokens: int) -> float:
    """Return the length reward of DAPO (arXiv 2503.14476, Eq. 13): 0, then linear down to -1.

    Lengths are in tokens. It is 0 up to ``max_tokens - buffer_tokens`` and -1 from ``max_tokens`` on.
    """
    excess = length - (max_tokens - buffer_tokens)
    return -min(max(excess, 0) / buffer_tokens, 1.0)
