"""Whether a policy can compute equal prompts once: found by experiment, since no list of families stays true.

A family can be packed if its layers treat tokens one by one but for attention, if its positions are those it
is given, and if its attention is the function of :mod:`rlvr.dapo.shared_attention`. Recurrent layers and
convolutions, learned positions by place, and attention of a family's own give other log-probabilities.
"""

import logging

import torch
from torch import Tensor, nn

from rlvr.config.training import Training
from rlvr.dapo.head import plain_model
from rlvr.dapo.logprobs import completion_logprobs
from rlvr.models.autocast import autocast
from rlvr.rollout.engines.base import Tokens

COMPLETIONS = (9, 1, 14, 5)
"""Lengths of the completions of the made-up group, in tokens."""
PROMPT_TOKENS = 11
LARGEST_DIFFERENCE = {"float32": 0.002, "float16": 0.02, "bfloat16": 0.1}
"""Mean difference of log-probabilities that rounding explains, relative to what another prompt changes."""
WINDOWS = ("sliding_window", "attention_chunk_size")
"""Settings that limit how far back attention reaches, in tokens."""

logger = logging.getLogger(__name__)


@torch.no_grad()
def can_be_packed(policy: nn.Module, training: Training) -> bool:
    """Compare packed with padded log-probabilities of a made-up group, and log the layout that is used.

    The policy is called in evaluation mode and left in it.
    """
    policy.eval()
    sequences, other = _sequences(policy, training)
    with autocast(policy, training.dtype):
        padded_M = completion_logprobs(policy, sequences, 1.0, packed=False)[0]
        changed_M = completion_logprobs(policy, other, 1.0, packed=False)[0]
        try:
            packed_M = completion_logprobs(policy, sequences, 1.0, packed=True)[0]
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # every family fails in its own way
            return _padded(policy, f"it fails on a packed row ({type(error).__name__}: {error})")
    difference, effect = _mean_difference(packed_M, padded_M), _mean_difference(changed_M, padded_M)
    if not difference <= LARGEST_DIFFERENCE[training.dtype] * effect:
        return _padded(policy, f"packed log-probabilities differ by {difference:.2g} nats on average")
    logger.info("updates compute the prompt of a group once")
    return True


def _padded(policy: nn.Module, reason: str) -> bool:
    model = plain_model(policy)
    logger.info(
        "updates compute a group's prompt for each completion: %s (model_type %s) cannot be packed, since %s",
        type(model).__name__,
        model.config.model_type,
        reason,
    )
    return False


def _sequences(policy: nn.Module, training: Training) -> tuple[list[Tokens], list[Tokens]]:
    """Return random completions after two prompts, longer than a window that the run's can exceed."""
    config = plain_model(policy).config.get_text_config()
    longest = training.max_prompt_tokens + training.sampling.max_new_tokens
    windows = [getattr(config, name, None) for name in WINDOWS]
    prompt = max([PROMPT_TOKENS, *(window + 1 for window in windows if window and window < longest)])
    generator = torch.Generator().manual_seed(0)

    def tokens(length: int) -> list[int]:
        return torch.randint(config.vocab_size, (length,), generator=generator).tolist()

    completions = [tokens(length) for length in COMPLETIONS]
    one, other = tokens(prompt), tokens(prompt)
    return [Tokens(one, ids) for ids in completions], [Tokens(other, ids) for ids in completions]


def _mean_difference(one_M: Tensor, other_M: Tensor) -> float:
    return float((one_M - other_M).abs().mean())
