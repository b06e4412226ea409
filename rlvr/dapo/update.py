"""The update: one or several optimizer steps on the groups of a step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlvr.config.schema import Training
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.dapo.loss_scale import LossScale
from rlvr.dapo.losses import ALGORITHMS, LossInputs, clipped_surrogate
from rlvr.dapo.packing import microbatches
from rlvr.dapo.sampling import Group, tokens_of
from rlvr.errors import UserError
from rlvr.methods import Method
from rlvr.models.autocast import autocast
from rlvr.rollout.engines.base import Tokens

UPDATE_METRICS = (
    "loss/policy",
    "loss/extra",
    "loss/clip_fraction",
    "policy/entropy",
    "rollout/mismatch_kl",
    "optim/grad_norm",
    "optim/lr",
    "optim/overflows",
)
NO_UPDATE: dict[str, float] = {**dict.fromkeys(UPDATE_METRICS, math.nan), "tokens/trained": 0}
"""Metrics of a step without groups to train on."""


@dataclass
class Learner:
    """The policy and what trains it."""

    method: Method
    policy: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    training: Training
    total_parameters: int
    """Parameters of the base model."""
    stochastic: bool
    """Whether forward passes in training are noisy, unlike those of the policy that sampled."""
    packed: bool
    """Whether a group's prompt is computed once for all its completions."""
    loss_scale: LossScale = field(init=False)

    def __post_init__(self) -> None:
        """Start with the loss scale of the precision."""
        self.loss_scale = LossScale.of(self.training.dtype)


@dataclass(frozen=True)
class Batch:
    """The sequences of one optimizer step, with what the loss needs of each."""

    tokens: list[Tokens]
    advantages_S: Tensor
    weights_S: Tensor
    """Weight of each token of a completion in the loss."""
    old_logprobs: list[list[float] | None]
    """Per token, or None where the current policy sampled it."""
    engine_logprobs: list[list[float]]
    """Per token, as computed by the engine that sampled it."""


def update(learner: Learner, groups: list[Group], advantages_PG: Tensor, step: int) -> dict[str, float]:
    """Train on the groups of ``step`` and return metrics; gradients do not depend on the microbatch size.

    Raises:
        UserError: the loss or the gradient is not finite.
    """
    training = learner.training
    parts = np.array_split(np.arange(len(groups)), min(training.updates_per_step, len(groups)))
    if len(parts) > 1 or learner.stochastic:
        store_logprobs(learner, groups)
    totals: dict[str, float] = {}
    for position, part in enumerate(parts, start=step * training.updates_per_step):
        batch = make_batch([groups[i] for i in part], advantages_PG[part], training)
        for name, value in optimizer_step(learner, batch, position).items():
            totals[name] = totals.get(name, 0.0) + value
    tokens = totals.pop("tokens")
    values = (
        totals["loss"] / len(parts),
        totals["extra"] / len(parts),
        totals["clipped_tokens"] / tokens,
        totals["entropy"] / tokens,
        totals["mismatch"] / tokens,
        totals["grad_norm"] / len(parts),
        totals["learning_rate"] / len(parts),
        totals["overflows"],
    )
    return {**dict(zip(UPDATE_METRICS, values, strict=True)), "tokens/trained": tokens}


def make_batch(groups: list[Group], advantages_PG: Tensor, training: Training) -> Batch:
    """Lay groups out as sequences; token weights are relative to the whole batch."""
    tokens = tokens_of(groups)
    lengths_S = torch.tensor([len(sequence.completion_ids) for sequence in tokens])
    old_logprobs: list[list[float] | None] = []
    for group in groups:
        old_logprobs += group.old_logprobs or [None] * len(group.completions)
    return Batch(
        tokens=tokens,
        advantages_S=advantages_PG.flatten(),
        weights_S=ALGORITHMS[training.algorithm].weights(lengths_S, training.sampling.max_new_tokens),
        old_logprobs=old_logprobs,
        engine_logprobs=[row for group in groups for row in group.engine_logprobs],
    )


def store_logprobs(learner: Learner, groups: list[Group]) -> None:
    """Store the current policy's log-probabilities in groups that are used after it has changed."""
    fresh = [group for group in groups if group.old_logprobs is None]
    remaining = iter(policy_logprobs(learner, tokens_of(fresh)))
    for group in fresh:
        group.old_logprobs = [next(remaining) for _ in group.completions]


@torch.no_grad()
def policy_logprobs(learner: Learner, sequences: Sequence[Tokens]) -> list[list[float]]:
    """Return the log-probability of each completion token under the current policy, without dropout."""
    learner.policy.eval()  # the policy that samples has no dropout
    rows_of_values: list[list[float]] = [[] for _ in sequences]
    for rows in microbatches(sequences, learner.training.tokens_per_microbatch, learner.packed):
        with autocast(learner.policy, learner.training.dtype):
            logprobs, _ = completion_logprobs(
                learner.policy,
                [sequences[i] for i in rows],
                learner.training.sampling.temperature,
                learner.packed,
            )
        lengths = [len(sequences[i].completion_ids) for i in rows]
        for i, values in zip(rows, logprobs.split(lengths), strict=True):
            rows_of_values[i] = values.tolist()
    learner.policy.train()
    return rows_of_values


