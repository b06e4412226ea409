"""Tiny random models of many families: what the methods must fit, or refuse with modules and a way out."""

import copy
import os
from functools import cache
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

DEVICE = os.environ.get("RLVR_TEST_DEVICE", "cpu")
"""Where the small models of the tests are: `cuda` runs what holds for every method on a GPU."""

SIZES = {
    "vocab_size": 32,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
    "tie_word_embeddings": False,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LOCAL_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
LINEAR_ATTENTION = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
}
MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2}

FAMILIES = {
    "qwen2": {"tie_word_embeddings": True},
    "qwen2, untied": {},
    "qwen2, sliding": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": {"head_dim": 64, "tie_word_embeddings": True},
    "llama": {},
    "llama, biased": {"attention_bias": True, "mlp_bias": True, "head_dim": 16},
    "mistral": {"sliding_window": 4},
    "ministral3": {},
    "phi": {},
    "phi3": {},
    "gemma": {"head_dim": 32},
    "gemma2": {"head_dim": 16, "sliding_window": 4, "query_pre_attn_scalar": 16},
    "gemma3_text": {
        "head_dim": 32,
        "tie_word_embeddings": True,
        "sliding_window": 4,
        "query_pre_attn_scalar": 16,
    },
    "olmo2": {},
    "smollm3": {},
    "granite": {"logits_scaling": 8.0, "embedding_multiplier": 12.0, "residual_multiplier": 0.2},
    "gpt2": {"n_inner": 96},
    "gpt_neox": {},
    "starcoder2": {},
    "stablelm": {"qk_layernorm": True, "use_qkv_bias": True},
    "glm4": {"head_dim": 32},
    "exaone4": {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
    "nemotron": {},
    "seed_oss": {"head_dim": 16},
    "ernie4_5": {"head_dim": 32},
    "hunyuan_v1_dense": {"head_dim": 16},
    "cohere": {"use_qk_norm": True},
    "apertus": {},
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 64},
    "qwen3_moe": EXPERTS,
    "qwen2_moe": EXPERTS | {"shared_expert_intermediate_size": 32},
    "olmoe": EXPERTS,
    "mixtral": LOCAL_EXPERTS,
    "gpt_oss": LOCAL_EXPERTS | {"head_dim": 16},
    "granitemoehybrid": LOCAL_EXPERTS
    | MAMBA
    | {
        "layer_types": ["mamba", "attention"],
        "mamba_n_heads": 4,
        "mamba_d_head": 32,
        "mamba_n_groups": 1,
        "shared_intermediate_size": 32,
    },
    "jamba": LOCAL_EXPERTS
    | MAMBA
    | {
        "num_experts": 2,
        "num_hidden_layers": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_multiple_of": 16},
    "qwen3_next": EXPERTS | LINEAR_ATTENTION | {"head_dim": 16, "shared_expert_intermediate_size": 32},
    "qwen3_5_text": LINEAR_ATTENTION | {"head_dim": 16},
}
"""Name of a tiny model (its `model_type`, perhaps with a variant) -> what it has besides `SIZES`."""


def family_config(name: str, **changed: Any) -> PretrainedConfig:
    """The configuration of a tiny model of a family, with settings of one's own."""
    return AutoConfig.for_model(name.partition(",")[0], **SIZES | FAMILIES.get(name, {}) | changed)


@cache
def _original(name: str) -> PreTrainedModel:
    config = family_config(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("bias"):  # these start at zero, where mistakes do not show
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def family_model(name: str, dtype: str = "float32") -> PreTrainedModel:
    """A model of a family, plain and of its own; its weights depend on nothing but the name."""
    return copy.deepcopy(_original(name)).to(DEVICE, getattr(torch, dtype))
