"""Which sequences are computed together, and how they lie in one row in which a group's prompt stands once.

A row holds a prompt, then the completions that share it, then the next prompt; there is no padding. Positions
of every completion continue those of its prompt. The last token of a completion predicts nothing that is
asked for, so it is left out. Attention is computed in blocks (:mod:`rlvr.dapo.shared_attention`): a prompt
attends to itself, a completion to its prompt and to itself. A prompt with a single completion is one causal
sequence, so that long completions never need a mask.

Shape suffixes: N tokens of the row, M completion tokens, B spans of a block, T queries, K keys.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from rlvr.rollout.engines.base import Tokens

LONGEST_SHARED = 4096
"""Tokens of prompt and completion above which a completion has a prompt of its own: a mask takes the square
of that in bytes, and the prompt is a small part of so long a sequence."""


class Span(NamedTuple):
    """Tokens, as places in the row, that attend to a prompt before them and causally to one another."""

    prompt: Sequence[int]
    tokens: Sequence[int]


@dataclass(frozen=True)
class Block:
    """Spans of similar length whose attention is computed at once; entries are places in the row."""

    queries_BT: Tensor
    """Padded at the end."""
    keys_BK: Tensor
    """The prompts, padded at the start, then the queries."""
    padding_B: Tensor | None
    """Keys of padding at the start; None if there are none."""
    masks: dict[int | None, Tensor | None] = field(default_factory=dict)
    """Masks that have been made, by window."""

    def mask(self, window: int | None) -> Tensor | None:
        """Return which keys each query sees, [B or 1, 1, T, K]; None is plain causal attention.

        ``window`` is the number of positions, its own included, that a query sees; None: all.
        """
        if window not in self.masks:
            self.masks[window] = self._mask(window)
        return self.masks[window]

    def _mask(self, window: int | None) -> Tensor | None:
        queries, keys = self.queries_BT.shape[1], self.keys_BK.shape[1]
        if queries == keys and (window is None or window >= keys):
            return None
        key_K = torch.arange(keys, device=self.keys_BK.device)
        query_T1 = key_K[keys - queries :, None]
        mask_TK = key_K <= query_T1
        if window is not None:
            mask_TK &= key_K > query_T1 - window
        if self.padding_B is None:
            return mask_TK[None, None]
        return (mask_TK & (key_K >= self.padding_B[:, None, None]))[:, None]


class Row(NamedTuple):
    """Some sequences laid out as one row."""

    ids_N: Tensor
    positions_N: Tensor
    """Position of each token in its sequence."""
    blocks: list[Block]
    places_N: Tensor
    """Where each token is among the queries of all blocks, laid end to end."""
    predicting_M: Tensor
    """Place of the token whose state predicts each completion token, sequence by sequence."""


def microbatches(sequences: Sequence[Tokens], budget: int, packed: bool) -> Iterator[list[int]]:
    """Yield indices of sequences to compute together: at most ``budget`` tokens, or one sequence.

    The tokens are those that are computed. Packed, a prompt counts once for all its completions, and its
    group is divided only if it exceeds the budget; otherwise a sequence counts as the longest of its batch.
    """
    return (_packed if packed else _padded)(sequences, budget)


def _packed(sequences: Sequence[Tokens], budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    used = 0
    for part in _parts(sequences):
        prompt = len(sequences[part[0]].prompt_ids)
        sizes = [len(sequences[index].completion_ids) for index in part]
        fits = used + prompt + sum(sizes) <= budget
        for index, size in zip(part, sizes, strict=True):
            first = index == part[0]
            if batch and ((first and not fits) or used + size + prompt * first > budget):
                yield batch
                batch, used, first = [], 0, True
            batch.append(index)
            used += size + prompt * first
    if batch:
        yield batch


def _padded(sequences: Sequence[Tokens], budget: int) -> Iterator[list[int]]:
    lengths = [len(prompt) + len(completion) for prompt, completion in sequences]
    batch: list[int] = []
    for index in sorted(range(len(sequences)), key=lambda index: (lengths[index], index)):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _parts(sequences: Sequence[Tokens]) -> list[list[int]]:
    """Return the indices of the sequences that share a prompt; a long sequence shares none."""
    parts: dict[tuple[tuple[int, ...], int | None], list[int]] = {}
    for index, (prompt, completion) in enumerate(sequences):
        alone = index if len(prompt) + len(completion) > LONGEST_SHARED else None
        parts.setdefault((tuple(prompt), alone), []).append(index)
    return list(parts.values())


def pack(sequences: Sequence[Tokens], device: torch.device) -> Row:
    """Lay sequences out as one row, in which equal prompts stand once."""
    ids: list[int] = []
    positions: list[int] = []

    def append(tokens: Sequence[int], position: int) -> range:
        ids.extend(tokens)
        positions.extend(range(position, position + len(tokens)))
        return range(len(ids) - len(tokens), len(ids))

    spans: list[Span] = []
    predicting: list[list[int]] = [[] for _ in sequences]
    for part in _parts(sequences):
        prompt = append(sequences[part[0]].prompt_ids, 0)
        completions = [append(sequences[index].completion_ids[:-1], len(prompt)) for index in part]
        for index, completion in zip(part, completions, strict=True):
            if sequences[index].completion_ids:
                predicting[index] = [prompt[-1], *completion]
        if len(part) == 1:
            spans.append(Span((), (*prompt, *completions[0])))
        else:
            spans += [Span((), prompt), *(Span(prompt, tokens) for tokens in completions if tokens)]
    blocks, places_N = _blocks(spans, device)
    return Row(
        ids_N=torch.tensor(ids, device=device),
        positions_N=torch.tensor(positions, device=device),
        blocks=blocks,
        places_N=places_N,
        predicting_M=torch.tensor([place for places in predicting for place in places], device=device),
    )


def _blocks(spans: Sequence[Span], device: torch.device) -> tuple[list[Block], Tensor]:
    """Return blocks of spans whose lengths differ by less than a factor of two, and each token's place."""
    similar: dict[tuple[int, int], list[Span]] = {}
    for span in spans:
        key = (len(span.prompt).bit_length(), len(span.tokens).bit_length())
        similar.setdefault(key, []).append(span)
    places = torch.empty(sum(len(span.tokens) for span in spans), dtype=torch.long)
    end = 0
    for members in similar.values():
        width = max(len(span.tokens) for span in members)
        for span in members:
            places[torch.tensor(span.tokens)] = torch.arange(end, end + len(span.tokens))
            end += width
    return [_block(members, device) for members in similar.values()], places.to(device)


def _block(spans: Sequence[Span], device: torch.device) -> Block:
    before = max(len(span.prompt) for span in spans)
    width = max(len(span.tokens) for span in spans)
    padding = [before - len(span.prompt) for span in spans]
    queries = torch.tensor([[*span.tokens, *[0] * (width - len(span.tokens))] for span in spans])
    prompts = torch.tensor(
        [[0] * skipped + list(span.prompt) for span, skipped in zip(spans, padding, strict=True)]
    )
    keys = torch.cat([prompts.long(), queries], dim=1)
    return Block(
        queries.to(device), keys.to(device), torch.tensor(padding, device=device) if any(padding) else None
    )
