"""Sampling of tokens: one softmax, and for each completion random numbers of its own."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rlvr.config.training import Sampling

BLOCK = 128
"""Tokens whose probabilities are summed in float32; sums over more of them are float64."""

MOST_PROBABLE = 64
"""Tokens among which a nucleus is first looked for."""


class Sampled(NamedTuple):
    """Tokens [rows], and their log-probabilities [rows], float32."""

    tokens: Tensor
    logprobs: Tensor


def seeded_uniforms(seeds: Sequence[int], count: int, device: torch.device) -> Tensor:
    """Return numbers in [0, 1) [seeds, count], float64; each row depends on its seed alone."""
    rows = [
        torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(rows).to(device)


def sample_tokens(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> Sampled:
    """Sample the next token of each row by inverting the cumulative distribution.

    At temperature 0 that is the most probable token, the first of equally probable ones: uniforms and top-p
    change nothing.

    Args:
        logits: [rows, vocabulary].
        uniforms: one number in [0, 1) per row, float64.
        sampling: temperature and top-p.

    Returns:
        The tokens and their log-probabilities at the temperature (1 if it is 0), before top-p.
    """
    divisor = sampling.logit_divisor
    scaled = logits.float() if divisor == 1 else logits.float() / divisor
    probabilities = scaled.softmax(dim=-1)
    if sampling.greedy:
        tokens = scaled.argmax(dim=-1)
    elif sampling.top_p < 1:
        tokens = _in_nucleus(probabilities, uniforms, sampling.top_p)
    else:
        tokens = _in_vocabulary(probabilities, uniforms)
    return Sampled(tokens, probabilities.gather(1, tokens[:, None]).squeeze(1).log())


def _in_vocabulary(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Return tokens [rows]: first a block of tokens, then one of the block.

    A float32 sum over the vocabulary would lose the tokens that are less probable than its rounding error, in
    a large vocabulary a measurable share of all; a float64 sum over it costs more than the softmax.
    """
    missing = -probabilities.shape[-1] % BLOCK
    whole = functional.pad(probabilities, (0, missing)) if missing else probabilities  # padding by 0 copies
    blocks = whole.unflatten(1, (-1, BLOCK))
    block, within = _inverted(blocks.sum(dim=-1), uniforms)
    token, _ = _inverted(blocks[torch.arange(len(block), device=block.device), block], within)
    return block * BLOCK + token


def _in_nucleus(probabilities: Tensor, uniforms: Tensor, top_p: float) -> Tensor:
    """Return tokens [rows] from the smallest set of most probable tokens whose probability is ``top_p``.

    How many tokens are looked at depends on the row alone, and so does the order of equally probable ones.
    """
    tokens = torch.empty(len(probabilities), dtype=torch.long, device=probabilities.device)
    rows, count = torch.arange(len(probabilities), device=probabilities.device), MOST_PROBABLE
    while len(rows):
        count = min(count, probabilities.shape[-1])
        largest, candidates = probabilities[rows].topk(count)
        cumulative = largest.double().cumsum(dim=-1)
        kept = largest.where(cumulative - largest < top_p, 0)
        found = (cumulative[:, -1] >= top_p) | (count == probabilities.shape[-1])
        index, _ = _inverted(kept[found], uniforms[rows[found]])
        tokens[rows[found]] = candidates[found].gather(1, index[:, None]).squeeze(1)
        rows, count = rows[~found], count * 8
    return tokens


def _inverted(weights: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index [rows] at which a uniform number falls, and its place in [0, 1] within that weight.

    A weight of 0 is never met. ``weights`` are [rows, n], not negative.
    """
    cumulative = weights.double().cumsum(dim=-1)
    total = cumulative[:, -1]
    below_total = torch.nextafter(total, torch.zeros_like(total))  # a product may be rounded up to the total
    target = torch.minimum(uniforms * total, below_total)[:, None]
    index = torch.searchsorted(cumulative, target, right=True).clamp(max=weights.shape[-1] - 1)
    weight = weights.gather(1, index).double()
    within = (target - cumulative.gather(1, index) + weight) / weight
    return index.squeeze(1), within.squeeze(1).clamp(0, 1)
