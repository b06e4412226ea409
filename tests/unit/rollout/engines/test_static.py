"""Static batches: ended rows leave them, and neither the cache nor the attention changes what is computed."""

import pytest
import torch
from transformers import DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rlvr.config.training import Sampling
from rlvr.rollout.engines import static
from rlvr.rollout.engines.attention import grouped_attention, grouped_attention_forward
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.cache import SPARE, roomy_cache
from rlvr.rollout.engines.static import ENDED_SHARE, LEAST_ROWS, decode_batch
from tests.helpers.causal_models import causal_model
from tests.helpers.families import DEVICE

ENDS = [1, 2, 4]
LONG = Sampling(max_new_tokens=60)


def requests(count: int) -> list[Request]:
    return [Request(tuple(range(3, 6 + i % 4)), seed=i) for i in range(count)]


def length(token_ids: list[int]) -> int:
    return next((i + 1 for i, token in enumerate(token_ids) if token in ENDS), len(token_ids))


def test_ended_completions_leave_the_batch():
    model, rows = causal_model("llama"), []
    model.model.register_forward_pre_hook(
        lambda _, __, keywords: rows.append(len(keywords["input_ids"])), with_kwargs=True
    )
    decoded = decode_batch(model, requests(24), LONG, ENDS, 8)
    lengths = [length(one.token_ids) for one in decoded]
    assert max(lengths) == len(rows) - 1, "a pass per token, after that of the prompts"
    for step, count in enumerate(rows[1:]):
        going_on = sum(one > step for one in lengths)
        assert going_on <= count
        assert count == LEAST_ROWS or count - going_on < ENDED_SHARE["cpu"] * count + 1
    assert sum(rows[1:]) < 0.7 * 24 * max(lengths)


def test_the_completions_are_those_of_rows_that_stay():
    """One batch from which rows leave at many times, and batches of one, in which none leaves."""
    model = causal_model("llama")
    together = decode_batch(model, requests(24), LONG, ENDS, 8)
    for request, one in zip(requests(24), together, strict=True):
        (alone,) = decode_batch(model, [request], LONG, ENDS, 8)
        end = length(one.token_ids)
        assert alone.token_ids[:end] == one.token_ids[:end]
        assert alone.logprobs[:end] == one.logprobs[:end]


@pytest.mark.parametrize(
    "sampling", [LONG, Sampling(max_new_tokens=60, top_p=0.9), Sampling(max_new_tokens=60, temperature=0)]
)
def test_how_often_ended_rows_are_looked_for_changes_no_completion(monkeypatch, sampling):
    """As on a GPU: every eighth step, and rows leave by quarters."""
    model, decoded = causal_model("llama"), []
    for look, share in ((1, 1 / 8), (8, 1 / 4)):
        monkeypatch.setattr(static, "LOOK_STEPS", {DEVICE: look})
        monkeypatch.setattr(static, "ENDED_SHARE", {DEVICE: share})
        rows = decode_batch(model, requests(24), sampling, ENDS, 8)
        ends = [length(row.token_ids) for row in rows]
        decoded.append(
            [(row.token_ids[:end], row.logprobs[:end]) for row, end in zip(rows, ends, strict=True)]
        )
    assert decoded[0] == decoded[1]


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_grouped_attention_is_that_of_the_library(groups, masked):
    torch.manual_seed(0)
    module = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = groups, True
    for queries in (1, 5):
        query = torch.randn(3, 2 * groups, queries, 8)
        key, value = torch.randn(2, 3, 2, 11, 8).unbind(0)
        mask = torch.rand(3, 1, queries, 11) > 0.3 if masked else None
        expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
        got, _ = grouped_attention_forward(module, query, key, value, mask, scaling=0.3)
        assert got.shape == expected.shape
        assert torch.allclose(got, expected, atol=1e-6)


def test_grouped_attention_is_used_only_while_decoding():
    original = ALL_ATTENTION_FUNCTIONS["sdpa"]
    with grouped_attention():
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is grouped_attention_forward
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is original


def test_the_cache_is_that_of_the_library():
    """Longer than the room made at once, and with rows that leave."""
    config = causal_model("llama").config
    ours, theirs = roomy_cache(config), DynamicCache(config=config)
    torch.manual_seed(0)
    for step in range(SPARE + 20):
        keys, values = torch.randn(2, 5 if step <= 40 else 3, 2, 7 if step == 0 else 1, 8).unbind(0)
        for layer in range(config.num_hidden_layers):
            pairs = [cache.update(keys + layer, values, layer) for cache in (ours, theirs)]
            assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))
        assert ours.get_seq_length() == theirs.get_seq_length()
        if step == 40:
            for cache in (ours, theirs):
                cache.reorder_cache(torch.tensor([4, 0, 2]))
