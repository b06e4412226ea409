"""Per-token statistics of a step: what the engine sampled against what the trainer computes.

Shape suffix: N completion tokens, laid end to end. Log-probabilities are of the sampled tokens, in nats; the
trainer's are those of the policy that sampled, not of the policy after the first update of a step.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class TokenRecord(NamedTuple):
    """What an update leaves behind of each token [N], without gradients."""

    trainer_N: Tensor
    """Log-probability as the trainer computes it."""
    engine_N: Tensor
    """Log-probability as the engine computed it that sampled the token."""
    entropy_N: Tensor
    """Entropy of the policy being trained, in nats."""
    clipped_low_N: Tensor
    """Whether the lower bound of the clip acts on the token."""
    clipped_high_N: Tensor
    """Whether the upper bound does."""


def joined(records: list[TokenRecord]) -> TokenRecord:
    """Return the records of several microbatches as one."""
    return TokenRecord(*(torch.cat(columns) for columns in zip(*records, strict=True)))


def token_metrics(tokens: TokenRecord) -> dict[str, float]:
    """Return the statistics of the training log over some tokens, at least one."""
    trainer_N, engine_N = tokens.trainer_N, tokens.engine_N
    values = {
        "loss/clip_low_fraction": tokens.clipped_low_N.float().mean(),
        "loss/clip_high_fraction": tokens.clipped_high_N.float().mean(),
        "policy/entropy": tokens.entropy_N.mean(),
        "rollout/mismatch_kl": mismatch_kl(trainer_N, engine_N).mean(),
        "rollout/mismatch_k1": (engine_N - trainer_N).mean(),
        "rollout/mismatch_max": (trainer_N - engine_N).abs().max(),
        "rollout/effective_sample_size": effective_sample_size((trainer_N - engine_N).exp()),
    }
    return {name: float(value) for name, value in values.items()}


def mismatch_kl(trainer_N: Tensor, engine_N: Tensor) -> Tensor:
    """Return, per token [N], an estimate of KL(engine || trainer) in nats that is never negative.

    The estimator k3 = r - 1 - log r with r = trainer / engine (Schulman, Approximating KL
    Divergence, 2020). It is zero where the engine serves exactly what is trained. The mean of -log r is k1 of
    the same source: also unbiased, of either sign.
    """
    log_ratio_N = trainer_N - engine_N
    return log_ratio_N.exp() - 1 - log_ratio_N


def importance_weights(trainer_N: Tensor, engine_N: Tensor, cap: float) -> Tensor:
    """Return min(trainer / engine, cap) per token [N]: truncated importance sampling.

    Yao et al., Your Efficient RL Framework Secretly Brings You Off-Policy RL Training, 2025.
    """
    return (trainer_N - engine_N).exp().clamp(max=cap)


def effective_sample_size(weights_N: Tensor) -> Tensor:
    """Return (sum w)^2 / (N sum w^2), from 1/N to 1.

    The share of the samples that, equally weighted, would be worth as much. Kong, A Note on Importance
    Sampling using Standardized Weights, 1992.
    """
    return weights_N.sum() ** 2 / (len(weights_N) * (weights_N**2).sum())
