"""Every method on every family is what it declares and starts as the base, or is refused with a way out."""

import re
from dataclasses import replace

import pytest
import torch

from rlvr.errors import UserError
from rlvr.methods import Method, methods
from rlvr.methods.base.measure import shape_of
from rlvr.methods.base.parameters import TargetedParameters
from rlvr.methods.base.shapes import ALL_LINEAR
from rlvr.methods.base.targets import can_be_chosen, target_names
from rlvr.methods.policy import build_policy
from rlvr.methods.weights import merged_weights
from tests.helpers.families import FAMILIES, family_model
from tests.helpers.grid import EXHAUSTIVE
from tests.helpers.small_methods import INPUTS, STEPS, method_of

NAMES, EVERYWHERE = sorted(methods()), ["full", "ln_tuning"]
TARGETED = [name for name in NAMES if issubclass(methods()[name].Parameters, TargetedParameters)]
USUAL = [
    *(
        "qwen2",
        "qwen3",
        "llama",
        "mistral",
        "ministral3",
        "gemma",
        "gemma2",
        "gemma3_text",
        "olmo2",
        "smollm3",
    ),
    *("granite", "stablelm", "exaone4", "seed_oss", "ernie4_5", "hunyuan_v1_dense", "cohere"),
]
"""Families whose blocks have the seven usual linear layers and nothing else."""
FUSED = ["phi3", "glm4", "gpt_neox", "phi", "starcoder2", "nemotron", "apertus", "opt"]
"""Dense families whose linear layers have other names, or are others."""
MORE = ["qwen3_moe", "qwen2_moe", "olmoe", "mixtral", "gpt_oss", "granitemoehybrid", "jamba", "lfm2"]
"""Families with matrices that are no linear layers: experts, routers, convolutions; some blocks differ."""
WAY_OUT = re.compile(
    r"target_modules: \[.+\]|choose another|remain: full|leave \w+ out of target_modules|or another"
)


def chosen(name: str, family: str) -> Method:
    """A method with the linear layers that the model has, as the message of its refusal proposes."""
    shape = shape_of(family_model(family))
    names = [name for name in target_names(shape) if can_be_chosen(name, shape)]
    forward = {"feedforward_modules": names[-1:]} if name == "ia3" else {}
    return method_of(name, target_modules=names, **forward)


def starts_as_the_base_or_is_refused(method: Method, family: str) -> bool:
    """Build a policy, which checks modules and count; return whether the family was not refused."""
    model = family_model(family)
    base = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    try:
        policy = build_policy(method, model, STEPS)
    except UserError as error:
        assert method.name in str(error) and WAY_OUT.search(str(error)), error
        assert "did you mean" not in str(error)
        assert all(parameter.requires_grad for parameter in model.parameters()), "the model is not changed"
        return False
    for name, weight in merged_weights(method, policy):
        assert (weight - base[name]).norm() <= 1e-6 * base[name].norm(), name
    with torch.no_grad():
        assert torch.isfinite(policy(input_ids=INPUTS).logits).all()
    return True


def grid(wanted: list[tuple[str, str]]) -> list[object]:
    """All methods on all families; those that are not ``wanted`` by default are marked exhaustive."""
    return [
        pytest.param(name, family, marks=[] if (name, family) in wanted else EXHAUSTIVE)
        for name in NAMES
        for family in FAMILIES
    ]


FAST = {
    *((name, list(FAMILIES)[position % len(FAMILIES)]) for position, name in enumerate(NAMES)),
    *(("lora", family) for family in FAMILIES),
}


@pytest.mark.parametrize(("name", "family"), grid(FAST))
def test_a_method_fits_a_family_or_is_refused_by_name(name, family):
    built = starts_as_the_base_or_is_refused(method_of(name), family)
    if name == "lora":
        assert built == (family.partition(",")[0] in USUAL)


@pytest.mark.parametrize(("name", "family"), grid(FAST))
def test_a_method_fits_the_linear_layers_that_a_family_has(name, family):
    if name not in TARGETED or family == "gpt2":
        pytest.skip("adapts no linear layers, or there are none")
    built = starts_as_the_base_or_is_refused(chosen(name, family), family)
    if name == "lora" and family in FUSED:
        assert built


@pytest.mark.parametrize("family", FAMILIES)
def test_full_and_all_norms_are_trained_in_every_family(family):
    for name in EVERYWHERE:
        built = starts_as_the_base_or_is_refused(method_of(name), family)
        # The code around the norm of its Mamba reads the norm without calling it.
        assert built == ((name, family) != ("ln_tuning", "granitemoehybrid")), name


@pytest.mark.parametrize(
    ("family", "norms"), [("qwen3", 9), ("gemma3_text", 13), ("olmo2", 9), ("gpt2", 5), ("stablelm", 11)]
)
def test_ln_tuning_trains_every_norm(family, norms):
    method, model = method_of("ln_tuning"), family_model(family)
    weights = sum(w.numel() for name, w in model.named_parameters() if "norm" in name or "ln_" in name)
    assert len(method.declared_modules(shape_of(model))) == norms
    assert method.expected_parameters(shape_of(model)) == weights


