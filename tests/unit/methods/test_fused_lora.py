"""The LoRA layer that adds its update in a product is PEFT's layer."""

import copy

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import Tensor, nn

from rlvr.methods.layers.fused_lora import FusedLoraLinear
from rlvr.models.autocast import autocast
from tests.helpers.small_methods import INPUTS, method_of, train, untrained

ROUNDING = {"float32": 1e-5, "bfloat16": 2**-5, "float16": 0.0}
"""Relative difference; float16 is left to PEFT."""


def outputs_and_gradient(policy: torch.nn.Module, dtype: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and the flat gradient of a sum of them with a weight for each."""
    policy.zero_grad()
    torch.manual_seed(0)
    with autocast(policy, dtype):
        logits = policy(input_ids=INPUTS).logits.float()
    (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).sum().backward()
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    return logits.detach(), torch.cat([p.grad.flatten() for p in trained if p.grad is not None])


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("name", ["lora", "rslora", "lora_fa", "pissa", "lora-dropout"])
def test_values_and_gradients_are_those_of_peft(name, dtype, monkeypatch):
    """PiSSA has two adapters; with dropout, both draw the same random numbers."""
    base, _, noise = name.partition("-")
    method = method_of(base, **({"dropout": 0.3} if noise else {}))
    policy = untrained(method, dtype)
    train(method, policy, dtype)
    policy.train(bool(noise))
    layers = [module for module in policy.modules() if isinstance(module, FusedLoraLinear)]
    assert layers
    logits, gradient = outputs_and_gradient(policy, dtype)
    monkeypatch.setattr(FusedLoraLinear, "forward", Linear.forward)
    expected, expected_gradient = outputs_and_gradient(policy, dtype)
    at_most = ROUNDING[dtype]
    torch.testing.assert_close(logits, expected, atol=at_most * float(expected.abs().max()), rtol=0)
    difference = float((gradient - expected_gradient).norm())
    assert difference <= at_most * float(expected_gradient.norm())


@pytest.mark.parametrize(("adapters", "alpha"), [(1, 16), (1, 12), (2, 16)])
def test_a_layer_in_bfloat16_is_nearer_to_the_exact_one_than_peft(adapters, alpha, monkeypatch):
    """Outputs and gradients of a layer, against the same in float64 with the same weights."""
    torch.manual_seed(0)
    base = nn.Linear(96, 160, bias=False, dtype=torch.bfloat16).requires_grad_(False)
    layer = FusedLoraLinear(base, "one", r=8, lora_alpha=alpha, config=LoraConfig(), init_lora_weights=False)
    if adapters == 2:
        layer.update_layer("two", r=4, lora_alpha=4, config=LoraConfig(), init_lora_weights=False)
        layer.set_adapter(["one", "two"])
    for up in layer.lora_B.values():
        nn.init.normal_(up.weight, std=0.1)  # an update of the size of the output
    x, direction = torch.randn(3, 5, 96).bfloat16(), torch.randn(3, 5, 160)

    def errors() -> list[float]:
        computed, exact = results(layer), results(copy.deepcopy(layer).double())
        return [
            float((one.double() - other).norm() / other.norm())
            for one, other in zip(computed, exact, strict=True)
        ]

    def results(layer: nn.Module) -> list[Tensor]:
        precise = layer.base_layer.weight.dtype == torch.float64
        inputs = x.to(layer.base_layer.weight.dtype).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
            output = layer(inputs)
        trained = [p for p in layer.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(output, [inputs, *trained], direction.to(output.dtype))
        return [output.detach(), *gradients]

    ours = errors()
    monkeypatch.setattr(FusedLoraLinear, "forward", Linear.forward)
    theirs = errors()
    assert ours[0] < 0.9 * theirs[0] and ours[1] < 0.9 * theirs[1]
    assert all(own <= 1.1 * other for own, other in zip(ours, theirs, strict=True))


def test_a_fused_layer_makes_no_scaled_copy_of_its_output(monkeypatch):
    """PEFT's own forward pass is not taken for a plain LoRA, and is for DoRA."""
    taken = []
    forward = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, x: taken.append(self) or forward(self, x))
    for name, expected in (("lora", False), ("pissa", False), ("dora", True)):
        taken.clear()
        untrained(method_of(name))(input_ids=INPUTS)
        assert bool(taken) == expected
