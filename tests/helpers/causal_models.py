"""Tiny causal language models of families that differ after or around the decoder blocks."""

import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    OPTConfig,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)

from rlvr.models.tiny import build_tokenizer

SPECIAL = {"vocab_size": len(build_tokenizer()), "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
WIDE = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
GROUPED = SPECIAL | WIDE | {"num_key_value_heads": 1, "max_position_embeddings": 128}
OLD_NAMES = SPECIAL | {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 128}

CONFIGS = {
    "llama": lambda **more: LlamaConfig(**GROUPED, **more),
    "qwen2": lambda **more: Qwen2Config(**GROUPED, **more),
    "qwen3": lambda **more: Qwen3Config(**GROUPED, head_dim=32, **more),
    # Caps the logits, by a value small enough to matter to a random model.
    "gemma2": lambda **more: Gemma2Config(**GROUPED, head_dim=32, final_logit_softcapping=3.0, **more),
    "gemma3": lambda **more: Gemma3TextConfig(**GROUPED, head_dim=32, sliding_window=8, **more),
    # Divides and multiplies the logits.
    "granite": lambda **more: GraniteConfig(**GROUPED, logits_scaling=8.0, **more),
    "cohere": lambda **more: CohereConfig(**GROUPED, logit_scale=0.25, **more),
    # The inner model is called otherwise; learned positions; an output layer with a bias.
    "gpt2": lambda **more: GPT2Config(**OLD_NAMES, **more),
    "gpt_neox": lambda **more: GPTNeoXConfig(**SPECIAL, **WIDE, max_position_embeddings=128, **more),
    "phi": lambda **more: PhiConfig(**GROUPED, **more),
    # Its forward calls a part of its inner model.
    "opt": lambda **more: OPTConfig(
        **SPECIAL, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, ffn_dim=96, **more
    ),
}  # fmt: skip
"""Family -> configuration, with settings of one's own."""


def causal_model(family: str, dtype: str = "float32", **settings) -> torch.nn.Module:
    """A random model of a family, with weights large enough for its logits to differ."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[family](**settings))
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.mul_(4)
    return model.to(getattr(torch, dtype)).eval()
