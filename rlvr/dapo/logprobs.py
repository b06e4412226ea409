"""Log-probabilities of given completions, without the logits of a whole batch in memory."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers.utils.generic import ModelOutput

from rlvr.dapo import shared_attention as shared_attention  # registers the attention of packed rows
from rlvr.dapo.head import Head, inner_model, plain_model
from rlvr.dapo.packing import pack
from rlvr.dapo.token_logprobs import token_logprobs
from rlvr.rollout.engines.base import Tokens


def completion_logprobs(
    policy: nn.Module, sequences: Sequence[Tokens], temperature: float, packed: bool
) -> tuple[Tensor, Tensor]:
    """Return log-probability [M] and entropy [M], in nats, of every completion token, laid end to end.

    Args:
        policy: the model being trained; called in its current mode, with gradients as set by the caller.
        sequences: tokens of each sequence.
        temperature: sampling temperature, since the policy being trained is the one that samples.
        packed: whether equal prompts are computed once (see :mod:`rlvr.dapo.packing_check`); otherwise
            sequences are padded.
    """
    model = plain_model(policy)
    device = next(model.parameters()).device
    states_M, output = (_packed_states if packed else _padded_states)(inner_model(model), sequences, device)
    targets_M = torch.tensor([token for _, completion in sequences for token in completion], device=device)
    return token_logprobs(Head(model, type(output)), states_M, targets_M, temperature)


def _packed_states(
    inner: nn.Module, sequences: Sequence[Tokens], device: torch.device
) -> tuple[Tensor, ModelOutput]:
    """Return the states [M, width] that predict the completions, and what the inner model gave."""
    row = pack(sequences, device)
    output = inner(
        input_ids=row.ids_N[None],
        position_ids=row.positions_N[None],
        attention_mask=torch.ones((1, 1, 1, 1), device=device),  # with four dimensions it is used as it is
        use_cache=False,
        packed_row=row,
    )
    return output[0].squeeze(0).index_select(0, row.predicting_M), output


def _padded_states(
    inner: nn.Module, sequences: Sequence[Tokens], device: torch.device
) -> tuple[Tensor, ModelOutput]:
    """Return the same from one row for each sequence, padded at the end."""
    ids, mask = _right_padded([[*prompt, *completion] for prompt, completion in sequences])
    output = inner(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
    rows, columns = _completion_positions(sequences)
    return output[0][rows, columns - 1], output


def _right_padded(sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
    width = max(len(sequence) for sequence in sequences)
    ids = torch.zeros((len(sequences), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids, mask


def _completion_positions(sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Return row and column [M] of every completion token in the padded batch."""
    rows = [torch.full((len(completion),), row) for row, (_, completion) in enumerate(sequences)]
    columns = [len(prompt) + torch.arange(len(completion)) for prompt, completion in sequences]
    return torch.cat(rows), torch.cat(columns)
