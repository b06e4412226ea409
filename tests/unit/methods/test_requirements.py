"""Settings that do not fit a model are one message before anything is built, and never an error of torch."""

import re

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rlvr.errors import UserError
from rlvr.methods import get_method, make_method, methods
from rlvr.methods.policy import build_policy
from rlvr.methods.reference import LARGE, declared_shape
from tests.helpers.families import SIZES
from tests.helpers.paths import REPOSITORY
from tests.helpers.small_methods import base_model, method_of, untrained

REQUIREMENTS = [(name, setting) for name, method in methods().items() for setting in method.requirements]


@pytest.mark.parametrize(("name", "setting"), REQUIREMENTS)
def test_a_setting_that_breaks_a_requirement_names_layer_shape_and_fix(name, setting):
    holds = get_method(name).requirements[setting].holds
    values = {"sparsity": (0.9999,), "preserved": (0.001,)}.get(setting, (14, 10_000))
    value = next(value for value in values if not holds(value, 64, 64))
    rank = {"rank": value} if name == "gralora" else {}  # its blocks must divide its rank first
    method, model = method_of(name, **{setting: value}, **rank), base_model()
    with pytest.raises(UserError) as error:
        build_policy(method, model, 3)
    layer = r"model\.layers\.0\.self_attn\.(\w+) \(64 inputs, 64 outputs\)"
    message = rf"{name!r}: {setting} {value} does not fit {layer}"
    way_out = rf": it must .*; choose another {setting}, or leave \1 out of target_modules"
    assert re.search(message + way_out, str(error.value)), str(error.value)
    assert all(parameter.requires_grad for parameter in model.parameters()), "the model is not changed"


def sizes_of(name: str) -> list[str]:
    """The settings of a method that are whole numbers."""
    values = dict(method_of(name).parameters)
    return [key for key, value in values.items() if isinstance(value, int) and not isinstance(value, bool)]


@pytest.mark.parametrize("value", [14, 80, 640])
@pytest.mark.parametrize(("name", "setting"), [(name, key) for name in methods() for key in sizes_of(name)])
def test_a_size_is_built_or_refused_by_name(name, setting, value):
    try:
        untrained(method_of(name, **{setting: value}))
    except UserError as error:
        assert setting in str(error)


def test_requirements_are_checked_from_the_keys_of_a_model():
    with pytest.raises(
        UserError, match=r"'pissa': rank 4096 does not fit model\.layers\.0\.self_attn\.q_proj"
    ):
        make_method("pissa", {"rank": 4096}).check_fit(declared_shape(REPOSITORY / "config", LARGE))


def test_bitfit_refuses_a_model_without_biases():
    with pytest.raises(UserError, match=r"'bitfit' does not fit this llama model: .*has a bias") as error:
        untrained(method_of("bitfit"), family="llama")
    assert "q_proj (64 -> 64)" in str(error.value)


def test_bitfit_refuses_a_layer_without_a_bias_and_names_those_that_have_one():
    with pytest.raises(UserError, match=r"o_proj has no bias.*\n.*\n.*\[q_proj, k_proj, v_proj\]"):
        untrained(method_of("bitfit", target_modules=["q_proj", "o_proj"]))


def test_bitfit_trains_the_biases_of_a_llama_that_has_them():
    method = make_method("bitfit", {"target_modules": ["q_proj", "o_proj"]})
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True))
    policy = build_policy(method, model, 3)
    assert sum(p.numel() for p in policy.parameters() if p.requires_grad) == 2 * (64 + 64)
    merged = method.merged(policy.model.layers[0].self_attn.o_proj)
    assert merged.keys() == {"weight", "bias"} and merged["bias"].dtype == torch.float32
