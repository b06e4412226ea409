"""After a sync vLLM serves the policy that is trained, for every method, or the run stops."""

import pytest
import torch

from rlvr.config.training import Sampling
from rlvr.errors import UserError
from rlvr.methods import make_method, methods
from rlvr.methods.policy import build_policy
from rlvr.methods.weights import merged_weights
from rlvr.models.load import load_model
from rlvr.rollout.engines import vllm as vllm_engine
from rlvr.rollout.engines.base import Request, Tokens
from rlvr.rollout.engines.vllm_weights import BaseWeights
from rlvr.rollout.sync import WeightSync
from tests.helpers.small_methods import method_of, policy_of, train
from tests.vllm.conftest import NEEDS_VLLM, engine_on

pytestmark = NEEDS_VLLM
SCORED = [Tokens([3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 9, 7]), Tokens([2, 7, 18], [28, 18, 28, 4])]


@torch.no_grad()
def logprobs_of(policy: torch.nn.Module, tokens: Tokens, temperature: float = 1.0) -> list[float]:
    """Log-probabilities of the completion in a plain forward pass of the policy."""
    start = len(tokens.prompt_ids)
    ids = torch.tensor([[*tokens.prompt_ids, *tokens.completion_ids]])
    logits = policy.eval()(input_ids=ids).logits[0, start - 1 : -1] / temperature
    return logits.log_softmax(-1).gather(1, ids[0, start:, None]).flatten().tolist()


def trained_logprobs(policy: torch.nn.Module, temperature: float = 1.0) -> list[float]:
    return [value for tokens in SCORED for value in logprobs_of(policy, tokens, temperature)]


def served_logprobs(engine, temperature: float = 1.0) -> list[float]:
    return [value for tokens in SCORED for value in engine.score(tokens, temperature)]


def distance(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def synced_metrics(name: str, engine, mode: str) -> dict[str, float]:
    """Train a method between two syncs, compare what is served after each, return the last one's metrics."""
    method, policy = method_of(name), policy_of(name)
    sync = WeightSync(method, policy, engine, mode)
    sync(0)
    before = trained_logprobs(policy)
    assert distance(served_logprobs(engine), before) < 2e-5
    train(method, policy)
    metrics = sync(1)
    after = trained_logprobs(policy)
    assert distance(after, before) > 0.01
    assert distance(served_logprobs(engine), after) < 2e-5
    return metrics


@pytest.mark.parametrize("name", sorted(methods()))
def test_the_served_policy_is_the_trained_one(name, small_engine):
    assert synced_metrics(name, small_engine, "merged")["sync/noise_to_signal"] == 0


@pytest.fixture(scope="module")
def lora_engine(small_folder):
    return engine_on(small_folder, lora_rank=64)


@pytest.mark.parametrize("name", [name for name, method in sorted(methods().items()) if method.exact_lora])
def test_a_hot_loaded_adapter_is_the_trained_policy(name, lora_engine):
    synced_metrics(name, lora_engine, "adapter")
    assert lora_engine.llm.llm_engine.list_loras() == {lora_engine.syncs}, "the old adapter is unloaded"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_scores_are_those_at_the_temperature(temperature, small_engine):
    method, policy = method_of("dora"), policy_of("dora")
    WeightSync(method, policy, small_engine, "merged")(0)
    assert distance(served_logprobs(small_engine, temperature), trained_logprobs(policy, temperature)) < 2e-5


def test_served_weights_are_rounded_once(small_folder):
    """Weights on the grid of bfloat16, the forward pass in float32: both the base and the update."""
    method, policy = method_of("lora"), policy_of("lora")
    engine = engine_on(small_folder, weight_dtype="bfloat16")
    sync = WeightSync(method, policy, engine, "merged")
    sync(0)
    train(method, policy)
    metrics = sync(1)
    assert 0 < metrics["sync/noise_to_signal"] < 0.5
    for name, weight in merged_weights(method, policy):
        assert torch.equal(engine.held_weight(name), weight.bfloat16().float())
    name = "model.layers.0.input_layernorm.weight"
    assert torch.equal(engine.held_weight(name), engine.base[name].float())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["dora", "full", "ia3", "lora"])
def test_in_sixteen_bits_the_served_policy_is_the_trained_one_but_for_rounding(name, dtype, small_folder):
    method, policy = method_of(name), policy_of(name)
    engine = engine_on(small_folder, dtype=dtype, weight_dtype=dtype)
    sync = WeightSync(method, policy, engine, "merged")
    sync(0)
    train(method, policy)
    assert 0 < sync(1)["sync/noise_to_signal"] < 0.02
    assert distance(served_logprobs(engine), trained_logprobs(policy)) < 0.02


# --- faults: each stops the run -----------------------------------------------------------------


@pytest.fixture
def trained_lora(small_engine):
    """A policy that has been trained, the sync of its engine, which still serves its untrained weights."""
    method, policy = method_of("lora"), policy_of("lora")
    sync = WeightSync(method, policy, small_engine, "merged")
    sync(0)
    train(method, policy)
    return policy, sync, small_engine


