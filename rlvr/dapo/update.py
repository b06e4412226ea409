"""The update: one or several optimizer steps on the groups of a step."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlvr.config.training import Training
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.dapo.loss_scale import LossScale
from rlvr.dapo.losses import ALGORITHMS, LossInputs
from rlvr.dapo.mismatch import TokenRecord, importance_weights, joined, token_metrics
from rlvr.dapo.packing import microbatches
from rlvr.dapo.ranks import ONE_RANK, Ranks
from rlvr.dapo.sampling import Group, tokens_of
from rlvr.errors import RunFailure
from rlvr.methods import Method
from rlvr.models.autocast import autocast
from rlvr.models.sharding import clip_gradients
from rlvr.rollout.engines.base import Tokens

UPDATE_METRICS = (
    *("loss/policy", "loss/extra", "loss/clip_low_fraction", "loss/clip_high_fraction", "policy/entropy"),
    *("rollout/mismatch_kl", "rollout/mismatch_k1", "rollout/mismatch_max", "rollout/effective_sample_size"),
    *("optim/grad_norm", "optim/lr", "optim/overflows"),
)
NO_UPDATE: dict[str, float] = {**dict.fromkeys(UPDATE_METRICS, math.nan), "tokens/trained": 0}
"""Metrics of a step without completions to train on."""

logger = logging.getLogger(__name__)


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
    ranks: Ranks = ONE_RANK
    """The processes among which sequences are divided."""
    sharded: bool = False
    """Whether the ranks divide the weights, so that each must take part in every pass of the others."""
    loss_scale: LossScale = field(init=False)

    def __post_init__(self) -> None:
        """Start with the loss scale of the precision."""
        self.loss_scale = LossScale.of(self.training.dtype)

    def idle_passes(self, passes: int) -> int:
        """Return how many passes another rank does beyond the ``passes`` of this one, needing its weights.

        To be asked before the first pass.
        """
        return max(self.ranks.gathered([passes])) - passes if self.sharded else 0


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

    def part(self, rows: slice) -> "Batch":
        """Return some of the sequences; their weights stay relative to the whole batch."""
        return Batch(*(getattr(self, column.name)[rows] for column in fields(self)))


IDLE = Batch([Tokens((0,), (0,))], torch.zeros(1), torch.zeros(1), [None], [[0.0]])
"""What a rank computes in an idle pass: a sequence without weight in the loss."""


def update(learner: Learner, groups: list[Group], advantages_PG: Tensor, step: int) -> dict[str, float]:
    """Train on the groups of ``step`` and return metrics; gradients do not depend on the microbatch size.

    An optimizer step of which overlong filtering leaves no completion is left out.

    Raises:
        RunFailure: the loss or the gradient is not finite.
    """
    training = learner.training
    parts = np.array_split(np.arange(len(groups)), min(training.updates_per_step, len(groups)))
    if len(parts) > 1 or learner.stochastic:
        store_logprobs(learner, groups)
    results = []
    for position, part in enumerate(parts, start=step * training.updates_per_step):
        batch = make_batch([groups[i] for i in part], advantages_PG[part], training)
        if batch.tokens:
            results.append(optimizer_step(learner, batch, position))
    if not results:
        logger.warning("step %d: no update, because overlong filtering leaves no completion", step)
    return step_metrics(results) if results else NO_UPDATE


def step_metrics(results: "list[StepResult]") -> dict[str, float]:
    """Return the metrics of some optimizer steps, at least one: means over tokens or over steps."""
    tokens = joined([result.tokens for result in results])
    mean = {name: sum(result.values[name] for result in results) / len(results) for name in results[0].values}
    return {
        **mean,
        "optim/overflows": sum(result.values["optim/overflows"] for result in results),
        **token_metrics(tokens),
        "tokens/trained": len(tokens.entropy_N),
    }


def make_batch(groups: list[Group], advantages_PG: Tensor, training: Training) -> Batch:
    """Lay groups out as sequences; token weights are relative to the whole batch.

    Overlong filtering (DAPO, arXiv 2503.14476, section 3.4) leaves truncated completions out of the loss. As
    in TRL's `mask_truncated_completions`, they keep their part in the advantages of their group, a mean over
    tokens is over the other tokens, and a mean over completions counts them, with a loss of 0.
    """
    filtered = training.overlong_filtering
    in_loss = [not (filtered and truncated) for group in groups for truncated in group.truncated]
    kept = [row for row, used in enumerate(in_loss) if used]
    tokens = tokens_of(groups)
    lengths_S = torch.tensor(
        [len(row.completion_ids) if used else 0 for row, used in zip(tokens, in_loss, strict=True)]
    )
    weights_S = ALGORITHMS[training.algorithm].weights(lengths_S, training.sampling.max_new_tokens)
    old_logprobs: list[list[float] | None] = []
    for group in groups:
        old_logprobs += group.old_logprobs or [None] * len(group.completions)
    engine_logprobs = [row for group in groups for row in group.engine_logprobs]
    return Batch(
        tokens=[tokens[row] for row in kept],
        advantages_S=advantages_PG.flatten()[kept],
        weights_S=weights_S[kept],
        old_logprobs=[old_logprobs[row] for row in kept],
        engine_logprobs=[engine_logprobs[row] for row in kept],
    )


def store_logprobs(learner: Learner, groups: list[Group]) -> None:
    """Store the current policy's log-probabilities in groups that are used after it has changed."""
    fresh = [group for group in groups if group.old_logprobs is None]
    tokens = tokens_of(fresh)
    own = policy_logprobs(learner, tokens[learner.ranks.share(_sizes(tokens))])
    remaining = iter(learner.ranks.gathered(own))
    for group in fresh:
        group.old_logprobs = [next(remaining) for _ in group.completions]


