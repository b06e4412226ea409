"""The canary: a run stops when the policy that samples is not the policy that is trained.

Before training, the trainer's logits of a few fixed completions (the canary) must be those of the model's own
forward pass. Then two independent checks. After each sync, trainer and engine both score the canary (where
the policy itself samples, at the start only); and every update compares the log-probabilities of the two on
the sampled tokens (`rollout/mismatch_kl`). :mod:`rlvr.rollout.sync` checks bit by bit which weights the
engine holds; the canary checks what the engine computes from them.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from rlvr.config.training import Training
from rlvr.dapo.head import check_head, plain_model
from rlvr.dapo.mismatch import mismatch_kl
from rlvr.dapo.sampling import TrainingProblem
from rlvr.dapo.update import Learner, policy_logprobs
from rlvr.errors import RunFailure
from rlvr.models.autocast import autocast
from rlvr.models.first_pass import first_pass
from rlvr.rollout.engines.base import Engine, Tokens

CANARIES = 4
"""Completions scored after each sync; each costs the engine one forward pass."""


def canary_completions(
    problems: Sequence[TrainingProblem], tokenizer: PreTrainedTokenizerBase
) -> list[Tokens]:
    """Return the first problems with their gold answers as completions."""
    return [
        Tokens(problem.prompt_ids, tokenizer.encode(problem.answer, add_special_tokens=False))
        for problem in problems[:CANARIES]
    ]


@torch.no_grad()
def check_logprobs(learner: Learner, canary: Sequence[Tokens]) -> None:
    """Refuse a model whose logits, computed from its hidden states, are not those of its forward pass.

    Raises:
        UserError: see :func:`rlvr.dapo.head.check_head`; or a pass, alone or in a batch, fails.
    """
    model = plain_model(learner.policy)
    learner.policy.eval()
    with first_pass(model, "trained", learner.method.name):
        with autocast(learner.policy, learner.training.dtype):
            for prompt, completion in canary:
                check_head(model, [*prompt, *completion])
        policy_logprobs(learner, canary)
    learner.policy.train()


def canary_kl(learner: Learner, engine: Engine, canary: Sequence[Tokens]) -> float:
    """Return the part of KL(engine || trainer) that falls on the canary's tokens, in nats per token.

    KL is the sum over the vocabulary of p (r - 1 - log r), with p the engine's probability and
    r = trainer / engine. No term is negative, so the terms of the canary's tokens are a lower bound. Without
    the weight p, tokens too improbable for 16-bit arithmetic would raise false alarms.
    """
    temperature = learner.training.sampling.temperature
    trainer_N = torch.tensor([value for row in policy_logprobs(learner, canary) for value in row])
    engine_N = torch.tensor([value for tokens in canary for value in engine.score(tokens, temperature)])
    return float((engine_N.exp() * mismatch_kl(trainer_N, engine_N)).mean())


def check_mismatch(kl: float, training: Training, place: str) -> None:
    """Stop the run if trainer and engine differ by more than their precision explains.

    Raises:
        RunFailure: the KL is above the limit, or not a number.
    """
    if not kl <= training.largest_mismatch:
        raise RunFailure(
            "diverged",
            f"the policy that samples is not the policy that is trained: their KL is {kl:.2g} nats per token "
            f"{place}, the limit is {training.largest_mismatch:g}; use a finer training.rollout_dtype, or "
            "raise training.mismatch_alarm",
        )
