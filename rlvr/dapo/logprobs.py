"""Log-probabilities of given completions, without the logits of a whole batch in memory."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rlvr.dapo.head import Head, inner_model, plain_model
from rlvr.rollout.engines.base import Tokens

CHUNK_TOKENS = 2048
"""Rows of logits in memory at once: 1.2 GB in float32 at a vocabulary of 152k."""


def completion_logprobs(
    policy: nn.Module, sequences: Sequence[Tokens], temperature: float
) -> tuple[Tensor, Tensor]:
    """Return log-probability [N] and entropy [N], in nats, of every completion token, laid end to end.

    Args:
        policy: the model being trained; called in its current mode, with gradients as set by the caller.
        sequences: tokens of each sequence.
        temperature: sampling temperature, since the policy being trained is the one that samples.
    """
    base = plain_model(policy)
    device = next(base.parameters()).device
    ids, mask = _right_padded([[*prompt, *completion] for prompt, completion in sequences])
    output = inner_model(base)(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
    rows, columns = _completion_positions(sequences)
    states_N, targets_N = output[0][rows, columns - 1], ids[rows, columns].to(device)
    head = Head(base, type(output))
    parts = [
        checkpoint(_chunk, head, states, targets, temperature, use_reentrant=False)
        for states, targets in zip(states_N.split(CHUNK_TOKENS), targets_N.split(CHUNK_TOKENS), strict=True)
    ]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _chunk(head: Head, states: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    logprobs = (head(states).float() / temperature).log_softmax(dim=-1)
    with torch.no_grad():
        entropy = -(logprobs.exp() * logprobs).sum(dim=-1)
    return logprobs.gather(1, targets[:, None]).squeeze(1), entropy


def _right_padded(sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
    width = max(len(sequence) for sequence in sequences)
    ids = torch.zeros((len(sequences), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids, mask


def _completion_positions(sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Return row and column [N] of every completion token in the padded batch."""
    rows = [torch.full((len(completion),), row) for row, (_, completion) in enumerate(sequences)]
    columns = [len(prompt) + torch.arange(len(completion)) for prompt, completion in sequences]
    return torch.cat(rows), torch.cat(columns)
