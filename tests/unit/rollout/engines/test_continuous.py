"""Continuous batching: the samples of static batching, and nothing else changed by the paged engine.

The engine is a private module of `transformers` (5.20). Where an upgrade breaks these tests, compare
`transformers/generation/continuous_batching` with what :mod:`rlvr.rollout.engines.continuous` uses of it.
"""

import inspect

import pytest
import torch
import transformers
from transformers.generation.continuous_batching import continuous_api

from rlvr.config.training import Sampling
from rlvr.dapo.head import plain_model
from rlvr.errors import UserError
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines import continuous
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.live import LiveEngine
from rlvr.rollout.engines.transformers import TransformersEngine
from tests.helpers.causal_models import causal_model
from tests.helpers.small_methods import method_of, policy_of, train

SAMPLING = Sampling(max_new_tokens=8)
LONG_PROMPT = tuple(range(3, 3 + 2 * continuous.PAGE))
"""Longer than a page, so that an engine that shares pages between requests would share it."""


def engine_on(model, batch_size: int, batching: str = "continuous") -> TransformersEngine:
    return TransformersEngine(model, build_tokenizer(), batch_size, batching=batching)


def requests(count: int = 10) -> list[Request]:
    return [Request(tuple(range(3, 6 + i % 4)), seed=1000 + i) for i in range(count)]


@pytest.mark.parametrize(
    "sampling",
    [
        SAMPLING,
        Sampling(max_new_tokens=8, temperature=0.7, top_p=0.8),
        Sampling(max_new_tokens=8, temperature=0),
    ],
)
def test_samples_are_those_of_static_batches_in_any_batch(tiny_folder, sampling):
    static = TransformersEngine(load_model(tiny_folder, "float32"), load_tokenizer(tiny_folder), 10)
    expected = static.generate(requests(), sampling)
    for batch_size in (5, 2, 1):
        engine = TransformersEngine(
            load_model(tiny_folder, "float32"), load_tokenizer(tiny_folder), batch_size, batching="continuous"
        )
        got = engine.generate(requests(), sampling)
        for one, other in zip(got, expected, strict=True):
            assert (one.token_ids, one.finish_reason, one.text) == (
                other.token_ids, other.finish_reason, other.text,
            )  # fmt: skip
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    if sampling == SAMPLING:
        assert {completion.finish_reason for completion in expected} == {"stop", "length"}


def test_a_prompt_that_is_read_in_parts_gets_its_token_at_its_end(monkeypatch):
    monkeypatch.setattr(continuous, "PREFILL_TOKENS", 7)
    model, asked = causal_model("llama"), [Request(LONG_PROMPT, seed) for seed in range(4)] + requests(4)
    expected, got = (engine_on(model, 8, kind).generate(asked, SAMPLING) for kind in ("static", "continuous"))
    assert [c.token_ids for c in got] == [c.token_ids for c in expected]


def test_a_completion_that_ends_makes_room_for_the_next():
    """With room for two, all ten are sampled in fewer passes than five static batches take."""
    model = causal_model("llama")
    engine, passes = engine_on(model, 2), []
    engine.checked = True
    model.register_forward_pre_hook(lambda *_: passes.append(1))
    completions = engine.generate(requests(), Sampling(max_new_tokens=40))
    lengths = [len(completion.token_ids) for completion in completions]
    together = sum(max(pair) for pair in zip(lengths[::2], lengths[1::2], strict=True))
    assert sum(lengths) / 2 <= len(passes) < together


def test_logprobs_are_those_of_the_policy_at_the_temperature():
    model = causal_model("llama")
    sampling = Sampling(max_new_tokens=6, temperature=0.7, top_p=0.8)
    engine = engine_on(model, 4)
    for request, completion in zip(requests(), engine.generate(requests(), sampling), strict=True):
        ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(request.prompt_ids) - 1 : -1] / 0.7
        expected = logits.log_softmax(-1).gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
        assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


# --- the three silent traps -----------------------------------------------------------------------


