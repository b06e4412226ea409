"""A policy is what was saved of it: random numbers that are not saved would make another one elsewhere."""

from typing import ClassVar

import pytest
import torch

from rlvr.errors import UserError
from rlvr.methods import Method, get_method
from rlvr.methods.base.layer_method import LayerMethod
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import total_outputs
from rlvr.methods.layers.adapted import AdaptedLinear
from rlvr.methods.policy import load_trained_state, trained_state
from rlvr.methods.weights import merged_weights
from tests.helpers.small_methods import method_of, train, untrained


class ProjectedLinear(AdaptedLinear):
    """W0 + B P with P random and frozen, as a buffer or, wrongly, as a plain attribute."""

    def __init__(self, base_layer, saved: bool) -> None:
        super().__init__(base_layer)
        projection = torch.randn(4, base_layer.in_features) / 8
        if saved:
            self.register_buffer("projection", projection)
        else:
            self.projection = projection
        self.up = torch.nn.Parameter(torch.zeros(base_layer.out_features, 4))

    def forward(self, x):
        return self.base_layer(x) + x @ self.projection.T @ self.up.T

    def update(self):
        return {"weight": self.up @ self.projection}


class Projected(LayerMethod):
    """A method outside PEFT that saves what it draws."""

    name = "projected"
    parameters: TargetedParameters
    saved: ClassVar[bool] = True

    def make_layer(self, linear, total_steps):
        return ProjectedLinear(linear, self.saved)

    def expected_parameters(self, shape):
        return 4 * total_outputs(shape, self.parameters.target_modules)


class Unsaved(Projected):
    """The same method with the mistake."""

    saved = False


class RandomSigns(get_method("lora")):
    """A PEFT method that scales every layer by a random sign."""

    def wrap(self, model, total_steps, seed):
        policy = super().wrap(model, total_steps, seed)
        for _, layer in self.adapted_layers(policy):
            layer.scaling["default"] *= 1 if torch.rand(()) < 0.5 else -1
        return policy


def rebuilt(method: Method, rate: float) -> float:
    """Train, save, load under another state of the generators; return the largest difference of weights."""
    policy = untrained(method, seed=1)
    train(method, policy, rate=rate)
    elsewhere = untrained(method, seed=2)
    load_trained_state(method, elsewhere, trained_state(method, policy), "trained.safetensors")
    before = dict(merged_weights(method, policy))
    return max(
        float((weight - before[name]).abs().max()) for name, weight in merged_weights(method, elsewhere)
    )


@pytest.mark.parametrize("rate", [1e-2, 1e-6])
@pytest.mark.parametrize("broken", [Unsaved, RandomSigns])
def test_random_numbers_that_are_not_saved_are_refused(broken, rate):
    method = broken(method_of("lora").parameters if broken is RandomSigns else TargetedParameters())
    with pytest.raises(UserError, match=r"trained\.safetensors: .* random numbers that it does not save"):
        rebuilt(method, rate)


def test_random_numbers_that_are_saved_are_not():
    assert rebuilt(Projected(TargetedParameters()), 1e-2) == 0


def test_a_state_on_another_base_model_is_refused():
    method = method_of("pissa")
    policy, other = untrained(method), untrained(method)
    train(method, policy)
    with torch.no_grad():
        for _, layer in method.adapted_layers(other):
            layer.get_base_layer().weight.mul_(1.5)
    with pytest.raises(UserError, match="the base model is another"):
        load_trained_state(method, other, trained_state(method, policy), "trained.safetensors")


def test_the_check_of_a_method_that_merges_in_place_leaves_its_base_alone():
    from rlvr.methods.faults import InPlaceMerge

    faulty = type("Faulty", (InPlaceMerge, get_method("lora")), {})(method_of("lora").parameters)
    policy = untrained(faulty, "bfloat16")
    train(faulty, policy, "bfloat16", rate=1e-2)
    weights = [faulty.base_weights(layer)["weight"].clone() for _, layer in faulty.adapted_layers(policy)]
    trained_state(faulty, policy)
    after = [faulty.base_weights(layer)["weight"] for _, layer in faulty.adapted_layers(policy)]
    assert all(torch.equal(old, new) for old, new in zip(weights, after, strict=True))
