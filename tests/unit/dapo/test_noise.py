"""Noise of the base is found by experiment and removed, or the base is refused."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, PhimoeConfig

from rlvr.dapo.noise import draws_random_numbers, remove_base_noise
from rlvr.errors import UserError
from tests.helpers.causal_models import TOKENS, causal_model
from tests.helpers.families import SIZES
from tests.helpers.small_methods import method_of, untrained

INPUTS = torch.arange(7, 27)[None]


@torch.no_grad()
def differs_in_training(model: nn.Module) -> bool:
    """Whether passes in training mode, under several seeds, differ from one in evaluation mode."""
    expected = model.eval()(input_ids=INPUTS).logits
    model.train()
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        found.append(model(input_ids=INPUTS).logits)
    return any(not torch.equal(one, expected) for one in found)


@pytest.mark.parametrize(
    ("family", "settings", "named"),
    [
        ("llama", {"attention_dropout": 0.1}, "config.attention_dropout"),  # a function, not a module
        (
            "llama",
            {"attention_dropout": 0.1, "attn_implementation": "eager"},
            "LlamaAttention.attention_dropout",
        ),
        ("gpt2", {}, "config.embd_pdrop"),
        ("phi", {"resid_pdrop": 0.1}, "Dropout.p"),
        ("opt", {"layerdrop": 0.3, "dropout": 0.0}, "OPTDecoder.layerdrop"),
    ],
)
def test_rates_of_the_base_are_set_to_zero_and_named(family, settings, named, caplog):
    model = causal_model(family, **settings)
    assert differs_in_training(model)
    remove_base_noise(model)
    assert not differs_in_training(model)
    assert named in caplog.text


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma2", "granite", "cohere", "gpt_neox"])
def test_a_base_without_noise_is_left_alone(family, caplog):
    model = causal_model(family)
    remove_base_noise(model)
    assert not caplog.records


class Noisy(nn.Linear):
    """A layer with noise of its own, from a generator of its own."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(states.shape[:-1], generator=torch.Generator().manual_seed(3))
        return super().forward(states) * (1 + 0.1 * noise[..., None] if self.training else 1)


class Shifted(nn.Linear):
    """A layer that is deterministic, but another one in training."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return super().forward(states) * (1.1 if self.training else 1.0)


@pytest.mark.parametrize("kind", [Noisy, Shifted])
def test_what_cannot_be_switched_off_is_refused_with_the_module(kind):
    model = causal_model("llama")
    model.model.layers[1].mlp.up_proj.__class__ = kind
    with pytest.raises(UserError, match=rf"module model\.layers\.1\.mlp\.up_proj \({kind.__name__}\)"):
        remove_base_noise(model)


class Skipping(nn.Module):
    """A block that is skipped once in a thousand passes, by a rate with a name of its own."""

    def forward(self, states: torch.Tensor, **keywords) -> torch.Tensor:
        skipped = self.training and float(torch.rand(())) < self.depth_rate
        return states if skipped else super().forward(states, **keywords)


class Rare(nn.Linear):
    """A layer with a dropout that hardly ever drops, by a rate that no setting holds."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(super().forward(states), 1e-6, self.training)


def test_a_dropout_that_hardly_ever_drops_is_refused_with_its_module():
    model = causal_model("llama")
    model.model.layers[1].mlp.up_proj.__class__ = Rare
    with pytest.raises(UserError, match=r"by its model\.layers\.1\.mlp\.up_proj \(Rare\) change"):
        remove_base_noise(model)


def skipping(model: nn.Module, rate: float) -> nn.Module:
    block = model.model.layers[1]
    block.__class__ = type("Skipping", (Skipping, type(block)), {"depth_rate": rate})
    return model


def test_a_draw_that_hardly_ever_matters_is_refused_with_its_module():
    model = skipping(causal_model("llama"), 0.001)
    assert not differs_in_training(model)
    with pytest.raises(UserError, match=r"drawn .* by its model\.layers\.1 \(Skipping\) change"):
        remove_base_noise(model)


def test_a_draw_that_never_matters_is_harmless():
    model = skipping(causal_model("llama"), 0.0)
    assert draws_random_numbers(model)
    remove_base_noise(model)


def test_a_router_that_samples_is_blamed_itself():
    """Its first output is the same; the experts that come after it are not the cause."""
    sizes = {"num_local_experts": 4, "num_experts_per_tok": 2, "max_position_embeddings": 64}
    config = PhimoeConfig(**SIZES | TOKENS | sizes)
    with pytest.raises(UserError, match=r"drawn in training mode by its \S+router \(Phimoe\w*\) change"):
        remove_base_noise(AutoModelForCausalLM.from_config(config))


def test_noise_of_the_adapter_is_found_though_no_value_shows_it():
    """B = 0 at the start, so dropout on A's input changes nothing yet."""
    assert draws_random_numbers(untrained(method_of("lora", dropout=0.1)))
    assert draws_random_numbers(untrained(method_of("pvera")))
    assert not draws_random_numbers(untrained(method_of("lora")))


def test_the_experiment_leaves_generators_mode_and_buffers_as_they_are():
    model = causal_model("gpt2").train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert draws_random_numbers(model)
    remove_base_noise(model)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    assert before[2] == random.getstate()
    assert modes == [module.training for module in model.modules()]
