"""Every method on a model of a few thousand weights: how the tests build, train and read it."""

from functools import cache

import torch

from rlvr.config.training import Training
from rlvr.dapo.loss_scale import LossScale
from rlvr.methods import Method, get_method, make_method
from rlvr.methods.policy import build_policy
from rlvr.models.autocast import autocast
from tests.helpers.families import DEVICE, family_model

INPUTS = (torch.arange(24).reshape(2, 12) % 32).to(DEVICE)
STEPS = 3
SMALL = {"rank": 4, "alpha": 8}
"""Settings that fit the small model, for every method that has them and no others in `small_settings`."""
ENOUGH = 0.3
"""How far training must move the logits for a test to prove anything."""


def training(learning_rate: float = 1e-2) -> Training:
    """The settings of a run of a few steps."""
    return Training(
        steps=STEPS,
        prompts_per_step=1,
        group_size=2,
        learning_rate=learning_rate,
        sampling={"max_new_tokens": 4},
    )


def base_model(dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """A plain model whose weights depend on nothing but the family."""
    return family_model(family, dtype)


def method_of(name: str, **values) -> Method:
    """The method with settings that fit the small model, or with chosen ones over them."""
    method = get_method(name)
    fitting = {key: value for key, value in SMALL.items() if key in method.Parameters.model_fields}
    return make_method(name, fitting | method.small_settings | values)


def policy_of(name: str, dtype: str = "float32", family: str = "qwen2", seed: int = 1) -> torch.nn.Module:
    """The method's policy before training, built under a chosen state of the global generator."""
    return untrained(method_of(name), dtype, family, seed)


def untrained(
    method: Method,
    dtype: str = "float32",
    family: str = "qwen2",
    seed: int = 1,
    steps: int = STEPS,
    start: bool = True,
) -> torch.nn.Module:
    """The policy of a method, registered or not, before training."""
    model = base_model(dtype, family)
    torch.manual_seed(seed)
    return build_policy(method, model, steps, start=start)


@torch.no_grad()
def logits(model: torch.nn.Module, dtype: str = "float32") -> torch.Tensor:
    """Logits in the precision that training runs in."""
    with autocast(model, dtype):
        return model.eval()(input_ids=INPUTS).logits.float().cpu()


def distance(policy: torch.nn.Module, dtype: str = "float32", family: str = "qwen2") -> float:
    """How far the logits of a policy are from those of the base model."""
    return float((logits(policy, dtype) - logits(base_model(dtype, family), dtype)).abs().max())


@cache
def rate_of(name: str) -> float:
    """The smallest of a few learning rates at which the steps of a test move the small model enough."""
    for rate in (0.01, 0.03, 0.1, 0.3, 1.0):
        policy = policy_of(name)
        train(method_of(name), policy, rate=rate)
        if distance(policy) > ENOUGH:
            return rate
    raise AssertionError(f"{STEPS} steps at a learning rate of 1 hardly move a model trained with {name}")


def train(
    method: Method,
    policy: torch.nn.Module,
    dtype: str = "float32",
    steps: int = STEPS,
    rate: float | None = None,
):
    """Take real optimizer steps on a language-modelling loss, scaled as a run's is; return the optimizer."""
    scale = LossScale.of(dtype)
    optimizer = method.optimizer(policy, training(rate or rate_of(method.name)))
    policy.train()
    for step in range(steps):
        while not _backward(method, policy, dtype, scale.value):
            assert scale.reduce(), "gradients are not finite"
        optimizer.step()
        method.after_step(policy, optimizer, step)
    policy.eval()
    return optimizer


def _backward(method: Method, policy: torch.nn.Module, dtype: str, scale: float) -> bool:
    """Set the gradients; return whether they are finite."""
    policy.zero_grad()
    with autocast(policy, dtype):
        loss = policy(input_ids=INPUTS, labels=INPUTS).loss
    extra = method.extra_loss(policy)
    (scale * (loss if extra is None else loss + extra)).backward()
    gradients = [parameter.grad for parameter in policy.parameters() if parameter.grad is not None]
    for gradient in gradients:
        gradient /= scale
    return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def plain_with(weights, dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """A plain model with some weights replaced."""
    model = base_model(dtype, family)
    own = dict(model.named_parameters())
    for name, weight in weights:
        own[name].data.copy_(weight)
    return model
