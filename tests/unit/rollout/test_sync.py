"""The sync: what is served, in which precision, by which rule of rounding."""

from itertools import islice

import pytest
import torch

from rlvr.errors import UserError
from rlvr.methods.weights import merged_weights
from rlvr.models.load import load_model, load_tokenizer
from rlvr.rollout.engines.transformers import TransformersEngine
from rlvr.rollout.sync import WeightSync
from rlvr.seeds import derive_seed
from tests.helpers.small_methods import training


def a_policy(tiny_folder, method_name: str = "lora"):
    """A LoRA on the tiny model with an update below the grid of bfloat16."""
    from rlvr.methods import make_method
    from rlvr.methods.policy import build_policy

    torch.manual_seed(0)
    base = load_model(tiny_folder, "float32")
    for parameter in base.parameters():
        parameter.data = parameter.data.bfloat16().float()
    method = make_method(method_name, {"rank": 4, "alpha": 8})
    policy = build_policy(method, base, training(1).optimizer_steps)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=3e-5)
    return method, policy


def synced(tiny_folder, rounding: str, step: int = 3, seed: int = 7, mode: str = "merged"):
    method, policy = a_policy(tiny_folder)
    engine = TransformersEngine(
        load_model(tiny_folder, "float32"), load_tokenizer(tiny_folder), 4, weight_dtype=torch.bfloat16
    )
    metrics = WeightSync(method, policy, engine, mode, rounding, seed)(step)
    return engine, metrics, dict(merged_weights(method, policy))


def served_share(engine, merged, tiny_folder) -> float:
    """<served update, update> / |update|^2."""
    base = dict(load_model(tiny_folder, "float32").named_parameters())
    inner = square = 0.0
    for name, weight in merged.items():
        start = base[name].data.bfloat16().float()
        inner += float(((engine.held_weight(name) - start) * (weight - start)).sum())
        square += float((weight - start).square().sum())
    return inner / square


def moved_share(engine, merged, tiny_folder) -> float:
    """Share of the weights that the engine does not hold as it would hold the untrained model's."""
    base = dict(load_model(tiny_folder, "float32").named_parameters())
    moved = [(engine.held_weight(name) != base[name].bfloat16()).flatten() for name in merged]
    return float(torch.cat(moved).double().mean())


def test_to_nearest_a_small_update_is_lost_and_stochastically_it_is_served_on_average(tiny_folder):
    nearest, lost, merged = synced(tiny_folder, "nearest")
    stochastic, noisy, _ = synced(tiny_folder, "stochastic")
    for engine, metrics in ((nearest, lost), (stochastic, noisy)):
        assert metrics["sync/gain"] == pytest.approx(served_share(engine, merged, tiny_folder), abs=1e-4)
        assert metrics["sync/moved_fraction"] == pytest.approx(moved_share(engine, merged, tiny_folder))
    assert lost["sync/moved_fraction"] < noisy["sync/moved_fraction"]
    assert served_share(nearest, merged, tiny_folder) < 0.5
    assert lost["sync/noise_to_signal"] > 0.5
    assert served_share(stochastic, merged, tiny_folder) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("mode", ["merged", "adapter"])
def test_stochastic_rounding_depends_on_seed_and_step_alone(tiny_folder, mode):
    name = "model.layers.1.mlp.down_proj"

    def held(step: int, seed: int) -> torch.Tensor:
        torch.manual_seed(step + 10 * seed)  # must not matter
        engine, _, _ = synced(tiny_folder, "stochastic", step, seed, mode)
        return engine.held_update(name)[1] if mode == "adapter" else engine.held_weight(f"{name}.weight")

    assert torch.equal(held(3, 7), held(3, 7))
    assert not torch.equal(held(3, 7), held(4, 7))
    assert not torch.equal(held(3, 7), held(3, 8))


def test_an_untrained_policy_on_the_grid_is_served_exactly(tiny_folder):
    method, policy = a_policy(tiny_folder)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.zeros_(parameter)
    engine = TransformersEngine(
        load_model(tiny_folder, "float32"), load_tokenizer(tiny_folder), 4, weight_dtype=torch.bfloat16
    )
    WeightSync(method, policy, engine, "merged", "stochastic", derive_seed(1))(0)
    for name, weight in merged_weights(method, policy):
        assert torch.equal(engine.held_weight(name), weight)


def test_an_engine_that_takes_a_part_of_the_weights_stops_the_run(tiny_folder, monkeypatch):
    """The rest of the stream is compared as well, although the engine never saw it."""
    load = TransformersEngine.load_weights
    monkeypatch.setattr(
        TransformersEngine, "load_weights", lambda self, weights: load(self, islice(weights, 3))
    )
    with pytest.raises(UserError, match="does not hold the weights"):
        synced(tiny_folder, "nearest")


def test_an_engine_that_takes_a_part_of_the_updates_stops_the_run(tiny_folder, monkeypatch):
    load = TransformersEngine.load_updates

    def first_alone(self, updates):
        load(self, [next(updates)])
        self.updates = {
            name: self.updates[next(iter(self.updates))] for name in dict(self.model.named_modules())
        }

    monkeypatch.setattr(TransformersEngine, "load_updates", first_alone)
    with pytest.raises(UserError, match="does not hold the weights"):
        synced(tiny_folder, "nearest", mode="adapter")
