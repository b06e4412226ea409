"""Decoding of a batch of completions that start together.

A completion does not depend on its batch. It has random numbers of its own, and on a CPU the probabilities
that they are compared with are the same in every batch to the last bit. Two things could change them by
rounding: padding shifts the sums of the attention, so all batches of a call have one width; and matrix
products of very few rows are computed in another order, so no batch is that small. A GPU may choose its
kernels by batch size; there, two batch sizes can differ by rounding and, rarely, in a token.
"""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
)

from rlvr.config.training import Sampling
from rlvr.rollout.engines.attention import grouped_attention
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.cache import roomy_cache
from rlvr.rollout.engines.forward import Forward, forward_of
from rlvr.rollout.engines.sampling import sample_tokens, seeded_uniforms

LEAST_ROWS = 4
"""Minimum rows of a batch; smaller batches are filled with copies of their last request."""

ENDED_SHARE = {"cpu": 1 / 8, "cuda": 1 / 4}
"""Share of ended rows at which a batch is shrunk. Each time copies the cache, which costs about one step, and
on a GPU records the next step, which takes 0.3 s."""

LOOK_STEPS = {"cpu": 1, "cuda": 8}
"""Steps between checks which rows have ended: each makes the host wait for the device."""


class Decoded(NamedTuple):
    """Tokens of a completion, perhaps with more after its end, and their log-probabilities."""

    token_ids: list[int]
    logprobs: list[float]


@torch.no_grad()
def decode_batch(
    model: PreTrainedModel,
    requests: Sequence[Request],
    sampling: Sampling,
    end_ids: Sequence[int],
    width: int,
) -> list[Decoded]:
    """Sample one completion per request.

    Args:
        model: in evaluation mode, without defaults of its own for generation.
        requests: at least one.
        sampling: temperature, top-p and length.
        end_ids: tokens that end a completion; the first one is also the padding.
        width: tokens to which prompts are padded.
    """
    filled = [*requests, *[requests[-1]] * (LEAST_ROWS - len(requests))]
    prompts, mask = left_padded([request.prompt_ids for request in filled], end_ids[0], width)
    prompts, mask = prompts.to(model.device), mask.to(model.device)
    uniforms = seeded_uniforms([request.seed for request in filled], sampling.max_new_tokens, prompts.device)
    with grouped_attention():
        cache = shared_prefill(model, prompts, mask)
        if cache is None:
            tokens, logprobs = _decode_by_generate(model, prompts, mask, uniforms, sampling, end_ids)
        else:
            forward = forward_of(model, cache, width + sampling.max_new_tokens)
            tokens, logprobs = _decode(forward, prompts, mask, uniforms, sampling, end_ids)
    rows = zip(tokens[: len(requests)].tolist(), logprobs[: len(requests)].tolist(), strict=True)
    return [Decoded(*row) for row in rows]


def shared_prefill(model: PreTrainedModel, prompts: Tensor, mask: Tensor) -> DynamicCache | None:
    """Run each distinct prompt once, except for its last token, and share its keys and values.

    The completions of a group have the same prompt, which would otherwise be computed G times. None where
    the inner model takes no such cache: each completion's prompt is then computed for itself.
    """
    inner = model.base_model
    accepted = inspect.signature(inner.forward).parameters
    if "past_key_values" not in accepted:
        return None
    unique, rows = torch.unique(torch.stack([prompts, mask]), dim=1, return_inverse=True)
    ids, present = unique[0, :, :-1], unique[1, :, :-1]
    cache = roomy_cache(model.config)
    if ids.shape[1]:
        keywords = {"input_ids": ids, "attention_mask": present, "past_key_values": cache}
        if "position_ids" in accepted:
            keywords["position_ids"] = (present.cumsum(dim=1) - 1).clamp(min=0)
        inner(**keywords)
        cache.reorder_cache(rows)
    return cache


def _decode(
    forward: Forward,
    prompts: Tensor,
    mask: Tensor,
    uniforms: Tensor,
    sampling: Sampling,
    end_ids: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Return tokens and log-probabilities [rows, longest completion]; ended rows leave the batch."""
    rows, width = prompts.shape
    count = sampling.max_new_tokens
    ids = torch.cat([prompts, prompts.new_full((rows, count), end_ids[0])], dim=1)
    present = torch.cat([mask, mask.new_ones(rows, count)], dim=1)
    logprobs = torch.zeros(rows, count, device=ids.device)
    ends = torch.tensor(end_ids, device=ids.device)
    batch = torch.arange(rows, device=ids.device)
    ended = torch.zeros(rows, dtype=torch.bool, device=ids.device)
    look, share = LOOK_STEPS[ids.device.type], ENDED_SHARE[ids.device.type]
    for step in range(count):
        length = width + step
        logits = forward(ids[batch, :length], present[batch, :length])
        sampled = sample_tokens(logits, uniforms[batch, step], sampling)
        ids[batch, length], logprobs[batch, step] = sampled
        ended = ended | torch.isin(sampled.tokens, ends)
        if step % look:
            continue
        remaining = len(batch) - int(ended.sum())
        if not remaining:
            break
        if len(batch) > LEAST_ROWS and len(batch) - remaining >= share * len(batch):
            kept = ended.int().argsort(stable=True)[: max(remaining, LEAST_ROWS)].sort().values
            forward.keep(kept)
            batch, ended = batch[kept], ended[kept]
    return ids[:, width : length + 1], logprobs[:, : step + 1]


def _decode_by_generate(
    model: PreTrainedModel,
    prompts: Tensor,
    mask: Tensor,
    uniforms: Tensor,
    sampling: Sampling,
    end_ids: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Return what :func:`_decode` does, for families with a cache of another kind: ended rows stay."""
    chooser = SeededSampling(uniforms, sampling, prompts.shape[1])
    output = cast(Any, model).generate(
        prompts,
        attention_mask=mask,
        logits_processor=LogitsProcessorList([chooser]),
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_new_tokens,
            eos_token_id=list(end_ids),
            pad_token_id=end_ids[0],
        ),
    )
    return output[:, prompts.shape[1] :], torch.stack(chooser.logprobs, dim=1)


class SeededSampling(LogitsProcessor):
    """Masks all tokens but the one that :func:`sample_tokens` samples, which greedy decoding then takes."""

    def __init__(self, uniforms: Tensor, sampling: Sampling, prompt_width: int) -> None:
        self.uniforms, self.sampling, self.prompt_width = uniforms, sampling, prompt_width
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores [batch, vocabulary] in which only the sampled token is finite."""
        uniforms = self.uniforms[:, input_ids.shape[1] - self.prompt_width]
        tokens, logprobs = sample_tokens(scores, uniforms, self.sampling)
        self.logprobs.append(logprobs)
        return torch.full_like(scores, -torch.inf).scatter(1, tokens[:, None], 0.0)


def left_padded(sequences: Sequence[Sequence[int]], padding: int, width: int) -> tuple[Tensor, Tensor]:
    """Return ``ids`` and ``mask`` [sequences, width], padded on the left."""
    ids = torch.full((len(sequences), width), padding)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence)
        mask[row, width - len(sequence) :] = 1
    return ids, mask
