"""The alarm: a run stops when the policy that samples is not the one that is trained.

Two independent looks. After each sync the log-probabilities of a few fixed answers (the canary) are computed
by trainer and engine; and every update compares the two on the tokens that were drawn
(`rollout/mismatch_kl`). What the engine should hold is checked bit by bit in :mod:`rlvr.rollout.sync`; this
sees what it computes from it.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from rlvr.config.schema import Training
from rlvr.dapo.sampling import TrainingProblem
from rlvr.dapo.update import Learner, mismatch_kl, policy_logprobs
from rlvr.errors import UserError
from rlvr.rollout.engines.base import Engine

CANARIES = 4
"""Answers that are scored after each sync; each costs the engine one forward pass."""


def canary_completions(
    problems: Sequence[TrainingProblem], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[list[int], list[int]]]:
    """Return (prompt ids, gold answer ids) of the first problems."""
    return [
        (list(problem.prompt_ids), tokenizer.encode(problem.answer, add_special_tokens=False))
        for problem in problems[:CANARIES]
    ]


def canary_kl(learner: Learner, engine: Engine, answers: list[tuple[list[int], list[int]]]) -> float:
    """Return the part of KL(engine || trainer) that the canary's tokens carry, in nats per token.

    KL is the sum over the vocabulary of p (r - 1 - log r) with p the engine's probability and
    r = trainer / engine; no term is negative, so the terms of the gold tokens are a lower bound. Without the
    weight p an unlikely token, whose probability 16-bit arithmetic hardly knows, would cry wolf.
    """
    trainer_N = torch.tensor([value for row in policy_logprobs(learner, answers) for value in row])
    temperature = learner.training.sampling.temperature
    engine_N = torch.tensor(
        [value for prompt, answer in answers for value in engine.score(prompt, answer, temperature)]
    )
    return float((engine_N.exp() * mismatch_kl(trainer_N, engine_N)).mean())


def check_mismatch(kl: float, training: Training, place: str) -> None:
    """Stop the run if trainer and engine disagree more than their precision explains, or are not finite.

    Raises:
        UserError: they do.
    """
    if not kl <= training.largest_mismatch:
        raise UserError(
            f"the policy that samples is not the one that is trained: their KL is {kl:.2g} nats per token "
            f"{place}, above {training.largest_mismatch:g}; a finer training.rollout_dtype brings them "
            "together, training.mismatch_alarm sets the limit"
        )
