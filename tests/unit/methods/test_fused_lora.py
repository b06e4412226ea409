"""The LoRA layer that adds its update in a product is PEFT's layer."""

import pytest
import torch
from peft.tuners.lora import Linear

from rlvr.methods.layers.fused_lora import FusedLoraLinear
from rlvr.models.autocast import autocast
from tests.helpers.small_methods import INPUTS, method_of, train, untrained

ROUNDING = {"float32": 1e-5, "bfloat16": 0.05}


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


def test_a_fused_layer_makes_no_scaled_copy_of_its_output(monkeypatch):
    """PEFT's own forward pass is not taken for a plain LoRA, and is for DoRA."""
    taken = []
    forward = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, x: taken.append(self) or forward(self, x))
    for name, expected in (("lora", False), ("pissa", False), ("dora", True)):
        taken.clear()
        untrained(method_of(name))(input_ids=INPUTS)
        assert bool(taken) == expected