def optimizer_step(learner: Learner, batch: Batch, position: int) -> dict[str, float]:
    """Do optimizer step ``position`` of the run (from 0, as planned) and return sums over the batch.

    Raises:
        UserError: the loss or the gradient is not finite.
    """
    overflows = 0
    while True:
        totals, norm = _gradients(learner, batch)
        loss = float(totals["loss"] + totals["extra"])
        if np.isfinite(loss) and torch.isfinite(norm):
            break
        if not (np.isfinite(loss) and learner.loss_scale.reduce()):
            raise UserError(
                f"the loss ({loss}) or the gradient norm ({float(norm)}) is not finite; "
                "lower training.learning_rate or use training.dtype: float32"
            )
        overflows += 1
    learner.loss_scale.succeeded()
    totals |= {
        "grad_norm": norm,
        "learning_rate": learner.scheduler.get_last_lr()[0],
        "overflows": overflows,
    }
    learner.optimizer.step()
    learner.method.after_step(learner.policy, learner.optimizer, position)
    learner.scheduler.step()
    return {name: float(value) for name, value in totals.items()}


def _gradients(learner: Learner, batch: Batch) -> tuple[dict[str, Any], Tensor]:
    """Set the gradients of a batch, clipped, and return sums over its tokens and the norm before clipping."""
    learner.optimizer.zero_grad(set_to_none=True)
    totals: dict[str, Any] = dict.fromkeys(("loss", "extra", "entropy", "mismatch"), 0.0)
    totals |= {"clipped_tokens": 0, "tokens": 0}
    for rows in microbatches(batch.tokens, learner.training.tokens_per_microbatch, learner.packed):
        for name, value in _backward(learner, batch, rows).items():
            totals[name] = totals[name] + value
    scale = learner.loss_scale.value
    extra = learner.method.extra_loss(learner.policy)
    if extra is not None:
        (extra * scale).backward()
        totals["extra"] = extra.detach()
    trainable = [parameter for parameter in learner.policy.parameters() if parameter.requires_grad]
    for parameter in trainable:
        if parameter.grad is not None and scale != 1:
            parameter.grad.div_(scale)
    return totals, torch.nn.utils.clip_grad_norm_(trainable, learner.training.max_grad_norm)


def _backward(learner: Learner, batch: Batch, rows: list[int]) -> dict[str, Any]:
    """Add the scaled gradient of some sequences to the parameters and return sums over their tokens."""
    training = learner.training
    with autocast(learner.policy, training.dtype):
        logprobs_N, entropy_N = completion_logprobs(
            learner.policy,
            [batch.tokens[i] for i in rows],
            training.sampling.temperature,
            learner.packed,
        )
    counts = torch.tensor([len(batch.tokens[i].completion_ids) for i in rows])
    device = logprobs_N.device
    current = logprobs_N.detach().split(counts.tolist())
    inputs = LossInputs(
        logprobs_N=logprobs_N,
        old_logprobs_N=torch.cat(
            [_old(batch.old_logprobs[i], now) for i, now in zip(rows, current, strict=True)]
        ),
        advantages_N=batch.advantages_S[rows].repeat_interleave(counts).to(device),
        weights_N=batch.weights_S[rows].repeat_interleave(counts).to(device),
    )
    engine_N = torch.cat([torch.tensor(batch.engine_logprobs[i], device=device) for i in rows])
    if training.importance_cap is not None:
        trust_N = importance_weights(inputs.old_logprobs_N, engine_N, training.importance_cap)
        inputs = inputs._replace(weights_N=inputs.weights_N * trust_N)
    loss, metrics = clipped_surrogate(inputs, training.clip_low, training.clip_high)
    (loss * learner.loss_scale.value).backward()
    return {
        "loss": loss.detach(),
        "clipped_tokens": metrics["clipped_tokens"],
        "entropy": entropy_N.sum(),
        "mismatch": mismatch_kl(inputs.old_logprobs_N, engine_N).sum(),
        "tokens": len(logprobs_N),
    }


def mismatch_kl(trainer_N: Tensor, engine_N: Tensor) -> Tensor:
    """Return, per token [N], an estimate of KL(engine || trainer) in nats that is never negative.

    The estimator k3 = r - 1 - log r with r = trainer / engine (Schulman, Approximating KL
    Divergence, 2020). It is zero where the engine serves exactly what is trained.
    """
    log_ratio_N = trainer_N - engine_N
    return log_ratio_N.exp() - 1 - log_ratio_N


def importance_weights(trainer_N: Tensor, engine_N: Tensor, cap: float) -> Tensor:
    """Return min(trainer / engine, cap) per token [N]: truncated importance sampling.

    Yao et al., Your Efficient RL Framework Secretly Brings You Off-Policy RL Training, 2025.
    """
    return (trainer_N - engine_N).exp().clamp(max=cap)


def _old(stored: list[float] | None, current: Tensor) -> Tensor:
    """Return the log-probabilities under the policy that sampled the tokens."""
    return current if stored is None else torch.tensor(stored, device=current.device)
