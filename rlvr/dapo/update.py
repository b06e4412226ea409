"""One optimizer step, or a few, on the groups of a step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlvr.config.schema import DType, Training
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.dapo.losses import ALGORITHMS, LossInputs, clipped_surrogate
from rlvr.dapo.sampling import Group, iterate_sequences
from rlvr.errors import UserError
from rlvr.methods import Method

UPDATE_METRICS = (
    "loss/policy",
    "loss/extra",
    "loss/clip_fraction",
    "policy/entropy",
    "rollout/mismatch_kl",
    "optim/grad_norm",
    "optim/lr",
)


@dataclass
class Learner:
    """The policy and what trains it."""

    method: Method
    policy: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    training: Training

    @property
    def stochastic(self) -> bool:
        """Whether forward passes in training hold noise, which the policy that sampled did not have."""
        modules: Iterator[nn.Module] = self.policy.modules()
        return self.method.stochastic or any(isinstance(m, nn.Dropout) and m.p > 0 for m in modules)


@dataclass(frozen=True)
class Sequences:
    """Completions of a batch, flat, with everything the loss needs to know of each."""

    tokens: list[tuple[list[int], list[int]]]
    """(prompt ids, completion ids)."""
    advantages: Tensor
    """[S]."""
    weights: Tensor
    """Weight of each of a completion's tokens, [S]."""
    old_logprobs: list[list[float] | None]
    """Per token, or None where the current policy drew it."""
    engine_logprobs: list[list[float]]
    """Per token, as the engine that drew it saw it."""


def update(learner: Learner, groups: list[Group], step: int) -> dict[str, float]:
    """Train on the groups of ``step`` and return metrics; gradients are exact whatever the microbatch size.

    Without groups nothing is trained and the metrics that an update would give are NaN.

    Raises:
        UserError: the loss or the gradient is not finite.
    """
    if not groups:
        return {**dict.fromkeys(UPDATE_METRICS, math.nan), "tokens/trained": 0}
    training = learner.training
    parts = np.array_split(np.arange(len(groups)), min(training.updates_per_step, len(groups)))
    if len(parts) > 1 or learner.stochastic:
        remember_logprobs(learner, groups)
    totals: dict[str, float] = {}
    for position, part in enumerate(parts, start=step * training.updates_per_step):
        metrics = optimizer_step(learner, flatten([groups[i] for i in part], training), position)
        for name, value in metrics.items():
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
    )
    return {**dict(zip(UPDATE_METRICS, values, strict=True)), "tokens/trained": tokens}


def flatten(groups: list[Group], training: Training) -> Sequences:
    """Lay groups out as sequences with advantages and global token weights."""
    algorithm = ALGORITHMS[training.algorithm]
    rewards_PG = torch.tensor([group.rewards for group in groups])
    tokens = list(iterate_sequences(groups))
    lengths_S = torch.tensor([len(completion) for _, completion in tokens])
    old_logprobs: list[list[float] | None] = []
    for group in groups:
        old_logprobs += group.old_logprobs or [None] * len(group.completions)
    return Sequences(
        tokens=tokens,
        advantages=algorithm.advantages(rewards_PG).flatten(),
        weights=algorithm.weights(lengths_S, training.sampling.max_new_tokens),
        old_logprobs=old_logprobs,
        engine_logprobs=[row for group in groups for row in group.engine_logprobs],
    )


def remember_logprobs(learner: Learner, groups: list[Group]) -> None:
    """Store the current policy's log-probabilities in groups that will outlive it."""
    fresh = [group for group in groups if group.old_logprobs is None]
    remaining = iter(policy_logprobs(learner, list(iterate_sequences(fresh))))
    for group in fresh:
        group.old_logprobs = [next(remaining) for _ in group.completions]


@torch.no_grad()
def policy_logprobs(learner: Learner, sequences: list[tuple[list[int], list[int]]]) -> list[list[float]]:
    """Return the log-probability of each completion token under the current policy, without dropout.

    ``sequences`` holds (prompt ids, completion ids).
    """
    learner.policy.eval()  # the policy that samples has no dropout
    rows_of_values: list[list[float]] = [[] for _ in sequences]
    for rows in microbatches(sequences, learner.training.tokens_per_microbatch):
        with autocast(learner.policy, learner.training.dtype):
            logprobs, _ = completion_logprobs(
                learner.policy, [sequences[i] for i in rows], learner.training.sampling.temperature
            )
        for i, values in zip(rows, logprobs.split([len(sequences[i][1]) for i in rows]), strict=True):
            rows_of_values[i] = values.tolist()
    learner.policy.train()
    return rows_of_values