def _sizes(sequences: Sequence[Tokens]) -> list[int]:
    return [len(prompt) + len(completion) for prompt, completion in sequences]


@torch.no_grad()
def policy_logprobs(learner: Learner, sequences: Sequence[Tokens]) -> list[list[float]]:
    """Return the log-probability of each completion token under the current policy, without dropout."""
    learner.policy.eval()  # the policy that samples has no dropout
    rows_of_values: list[list[float]] = [[] for _ in sequences]
    batches = list(microbatches(sequences, learner.training.tokens_per_microbatch, learner.packed))
    idle = learner.idle_passes(len(batches))
    for rows in batches:
        logprobs, _ = _forward(learner, [sequences[i] for i in rows])
        lengths = [len(sequences[i].completion_ids) for i in rows]
        for i, values in zip(rows, logprobs.split(lengths), strict=True):
            rows_of_values[i] = values.tolist()
    for _ in range(idle):
        _forward(learner, IDLE.tokens)
    learner.policy.train()
    return rows_of_values


def _forward(learner: Learner, sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Return log-probabilities and entropies, see :func:`completion_logprobs`, as they are trained."""
    with autocast(learner.policy, learner.training.dtype):
        return completion_logprobs(
            learner.policy, sequences, learner.training.sampling.temperature, learner.packed
        )


class StepResult(NamedTuple):
    """What an optimizer step leaves behind."""

    values: dict[str, float]
    """Metrics of the step as a whole."""
    tokens: TokenRecord


def optimizer_step(learner: Learner, batch: Batch, position: int) -> StepResult:
    """Do optimizer step ``position`` of the run (from 0, as planned).

    Raises:
        RunFailure: the loss or the gradient is not finite.
    """
    overflows = 0
    while True:
        loss, extra, tokens, norm = _gradients(learner, batch)
        if math.isfinite(loss + extra) and math.isfinite(norm):
            break
        if not (math.isfinite(loss + extra) and learner.loss_scale.reduce()):
            raise RunFailure(
                "diverged",
                f"the loss ({loss + extra}) or the gradient norm ({norm}) is not finite; "
                "lower training.learning_rate or use training.dtype: float32",
            )
        overflows += 1
    learner.loss_scale.succeeded()
    rate = float(learner.scheduler.get_last_lr()[0])
    learner.optimizer.step()
    learner.method.after_step(learner.policy, learner.optimizer, position)
    learner.scheduler.step()
    values = {
        "loss/policy": loss,
        "loss/extra": extra,
        "optim/grad_norm": norm,
        "optim/lr": rate,
        "optim/overflows": overflows,
    }
    return StepResult(values, tokens)


def _gradients(learner: Learner, batch: Batch) -> tuple[float, float, TokenRecord, float]:
    """Set the clipped gradients of a batch; return loss, extra loss, tokens and the norm before clipping.

    Each rank computes some of the sequences; all of this is of the whole batch on every rank.
    """
    learner.optimizer.zero_grad(set_to_none=True)
    ranks, budget = learner.ranks, learner.training.tokens_per_microbatch
    own = batch.part(ranks.share(_sizes(batch.tokens)))
    batches = list(microbatches(own.tokens, budget, learner.packed))
    idle = learner.idle_passes(len(batches))
    parts = [_backward(learner, own, rows) for rows in batches]
    for _ in range(idle):
        _backward(learner, IDLE, [0])
    trainable = [parameter for parameter in learner.policy.parameters() if parameter.requires_grad]
    parts = ranks.gathered(parts)
    ranks.sum_gradients(trainable)
    scale = learner.loss_scale.value
    extra = learner.method.extra_loss(learner.policy)
    if extra is not None:
        (extra * scale).backward()
    for parameter in trainable:
        if parameter.grad is not None and scale != 1:
            parameter.grad.div_(scale)
    norm = clip_gradients(trainable, learner.training.max_grad_norm)
    return (
        float(sum(loss for loss, _ in parts)),
        0.0 if extra is None else float(extra.detach()),
        joined([tokens for _, tokens in parts]),
        float(norm),
    )


def _backward(learner: Learner, batch: Batch, rows: list[int]) -> tuple[Tensor, TokenRecord]:
    """Add the scaled gradient of some sequences to the parameters; return their loss and their tokens."""
    training = learner.training
    logprobs_N, entropy_N = _forward(learner, [batch.tokens[i] for i in rows])
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
        lengths=counts.tolist(),
    )
    engine_N = torch.cat([torch.tensor(batch.engine_logprobs[i], device=device) for i in rows])
    if training.importance_cap is not None:
        trust_N = importance_weights(inputs.old_logprobs_N, engine_N, training.importance_cap)
        inputs = inputs._replace(weights_N=inputs.weights_N * trust_N)
    objective = ALGORITHMS[training.algorithm].loss(inputs, training.clip_low, training.clip_high)
    (objective.loss * learner.loss_scale.value).backward()
    tokens = TokenRecord(
        inputs.old_logprobs_N, engine_N, entropy_N, objective.clipped_low_N, objective.clipped_high_N
    )
    return objective.loss.detach(), tokens


def _old(stored: list[float] | None, current: Tensor) -> Tensor:
    """Return the log-probabilities under the policy that sampled the tokens."""
    return current if stored is None else torch.tensor(stored, device=current.device)
