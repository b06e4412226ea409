"""Training seeds reach what a method draws at random, and what is exported is what was trained."""

import json
from dataclasses import fields

import pytest
import torch
from peft import PeftModel

from rlvr.dapo.train import train as train_run
from rlvr.methods import get_method, methods
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.export import export
from rlvr.methods.policy import build_policy
from rlvr.seeds import derive_seed
from tests.helpers.small_methods import base_model, logits, method_of, train
from tests.unit.dapo.test_train import config_at, data, even_sum  # noqa: F401 (data is a fixture)

NAMES = sorted(methods())
NOTHING_RANDOM = {
    *("bitfit", "boft", "c3a", "full", "ia3", "ln_tuning", "miss", "miss_bat", "oft", "road", "supertuning"),
    *("lora_xs", "mica", "milora", "milora_plus", "olora", "pissa", "psoft"),  # exact decompositions
    *("geora", "osf", "rlmo", "rlpo", "sparse_small"),
    "slicefine",  # the first slice is the first columns
}
SEEDED = [name for name in NAMES if getattr(get_method(name), "seed_field", None)]
NOT_FROZEN = {
    "pvera": {"generator_seed"},  # its noise in training, which the seed of each step decides
    "psoft": {"random_seed"},  # of an approximate SVD that is not used
}


def policy_with(name: str, seed: int, generator: int) -> torch.nn.Module:
    """The policy before training, built under a chosen state of the global generator."""
    model = base_model()
    torch.manual_seed(generator)
    return build_policy(method_of(name), model, 3, seed)


def contents(policy: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All tensors of a policy, those that it does not save included (FourierFT's places)."""
    found = dict(policy.state_dict())
    for name, module in policy.named_modules():
        tables = {key: value for key, value in vars(module).items() if isinstance(value, dict)}
        for key, table in tables.items():
            found |= {f"{name}.{key}.{k}": v for k, v in table.items() if isinstance(v, torch.Tensor)}
    return found


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", NAMES)
def test_training_seeds_reach_every_random_part(name):
    first, same, second = (contents(policy_with(name, seed, generator=seed)) for seed in (1, 1, 2))
    assert equal(first, same)
    assert equal(first, second) == (name in NOTHING_RANDOM)


@pytest.mark.parametrize("name", SEEDED)
def test_frozen_random_parts_follow_from_the_seed_alone(name):
    """Trained tensors are saved; what is frozen may be rebuilt in a process with another generator."""

    def frozen(seed: int, generator: int) -> dict[str, torch.Tensor]:
        policy = policy_with(name, seed, generator)
        trained = {key for key, parameter in policy.named_parameters() if parameter.requires_grad}
        return {
            key: one for key, one in contents(policy).items() if key not in trained and "theta" not in key
        }

    assert equal(frozen(1, generator=1), frozen(1, generator=2))
    assert not equal(frozen(1, generator=1), frozen(2, generator=1))


@pytest.mark.parametrize("name", NAMES)
def test_no_seed_of_peft_keeps_its_default(name):
    method = method_of(name)
    if isinstance(method, PeftMethod):
        named = {one.name for one in fields(method.peft_config())}
        seeds = {one for one in named if "seed" in one or "prng" in one} - NOT_FROZEN.get(name, set())
        assert seeds == ({method.seed_field} if method.seed_field else set())


@pytest.mark.parametrize("name", SEEDED)
def test_an_adapter_of_another_seed_loads_in_plain_peft(name, tmp_path):
    method, policy = method_of(name), policy_with(name, 2**40 + 5, generator=1)
    train(method, policy)
    method.export(policy, tmp_path)
    torch.manual_seed(99)
    loaded = PeftModel.from_pretrained(base_model(), str(tmp_path))
    torch.testing.assert_close(logits(loaded), logits(policy), atol=1e-4, rtol=0)


def test_export_rebuilds_the_policy_of_the_run(tiny_folder, tmp_path, data):  # noqa: F811
    """FourierFT saves no places: they follow from the run's training seed, 1 here."""
    config = config_at(tmp_path / "config.json", "fourierft", steps=1)
    train_run(config, tiny_folder, data, tmp_path / "state", tmp_path / "run", reward=even_sum)
    export(config, tiny_folder, tmp_path / "run/trained.safetensors", tmp_path / "adapter")
    written = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert written["random_loc_seed"] == derive_seed(1, "projection") % 2**31