def microbatches(sequences: list[tuple[list[int], list[int]]], budget: int) -> Iterator[list[int]]:
    """Yield rows of similar length whose padded size stays within ``budget`` tokens (one row at least)."""
    lengths = [len(prompt) + len(completion) for prompt, completion in sequences]
    batch: list[int] = []
    for row in sorted(range(len(sequences)), key=lambda row: (lengths[row], row)):
        if batch and lengths[row] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def autocast(policy: nn.Module, dtype: DType) -> torch.autocast:
    """Return the context in which the policy runs in ``dtype`` while trained weights stay float32."""
    device = next(policy.parameters()).device.type
    return torch.autocast(device, dtype=getattr(torch, dtype), enabled=dtype != "float32")


def optimizer_step(learner: Learner, batch: Sequences, position: int) -> dict[str, float]:
    """Do one optimizer step, number ``position`` of the run as planned, and return sums over the batch."""
    learner.optimizer.zero_grad(set_to_none=True)
    totals: dict[str, Any] = dict.fromkeys(("loss", "extra", "entropy", "mismatch"), 0.0)
    totals |= {"clipped_tokens": 0, "tokens": 0}
    for rows in microbatches(batch.tokens, learner.training.tokens_per_microbatch):
        for name, value in _backward(learner, batch, rows).items():
            totals[name] = totals[name] + value
    extra = learner.method.extra_loss(learner.policy)
    if extra is not None:
        extra.backward()
        totals["extra"] = extra.detach()
    trainable = [parameter for parameter in learner.policy.parameters() if parameter.requires_grad]
    norm = torch.nn.utils.clip_grad_norm_(trainable, learner.training.max_grad_norm)
    loss = float(totals["loss"] + totals["extra"])
    if not (np.isfinite(loss) and torch.isfinite(norm)):
        raise UserError(
            f"the loss ({loss}) or its gradient norm ({float(norm)}) is not finite; "
            "lower training.learning_rate or use training.dtype: float32"
        )
    totals |= {"grad_norm": norm, "learning_rate": learner.scheduler.get_last_lr()[0]}
    learner.optimizer.step()
    learner.method.after_step(learner.policy, learner.optimizer, position)
    learner.scheduler.step()
    return {name: float(value) for name, value in totals.items()}


def _backward(learner: Learner, batch: Sequences, rows: list[int]) -> dict[str, Any]:
    """Add the gradient of some sequences to the parameters; return sums to be added up."""
    training = learner.training
    with autocast(learner.policy, training.dtype):
        logprobs_N, entropy_N = completion_logprobs(
            learner.policy, [batch.tokens[i] for i in rows], training.sampling.temperature
        )
    counts = torch.tensor([len(batch.tokens[i][1]) for i in rows])
    device = logprobs_N.device
    current = logprobs_N.detach().split(counts.tolist())
    inputs = LossInputs(
        logprobs_N=logprobs_N,
        old_logprobs_N=torch.cat(
            [_old(batch.old_logprobs[i], now) for i, now in zip(rows, current, strict=True)]
        ),
        advantages_N=batch.advantages[rows].repeat_interleave(counts).to(device),
        weights_N=batch.weights[rows].repeat_interleave(counts).to(device),
    )
    engine_N = torch.cat([torch.tensor(batch.engine_logprobs[i], device=device) for i in rows])
    if training.importance_cap is not None:
        trust_N = importance_weights(inputs.old_logprobs_N, engine_N, training.importance_cap)
        inputs = inputs._replace(weights_N=inputs.weights_N * trust_N)
    loss, metrics = clipped_surrogate(inputs, training.clip_low, training.clip_high)
    loss.backward()
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
    Divergence, 2020). It is zero where the engine serves just what is trained.
    """
    log_ratio_N = trainer_N - engine_N
    return log_ratio_N.exp() - 1 - log_ratio_N


def importance_weights(trainer_N: Tensor, engine_N: Tensor, cap: float) -> Tensor:
    """Return min(trainer / engine, cap) per token [N]: truncated importance sampling.

    Yao et al., Your Efficient RL Framework Secretly Brings You Off-Policy RL Training, 2025.
    """
    return (trainer_N - engine_N).exp().clamp(max=cap)


def _old(stored: list[float] | None, current: Tensor) -> Tensor:
    """Return the log-probabilities under the policy that drew the tokens."""
    return current if stored is None else torch.tensor(stored, device=current.device)
