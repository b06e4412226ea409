"""A whole model that is written is complete: buffers that a family stores are there too."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlvr.errors import UserError
from rlvr.methods.weights import exported_weights, load_exported, write_whole
from tests.helpers.families import EXPERTS, SIZES
from tests.helpers.small_methods import method_of

IDS = torch.arange(5, 15)[None]
BUFFERED = {
    "apertus": {},
    "glm4_moe": EXPERTS
    | {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1, "head_dim": 32},
}
"""Families whose weight files hold buffers: `act_fn.beta`, `mlp.gate.e_score_correction_bias`."""


def plain(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **SIZES | BUFFERED[family])
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, buffer in model.named_buffers():
        if name in model.state_dict():
            buffer.add_(0.25)
    return model.eval()


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize(
    ("method", "family"),
    [
        *(("full", "apertus"), ("full", "glm4_moe"), ("ln_tuning", "glm4_moe")),
        *(("lora_xs", "apertus"), ("osf", "apertus")),
    ],
)
def test_a_whole_export_has_every_tensor_of_a_plain_model(method, family, tmp_path):
    values = {"target_modules": ("q_proj",)} if method in ("lora_xs", "osf") else {}
    spec, base = method_of(method, **values), plain(family)
    names = base.state_dict().keys()
    policy = spec.wrap(base, 4, 0)
    spec.start(policy)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    trained = logits(policy.eval())
    write_whole(spec, policy, tmp_path)
    loaded, found = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"]
    assert loaded.state_dict().keys() == names
    torch.testing.assert_close(logits(loaded), trained, atol=1e-5, rtol=0)
    served, merged = plain(family), plain(family)
    load_exported(served, tmp_path)
    torch.testing.assert_close(logits(served), trained, atol=1e-5, rtol=0)
    own = dict(merged.named_parameters())
    for name, weight in exported_weights(plain(family), tmp_path):
        own[name].data.copy_(weight)
    torch.testing.assert_close(logits(merged), trained, atol=1e-5, rtol=0)


def test_a_buffer_of_a_replaced_layer_keeps_its_plain_name(tmp_path):
    spec, base = method_of("lora_xs", target_modules=("q_proj",)), plain("apertus")
    name = "model.layers.0.self_attn.q_proj"
    base.get_submodule(name).register_buffer("scale", torch.ones(3))
    policy = spec.wrap(base, 4, 0)
    spec.start(policy)
    written = {}
    base.save_pretrained = lambda folder, state_dict: (
        written.update(state_dict) or base.config.save_pretrained(folder)
    )
    write_whole(spec, policy, tmp_path)
    assert f"{name}.scale" in written and f"{name}.base_layer.scale" not in written


def test_a_weight_beyond_the_precision_is_refused_by_name(tmp_path):
    spec, policy = method_of("full"), plain("apertus").requires_grad_(True)
    policy.lm_head.weight.data[0, 0] = 1e5
    with pytest.raises(
        UserError, match=r"lm_head\.weight: its largest value 1e\+05 is beyond float16 \(at most"
    ):
        write_whole(spec, policy, tmp_path, torch.float16)
    write_whole(spec, policy, tmp_path, torch.bfloat16)
