"""The forward pass that a GPU records: the completions are those of the plain one.

On a CPU nothing is recorded, and all else is the same: the static cache, its growth, the mask of what is not
filled, and the rows that leave. `RLVR_TEST_DEVICE=cuda` runs these tests with recordings.
"""

import pytest
import torch

from rlvr.config.training import Sampling
from rlvr.dapo.head import plain_model
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines import forward, graphed, static
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.live import LiveEngine
from tests.helpers.causal_models import causal_model
from tests.helpers.families import DEVICE
from tests.helpers.grid import cases
from tests.helpers.small_methods import method_of, policy_of, train

ENDS = [1, 2, 4]
REQUESTS = [Request(tuple(range(3, 6 + i % 4)), seed=i) for i in range(24)]
ROUNDING = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}
NOT_RECORDED = {"boft"}
"""Methods whose layers read from main memory in each forward pass."""


@pytest.fixture
def grown(request, monkeypatch):
    """The numbers of slots of all static caches, which grow early, and whether each was recorded."""
    slots, recorded = [], []

    class Observed(graphed.GraphedForward):
        def _make_room(self, length):
            super()._make_room(length)
            slots.append(self.slots)

        def _record(self, held):
            super()._record(held)
            recorded.append(self.graph is not None)

    monkeypatch.setattr(graphed, "SLOTS", 8)
    monkeypatch.setattr(forward, "GraphedForward", Observed)
    monkeypatch.setattr(graphed, "DEVICES", (DEVICE,))
    yield slots
    assert recorded
    if DEVICE == "cpu":
        assert not any(recorded)
    elif NOT_RECORDED.isdisjoint(request.node.callspec.params.values()):
        assert all(recorded)


def assert_agree(ours, plain, dtype):
    """The same tokens in float32; in 16 bits most, since a token changed by rounding changes the next."""
    assert len(ours) == len(plain)
    compared = total = 0
    for one, other in zip(ours, plain, strict=True):
        pairs = zip(one.token_ids, other.token_ids, strict=False)
        end = next((i for i, (found, expected) in enumerate(pairs) if found != expected), None)
        assert end is None or dtype != "float32"
        found, expected = torch.tensor(one.logprobs[:end]), torch.tensor(other.logprobs[:end])
        assert len(found) == len(expected)
        assert torch.allclose(found, expected, atol=ROUNDING[dtype], rtol=0)
        compared, total = compared + len(found), total + len(other.token_ids)
    assert compared > total / 2


def plainly(monkeypatch, decode):
    with monkeypatch.context() as patch:
        patch.setattr(graphed, "DEVICES", ())
        return decode()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "opt", "gpt2", "gpt_neox"])
def test_the_completions_are_those_of_the_plain_forward_pass(monkeypatch, grown, family, dtype):
    model = causal_model(family, dtype)

    def decode():
        decoded = static.decode_batch(model, REQUESTS, Sampling(max_new_tokens=100), ENDS, 8)
        ends = [next((i + 1 for i, t in enumerate(d.token_ids) if t in ENDS), None) for d in decoded]
        return [static.Decoded(d.token_ids[:e], d.logprobs[:e]) for d, e in zip(decoded, ends, strict=True)]

    assert_agree(decode(), plainly(monkeypatch, decode), dtype)
    assert len(grown) > 3
    assert grown == sorted(grown)


@pytest.mark.parametrize(
    ("name", "dtype", "family"),
    # In 16 bits the keys of a float32 policy have another precision than its values.
    [*cases(12, always=1, families=("qwen2", "qwen3", "llama")), ("full", "bfloat16", "qwen2")],
)
def test_a_policy_that_samples_is_the_one_that_is_trained(monkeypatch, grown, name, dtype, family):
    """With adapters in place, before and after training: a recording of older weights would not agree."""
    method, policy = method_of(name), policy_of(name, dtype, family)
    engine = LiveEngine(policy, plain_model(policy), build_tokenizer(), len(REQUESTS), dtype)
    for _ in range(2):

        def decode():
            return engine.generate(REQUESTS, Sampling(max_new_tokens=24))

        assert_agree(decode(), plainly(monkeypatch, decode), dtype)
        train(method, policy, dtype)
        policy.train()


def test_a_layer_with_a_window_is_left_to_the_plain_forward_pass(monkeypatch):
    monkeypatch.setattr(graphed, "DEVICES", (DEVICE,))
    for family in ("gemma2", "gemma3_text"):
        model = causal_model(family)
        prompts = torch.full((4, 3), 5, device=model.device)
        cache = static.shared_prefill(model, prompts, torch.ones_like(prompts))
        assert isinstance(forward.forward_of(model, cache, 16), forward.PlainForward)


def test_a_bias_made_of_the_mask_is_left_to_the_plain_forward_pass(monkeypatch):
    monkeypatch.setattr(graphed, "DEVICES", (DEVICE,))
    settings = {"alibi": True, "num_kv_heads": 2, "new_decoder_architecture": False, "multi_query": False}
    model = causal_model("falcon", **settings)

    def decode():
        return static.decode_batch(model, REQUESTS, Sampling(max_new_tokens=9), ENDS, 8)

    assert_agree(decode(), plainly(monkeypatch, decode), "float32")


@pytest.mark.skipif(DEVICE != "cuda", reason="nothing is recorded on a CPU")
def test_what_cannot_be_recorded_is_said_and_sampled_all_the_same(monkeypatch, caplog):
    graphed._say_slow.cache_clear()
    model = causal_model("llama")

    def read_on_the_host(_, __, output):
        return output * (1 + 0 * float(output[0, 0, 0]))

    model.model.norm.register_forward_hook(read_on_the_host)

    def decode():
        return static.decode_batch(model, REQUESTS, Sampling(max_new_tokens=9), ENDS, 8)

    ours = decode()
    assert "CUDA graph" in caplog.text
    assert_agree(ours, plainly(monkeypatch, decode), "float32")