def test_nothing_of_older_weights_is_served():
    """Trap 1: a persistent engine serves cached keys of the weights before, for a prompt it has seen."""
    model = causal_model("llama")
    engine, asked = engine_on(model, 4), [Request(LONG_PROMPT, seed) for seed in range(4)]
    before = engine.generate(asked, SAMPLING)
    engine.load_weights([(name, 0.5 * weight.detach()) for name, weight in model.named_parameters()])
    after = engine.generate(asked, SAMPLING)
    static = TransformersEngine(model, build_tokenizer(), 4).generate(asked, SAMPLING)
    assert [c.token_ids for c in after] == [c.token_ids for c in static]
    assert max(abs(a - b) for one, other in zip(after, static, strict=True)
               for a, b in zip(one.logprobs, other.logprobs, strict=True)) < 1e-4  # fmt: skip
    assert [c.logprobs for c in before] != [c.logprobs for c in after]
    assert not hasattr(model, "_cached_continuous_batching_manager"), "the engine persists"


def test_the_global_generator_is_left_as_it_was():
    """Trap 2: an engine reseeds it, with which dropout and a resumed run would go wrong."""
    engine = engine_on(causal_model("llama"), 4)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    engine.generate(requests(), SAMPLING)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("mode", [True, False])
def test_the_policy_is_left_in_its_mode(mode):
    """Trap 3: an engine leaves the model in evaluation mode, without dropout from then on."""
    policy = policy_of("lora")
    model = plain_model(policy)
    policy.train(mode)
    attention = model.config._attn_implementation
    continuous.decode_continuously(model, requests(), SAMPLING, [1], 4)
    assert {module.training for module in policy.modules()} == {mode}
    assert model.config._attn_implementation == attention


# --- the live policy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *[(name, "float32") for name in ("lora", "dora", "full", "oft")],
        ("lora", "bfloat16"),
        ("dora", "bfloat16"),
    ],
)
def test_the_trained_policy_samples(name, dtype):
    policy = policy_of(name, dtype)
    train(method_of(name), policy, dtype)
    policy.train()
    static, live = (
        LiveEngine(policy, plain_model(policy), build_tokenizer(), 4, dtype, batching)
        for batching in ("static", "continuous")
    )
    expected, got = static.generate(requests(), SAMPLING), live.generate(requests(), SAMPLING)
    if dtype == "float32":
        assert [c.token_ids for c in got] == [c.token_ids for c in expected]
    for one, other in zip(got, expected, strict=True):
        same = one.token_ids == other.token_ids
        assert not same or one.logprobs == pytest.approx(
            other.logprobs, abs=1e-4 if dtype == "float32" else 0.2
        )
    assert {module.training for module in policy.modules()} == {True}


def test_keys_and_values_of_two_precisions_are_refused():
    policy = policy_of("full", "bfloat16")
    live = LiveEngine(policy, plain_model(policy), build_tokenizer(), 4, "bfloat16", "continuous")
    with pytest.raises(UserError, match=r"keys and values in one precision.*use batching: static"):
        live.generate(requests(), SAMPLING)


# --- what it is built on --------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["mistral", "qwen2, sliding", "gemma3_text", "granitemoehybrid"])
def test_other_attention_is_refused_before_anything_is_sampled(family):
    with pytest.raises(UserError, match=r"batching: continuous needs full attention.*use batching: static"):
        engine_on(causal_model(family), 4)


@pytest.mark.parametrize("family", ["qwen2", "llama", "qwen3", "granite", "cohere", "mixtral"])
def test_families_with_full_attention(family):
    static, paged = (engine_on(causal_model(family), 4, batching) for batching in ("static", "continuous"))
    expected, got = static.generate(requests(), SAMPLING), paged.generate(requests(), SAMPLING)
    assert [c.token_ids for c in got] == [c.token_ids for c in expected]


def test_the_private_engine_is_the_one_that_was_read():
    manager, processor = continuous_api.ContinuousBatchingManager, continuous_api.ContinuousBatchProcessor
    used = {
        manager: ("_create_batch_processor", "add_request"),
        processor: ("prepare_next_batch", "_generation_step", "update_batch"),
    }
    missing = [
        f"{kind.__name__}.{name}" for kind, names in used.items() for name in names if not hasattr(kind, name)
    ]
    why = (
        f"transformers {transformers.__version__} has rewritten continuous batching; adapt "
        "rlvr/rollout/engines/continuous.py"
    )
    assert not missing, f"{why}: without {missing}"
    assert "self.logit_processor" in inspect.getsource(manager._create_batch_processor), why
    assert "manual_seed" in inspect.getsource(continuous_api.DistributedHelper.set_tp_seed), (
        f"{why}: it no longer reseeds the global generator, so the guard can go"
    )
