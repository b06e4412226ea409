"""How sequences are laid out in a row, and divided among microbatches."""

import random

import pytest
import torch

from rlvr.dapo import packing
from rlvr.dapo.packing import Row, microbatches, pack
from rlvr.rollout.engines.base import Tokens

CPU = torch.device("cpu")


def random_sequences(seed: int) -> list[Tokens]:
    """Groups of completions of 1 to 20 tokens on prompts of 1 to 9; every token occurs once."""
    source = random.Random(seed)
    tokens = iter(range(10_000))

    def take(count: int) -> list[int]:
        return [next(tokens) for _ in range(count)]

    sequences = []
    for _ in range(5):
        prompt = take(source.randint(1, 9))
        sequences += [Tokens(prompt, take(source.randint(1, 20))) for _ in range(source.randint(1, 6))]
    return sequences


def attended(row: Row, window: int | None) -> list[set[int]]:
    """For each place of the row, the tokens that it attends to, from the blocks' indices and masks."""
    seen = []
    for block in row.blocks:
        mask = block.mask(window)
        if mask is None:
            size = block.queries_BT.shape[1]
            mask = torch.ones(size, size, dtype=torch.bool).tril()[None, None]
        mask = mask[:, 0].expand(len(block.queries_BT), -1, -1)
        for keys, rows in zip(block.keys_BK, mask, strict=True):
            seen += [row.ids_N[keys[visible]].tolist() for visible in rows]
    for tokens in seen:
        assert len(tokens) == len(set(tokens)) or 0 in tokens, "a key counts once, but for padding's queries"
    return [set(seen[place]) for place in row.places_N.tolist()]


@pytest.mark.parametrize("window", [None, 1, 4, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_token_attends_to_what_precedes_it_in_its_sequence_and_nothing_else(seed, window):
    sequences = random_sequences(seed)
    row = pack(sequences, CPU)
    found = dict(zip(row.ids_N.tolist(), attended(row, window), strict=True))
    for prompt, completion in sequences:
        whole = [*prompt, *completion]
        for position, token in enumerate(whole[:-1]):
            first = 0 if window is None else max(0, position - window + 1)
            assert found[token] == set(whole[first : position + 1])


@pytest.mark.parametrize("seed", range(5))
def test_a_prompt_stands_once_and_its_last_state_predicts_every_first_token(seed):
    sequences = random_sequences(seed)
    row = pack(sequences, CPU)
    prompts = {tuple(sequence.prompt_ids) for sequence in sequences}
    computed = [len(sequence.completion_ids) - 1 for sequence in sequences]
    assert len(row.ids_N) == sum(map(len, prompts)) + sum(computed), "no padding, no last tokens"
    positions = dict(zip(row.ids_N.tolist(), row.positions_N.tolist(), strict=True))
    predicting = iter(row.ids_N[row.predicting_M].tolist())
    for prompt, completion in sequences:
        whole = [*prompt, *completion]
        assert [positions[token] for token in whole[:-1]] == list(range(len(whole) - 1))
        assert [next(predicting) for _ in completion] == whole[len(prompt) - 1 : -1]
    assert next(predicting, None) is None


def test_a_long_completion_is_a_causal_sequence_of_its_own(monkeypatch):
    monkeypatch.setattr(packing, "LONGEST_SHARED", 12)
    sequences = [Tokens([1, 2, 3], [4] * 20), Tokens([1, 2, 3], [5] * 4), Tokens([1, 2, 3], [6] * 5)]
    row = pack(sequences, CPU)
    assert len(row.ids_N) == (3 + 19) + (3 + 3 + 4)
    (alone,) = [block for block in row.blocks if block.queries_BT.shape[1] == 22]
    assert alone.mask(None) is None and len(alone.queries_BT) == 1


@pytest.mark.parametrize("budget", [1, 15, 40, 10_000])
def test_packed_microbatches_hold_every_sequence_once_within_the_budget(budget):
    sequences = random_sequences(0)
    batches = list(microbatches(sequences, budget, packed=True))
    assert [index for batch in batches for index in batch] == list(range(len(sequences)))
    for batch in batches:
        tokens = len(pack([sequences[index] for index in batch], CPU).ids_N)
        assert tokens <= budget or len(batch) == 1
    assert len(batches) == {1: len(sequences), 10_000: 1}.get(budget, len(batches))


def test_a_group_that_fits_is_not_divided():
    sequences = [Tokens([group] * 5, [1] * 5) for group in range(4) for _ in range(3)]
    assert list(microbatches(sequences, 34, packed=True)) == [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(4)]
    assert list(microbatches(sequences, 40, packed=True)) == [[*range(6)], [*range(6, 12)]]
    assert list(microbatches(sequences, 12, packed=True)) == [[index] for index in range(12)]


def test_padded_microbatches_hold_every_sequence_once_within_the_budget():
    sequences = [Tokens([0] * (i % 5 + 1), [0] * (i % 7 + 1)) for i in range(40)]
    batches = list(microbatches(sequences, 30, packed=False))
    assert sorted(row for rows in batches for row in rows) == list(range(40))
    for rows in batches:
        assert len(rows) * max(len(sequences[i][0]) + len(sequences[i][1]) for i in rows) <= 30
