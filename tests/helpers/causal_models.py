"""Tiny causal language models that differ after or around the decoder blocks, with the built-in tokenizer."""

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from rlvr.models.tiny import build_tokenizer
from tests.helpers.families import DEVICE, family_config

TOKENS = {"vocab_size": len(build_tokenizer()), "pad_token_id": 0, "eos_token_id": 1}

HEADS = {
    **{"llama": {}, "qwen2": {}, "qwen3": {}, "gemma3_text": {}},
    # Caps the logits, by a value small enough to matter to a random model.
    "gemma2": {"final_logit_softcapping": 3.0},
    # Divides and multiplies the logits.
    **{"granite": {}, "cohere": {"logit_scale": 0.25}},
    # The inner model is called otherwise; learned positions; an output layer with a bias.
    **{"gpt2": {}, "gpt_neox": {}, "phi": {}},
    # Its forward calls a part of its inner model.
    "opt": {},
}
"""Family -> what it has besides the settings of :data:`tests.helpers.families.FAMILIES`."""


def causal_config(family: str, **settings) -> PretrainedConfig:
    """The configuration of a family, with settings of one's own."""
    return family_config(
        family, **TOKENS | {"max_position_embeddings": 128} | HEADS.get(family, {}) | settings
    )


def causal_model(family: str, dtype: str = "float32", **settings) -> torch.nn.Module:
    """A random model of a family, with weights large enough for its logits to differ."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(causal_config(family, **settings))
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.mul_(4)
    return model.to(DEVICE, getattr(torch, dtype)).eval()