def test_weights_that_are_not_sent_again_stop_the_run(trained_lora, monkeypatch):
    """vllm#32718 and TRL#5312: a reload that changes nothing, without an error."""
    policy, sync, engine = trained_lora
    monkeypatch.setattr(engine.llm, "collective_rpc", lambda *_, **__: [None])
    with pytest.raises(UserError, match="does not hold the weights"):
        sync(1)
    assert distance(served_logprobs(engine), trained_logprobs(policy)) > 0.01


def test_weights_that_are_sent_in_part_stop_the_run(trained_lora, monkeypatch):
    """One of three weights that vLLM fuses is left out: it fills the place with garbage."""
    _, sync, _ = trained_lora
    replaced = BaseWeights.replaced

    def without_k(self, weights):
        return (pair for pair in replaced(self, weights) if "layers.1.self_attn.k_proj" not in pair[0])

    monkeypatch.setattr(BaseWeights, "replaced", without_k)
    with pytest.raises(UserError, match=r"does not hold the weights of 'model\.layers\.1\.self_attn"):
        sync(1)


def test_zeroed_weights_are_detected(trained_lora):
    """The negative control of the canary: vLLM's own `reset_weights`, and layers that it keeps packed."""
    policy, sync, engine = trained_lora
    sync(1)
    assert distance(served_logprobs(engine), trained_logprobs(policy)) < 2e-5
    engine.llm.collective_rpc("reset_weights")
    engine.llm.reset_prefix_cache()
    assert distance(served_logprobs(engine), trained_logprobs(policy)) > 0.01
    assert not engine.held_weight("model.norm.weight").any()


def test_a_stale_prefix_cache_shows_in_the_scores(tiny_folder, tiny_engine, monkeypatch):
    """The canary goes through the cache, as completions do; a score by a plain pass would not see it."""
    method = make_method("lora", {"rank": 4, "alpha": 8})
    policy = build_policy(method, load_model(tiny_folder, "float32"), 1)
    sync = WeightSync(method, policy, tiny_engine, "merged")
    tokens = Tokens([20, 21, 22, 23] * 50, [40, 41, 42, 43])  # longer than a block of the cache
    sync(0)
    tiny_engine.score(tokens, 1.0)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    monkeypatch.setattr(tiny_engine.llm, "reset_prefix_cache", lambda: True)
    sync(1)
    stale = tiny_engine.score(tokens, 1.0)
    monkeypatch.undo()
    sync(1)
    expected = logprobs_of(policy, tokens)
    assert distance(stale, expected) > 0.01
    assert distance(tiny_engine.score(tokens, 1.0), expected) < 1e-4
    tiny_engine.load_weights([])


def test_a_prefix_cache_that_is_not_reset_stops_the_run(trained_lora, monkeypatch):
    _, sync, engine = trained_lora
    monkeypatch.setattr(engine.llm, "reset_prefix_cache", lambda: False)
    with pytest.raises(UserError, match="prefix cache"):
        sync(1)


def test_a_completion_of_other_weights_is_refused(trained_lora):
    _, sync, engine = trained_lora
    sync(1)
    engine.llm.update_weight_version("another")
    with pytest.raises(UserError, match=rf"\['another'\], not by those of the last sync, '{engine.version}'"):
        engine.generate([Request((3, 1, 4), 0)], Sampling(max_new_tokens=2))


def test_a_completion_of_two_versions_is_refused(trained_lora):
    _, sync, engine = trained_lora
    sync(1)
    steps = 0

    class Step:
        def __call__(self):
            nonlocal steps
            steps += 1
            if steps == 3:
                engine.llm.update_weight_version("another")
            return step()

    step = engine.llm.llm_engine.step
    engine.llm.llm_engine.step = Step()
    try:
        with pytest.raises(UserError, match=rf"\['{engine.version}', 'another'\]"):
            engine.generate([Request((3, 1, 4), 0)], Sampling(max_new_tokens=8, temperature=0))
    finally:
        engine.llm.llm_engine.step = step


def test_a_tied_output_layer_follows_the_embedding(small_engine, monkeypatch):
    """On a CPU, vLLM keeps a packed copy of the embedding for the output and forgets it in a reload."""
    method, policy = method_of("full"), policy_of("full")
    sync = WeightSync(method, policy, small_engine, "merged")
    sync(0)
    train(method, policy)
    monkeypatch.setattr(vllm_engine, "repack_tied_head", lambda model: None)
    sync(1)
    assert distance(served_logprobs(small_engine), trained_logprobs(policy)) > 0.01
    monkeypatch.undo()
    sync(2)
    assert distance(served_logprobs(small_engine), trained_logprobs(policy)) < 2e-5


def test_weights_of_another_model_are_refused(small_engine):
    with pytest.raises(UserError, match="no weight 'nonsense'"):
        small_engine.load_weights([("nonsense", torch.zeros(1))])
    small_engine.load_weights([])
