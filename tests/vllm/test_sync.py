"""After a sync vLLM serves the policy that is trained, for every method, or the run stops."""

import pytest
import torch

from rlvr.methods import methods
from rlvr.rollout.engines.base import Tokens
from rlvr.rollout.sync import WeightSync
from tests.helpers.small_methods import method_of, policy_of, train

SCORED = [Tokens([3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 9, 7]), Tokens([2, 7, 18], [28, 18, 28, 4])]


@torch.no_grad()
def trained_logprobs(policy: torch.nn.Module, temperature: float = 1.0) -> list[float]:
    values = []
    for prompt, completion in SCORED:
        ids = torch.tensor([[*prompt, *completion]])
        logits = policy.eval()(input_ids=ids).logits[0, len(prompt) - 1 : -1] / temperature
        values += logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None]).flatten().tolist()
    return values


def served_logprobs(engine, temperature: float = 1.0) -> list[float]:
    return [value for tokens in SCORED for value in engine.score(tokens, temperature)]


def distance(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", sorted(methods()))
def test_the_served_policy_is_the_trained_one(name, small_engine):
    method, policy = method_of(name), policy_of(name)
    sync = WeightSync(method, policy, small_engine, "merged")
    sync(0)
    before = trained_logprobs(policy)
    assert distance(served_logprobs(small_engine), before) < 2e-5
    train(method, policy)
    metrics = sync(1)
    after = trained_logprobs(policy)
    assert distance(after, before) > 0.01
    assert distance(served_logprobs(small_engine), after) < 2e-5
    assert metrics["sync/noise_to_signal"] == 0