def test_norms_are_chosen_by_name_and_an_unknown_name_is_answered_with_those_there_are():
    shape = shape_of(family_model("qwen3"))
    assert method_of("ln_tuning", target_modules=["q_norm"]).declared_modules(shape) == {
        f"model.layers.{block}.self_attn.q_norm" for block in range(2)
    }
    with pytest.raises(
        UserError, match=r"no norm is called layernorm; its norms: q_norm, k_norm, input_layernorm"
    ):
        method_of("ln_tuning", target_modules=["q_norm", "layernorm"]).check_fit(shape)


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (
            "phi3",
            ["q_proj, k_proj, v_proj, gate_proj, up_proj", "[o_proj, qkv_proj, gate_up_proj, down_proj]"],
        ),
        ("glm4", ["gate_proj, up_proj", "mlp.gate_up_proj (64 -> 192)"]),
        ("qwen3_moe", ["mlp.experts.gate_up_proj (Qwen3MoeExperts, 4 x 64 x 64)", "mlp.gate.weight"]),
        ("qwen2_moe", ["mlp.experts.down_proj", "takes gate_proj, up_proj, down_proj for the fused experts"]),
        ("qwen3_next", ["1 of 2 blocks have no q_proj, k_proj, v_proj, o_proj (first: model.layers.0)"]),
        ("jamba", ["mamba.conv1d.weight (Conv1d", "2 of 4 blocks have no gate_proj, up_proj"]),
        ("lfm2", ["conv.conv.weight", "feed_forward.w1"]),
        ("gpt2", ["attn.c_attn.weight (Conv1D, 64 x 192)", "remain: full, ln_tuning"]),
    ],
)
def test_a_refusal_names_what_is_missing_what_there_is_and_the_way_out(family, words):
    with pytest.raises(UserError) as error:
        method_of("lora").check_fit(shape_of(family_model(family)))
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)


@pytest.mark.parametrize("family", MORE)
def test_a_part_that_is_chosen_by_name_is_trained(family):
    method = method_of("lora", target_modules=["q_proj"])
    assert starts_as_the_base_or_is_refused(method, family)


def test_the_default_set_is_chosen_on_a_hybrid_only_by_fuller_names():
    shape = shape_of(family_model("qwen3_5_text"))
    names = [f"{'self_attn' if name[0] in 'qkvo' else 'mlp'}.{name}" for name in ALL_LINEAR]
    method = method_of("lora", target_modules=names)
    method.check_fit(shape)
    assert len(method.declared_modules(shape)) == 4 + 2 * 3
    with pytest.raises(UserError, match=r"name them with their parents: .*self_attn\.q_proj"):
        method_of("lora", target_modules=list(reversed(ALL_LINEAR))).check_fit(shape)


def test_a_shared_expert_is_refused_where_peft_would_adapt_the_fused_experts_in_its_place():
    shape = shape_of(family_model("qwen2_moe"))
    with pytest.raises(UserError, match=r"LoRA takes shared_expert\.gate_proj for the fused experts"):
        method_of("lora", target_modules=["q_proj", "shared_expert.gate_proj"]).check_fit(shape)


def test_a_layer_whose_weight_is_used_without_it_is_refused():
    """An adapter in its place would train nothing: Jamba multiplies by `dt_proj.weight` itself."""
    shape = shape_of(family_model("jamba"))
    assert {shape.in_block(name) for name in shape.bypassed} == {"mamba.dt_proj"}
    with pytest.raises(
        UserError, match=r"use the weight of mamba\.dt_proj directly, where no adapter would run"
    ):
        method_of("lora", target_modules=["q_proj", "dt_proj"]).check_fit(shape)
    assert not any(shape_of(family_model(family)).bypassed for family in (*USUAL, *FUSED))


def test_inherited_code_that_bypasses_a_layer_counts():
    model = family_model("jamba")
    for module in model.modules():
        if type(module).__name__ == "JambaMambaMixer":
            module.__class__ = type("Heir", (type(module),), {})
    assert shape_of(model).bypassed == shape_of(family_model("jamba")).bypassed != frozenset()


@pytest.mark.parametrize(
    ("kept", "way_out"),
    [
        ("input_layernorm", r"`parameters: {target_modules: \[input_layernorm\]}`"),
        ("", "choose another method"),
    ],
)
def test_norms_that_are_read_without_being_called_are_refused_with_what_is_left(kept, way_out):
    shape = shape_of(family_model("llama"))
    bypassed = frozenset(norm for norm in shape.norms if not kept or not norm.endswith(kept))
    with pytest.raises(UserError, match=rf"reads it without calling it, .*{way_out}"):
        method_of("ln_tuning").check_fit(replace(shape, bypassed=bypassed))


def test_a_layer_of_gpt2_is_no_linear_layer():
    with pytest.raises(UserError, match=r"attn\.c_attn\.weight is no torch\.nn\.Linear \(Conv1D, 64 x 192\)"):
        method_of("lora", target_modules=["c_attn"]).check_fit(shape_of(family_model("gpt2")))
