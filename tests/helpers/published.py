"""A model folder in the shape of published ones, not only of what the installed versions write."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

PUBLISHED = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "max_window_layers": 21,
    "model_type": "qwen2",
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000,
    "sliding_window": 4096,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.44.0",
    "use_cache": True,
    "use_mrope": False,
    "use_sliding_window": False,
}
"""Keys of the published `config.json` of DeepSeek-R1-Distill-Qwen-1.5B, sizes and ids aside."""

SIZES = [
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "tie_word_embeddings",
    "vocab_size",
    "eos_token_id",
]


def as_published(model: Path, folder: Path) -> Path:
    """Copy a model in the shape of a folder that transformers 4.44 wrote in bfloat16."""
    shutil.copytree(model, folder)
    own = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**PUBLISHED, **{key: own[key] for key in SIZES}}))
    store(folder, torch.bfloat16)
    return folder


def store(folder: Path, dtype: torch.dtype) -> None:
    """Write the weights in another precision; the configuration stays as it is."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: weight.to(dtype) for name, weight in weights.items()}, folder / "model.safetensors")
