"""Live sampling: the policy that is trained samples, exactly, and is left as it was."""

import math

import pytest
import torch

from rlvr.config.training import Sampling
from rlvr.dapo.head import plain_model
from rlvr.methods import methods
from rlvr.methods.weights import merged_weights
from rlvr.models.autocast import autocast
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines import build_once
from rlvr.rollout.engines.base import Request, Tokens
from rlvr.rollout.engines.live import LiveEngine
from rlvr.rollout.sync import LiveSync
from tests.helpers.families import DEVICE
from tests.helpers.grid import cases
from tests.helpers.small_methods import method_of, policy_of, train

SAMPLING = Sampling(max_new_tokens=6)
REQUESTS = [Request(tuple(range(3, 6 + row % 3)), seed=row) for row in range(6)]
TOLERANCE = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}
"""Between log-probabilities with a cache in a padded batch and without."""


def engine_of(policy: torch.nn.Module, dtype: str) -> LiveEngine:
    return LiveEngine(policy, plain_model(policy), build_tokenizer(), len(REQUESTS), dtype)


@torch.no_grad()
def own_logprobs(policy: torch.nn.Module, tokens: Tokens, dtype: str) -> torch.Tensor:
    """Log-probabilities under the policy in evaluation mode, from one plain forward pass."""
    ids = torch.tensor([[*tokens.prompt_ids, *tokens.completion_ids]], device=DEVICE)
    policy.eval()
    with autocast(policy, dtype):
        logits = policy(input_ids=ids).logits[0, len(tokens.prompt_ids) - 1 : -1].float()
    policy.train()
    own = logits.log_softmax(-1).gather(1, torch.tensor(tokens.completion_ids, device=DEVICE)[:, None])
    return own[:, 0].cpu()


def largest_difference(engine: LiveEngine, policy: torch.nn.Module, dtype: str) -> float:
    completions = engine.generate(REQUESTS, SAMPLING)
    return max(
        float((torch.tensor(got.logprobs) - own_logprobs(policy, tokens, dtype)).abs().max())
        for request, got in zip(REQUESTS, completions, strict=True)
        if (tokens := Tokens(request.prompt_ids, got.token_ids))
    )


@pytest.mark.parametrize(("name", "dtype", "family"), cases(11, always=1))
def test_the_trained_policy_samples(name, dtype, family):
    method, policy = method_of(name), policy_of(name, dtype, family)
    engine, sync = engine_of(policy, dtype), LiveSync(method, policy)
    policy.train()
    before = {key: value.clone() for key, value in policy.state_dict().items()}
    assert largest_difference(engine, policy, dtype) <= TOLERANCE[dtype]
    assert all(torch.equal(value, before[key]) for key, value in policy.state_dict().items())

    train(method, policy, dtype)
    policy.train()
    assert largest_difference(engine, policy, dtype) <= TOLERANCE[dtype], "the engine serves an older policy"
    tokens = Tokens((3, 4, 5), (6, 7, 8, 9))
    served = engine.score(tokens, 1.0)
    assert served == own_logprobs(policy, tokens, dtype).tolist(), "served with noise"
    metrics = sync(1)
    assert metrics["sync/noise_to_signal"] == 0
    squares = [
        float((weight - sync.untrained[name].to(weight)).double().square().sum())
        for name, weight in merged_weights(method, policy)
    ]
    assert metrics["sync/update_norm"] > 0
    assert metrics["sync/update_norm"] == pytest.approx(math.sqrt(sum(squares)), rel=1e-3)


def test_the_policy_is_left_as_it_was():
    """Its mode, what is trained of it, the defaults of its model, and the global generator."""
    policy = policy_of("lora")
    engine = engine_of(policy, "float32")
    model = plain_model(policy)
    model.generation_config.repetition_penalty = 5.0
    defaults, trained = model.generation_config, {k: v.requires_grad for k, v in policy.named_parameters()}
    without_penalty = policy_of("lora")
    for mode in (True, False):
        policy.train(mode)
        state = torch.get_rng_state()
        engine.score(Tokens((3, 4), (5, 6)), 1.0)
        sampled = engine.generate(REQUESTS, SAMPLING)
        assert torch.equal(torch.get_rng_state(), state)
        assert {module.training for module in policy.modules()} == {mode}
        assert model.generation_config is defaults
        assert {k: v.requires_grad for k, v in policy.named_parameters()} == trained
        plain = engine_of(without_penalty, "float32").generate(REQUESTS, SAMPLING)
        assert [c.token_ids for c in sampled] == [c.token_ids for c in plain]


def test_dropout_is_off_while_the_policy_samples():
    policy = policy_of("lora")
    for module in policy.modules():
        if isinstance(module, torch.nn.ModuleDict) and "default" in module:
            module["default"] = torch.nn.Dropout(0.5) if not list(module.parameters()) else module["default"]
    train(method_of("lora"), policy)
    policy.train()
    assert any(isinstance(module, torch.nn.Dropout) for module in policy.modules())
    engine = engine_of(policy, "float32")
    assert largest_difference(engine, policy, "float32") <= TOLERANCE["float32"]


@pytest.mark.parametrize("name", sorted(methods()))
def test_what_is_built_once_is_the_same_to_the_last_bit(name, monkeypatch):
    """Before and after training, so that nothing of the older parameters is kept."""
    method, policy = method_of(name), policy_of(name)
    engine = engine_of(policy, "float32")
    for _ in range(2):
        once = engine.generate(REQUESTS, SAMPLING)
        with monkeypatch.context() as patch:
            patch.setattr(build_once, "BUILDERS", ())
            each_time = engine.generate(REQUESTS, SAMPLING)
        assert [(c.token_ids, c.logprobs) for c in once] == [(c.token_ids, c.logprobs) for c in each_time]
        train(method, policy)


@pytest.mark.parametrize(
    ("name", "builder"),
    [("dora", "get_weight_norm"), ("fourierft", "get_delta_weight"), ("oft", "_cayley_batch")],
)
def test_a_weight_is_built_once_while_the_policy_samples(name, builder, monkeypatch):
    policy = policy_of(name)
    (kind, *_), calls = {type(m) for m in policy.modules() if hasattr(type(m), builder)}, []
    layers = sum(isinstance(module, kind) for module in policy.modules())
    original = getattr(kind, builder)

    def counted(self, *arguments, **keywords):
        calls.append(builder)
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(kind, builder, counted)
    engine = engine_of(policy, "float32")
    engine.checked = True
    engine.generate(REQUESTS, SAMPLING)
    assert len(calls) == layers
    assert not any(builder in vars(module) for module in policy.modules()), "kept after sampling"
