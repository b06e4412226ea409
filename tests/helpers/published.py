"""Model folders in the shape of published ones, not only of what the installed versions write."""

import json
import shutil
from pathlib import Path
from typing import Any

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

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "mlp_bias": False,
    "model_type": "llama",
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}

FAMILIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "r1-distill": (
        {**PUBLISHED, "tie_word_embeddings": False},
        {"_from_model_config": True, "do_sample": True, "temperature": 0.6, "top_p": 0.95}
        | {"bos_token_id": 1, "eos_token_id": 1, "transformers_version": "4.39.3"},
    ),
    "qwen2.5": (
        {**PUBLISHED, "rope_theta": 1000000.0, "transformers_version": "4.43.1", "tie_word_embeddings": True},
        {"do_sample": True, "pad_token_id": 0, "eos_token_id": [1, 0], "repetition_penalty": 1.1}
        | {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "transformers_version": "4.37.0"},
    ),
    "llama-3.2": (
        {**LLAMA, "head_dim": 32, "rope_theta": 500000.0, "tie_word_embeddings": True}
        | {"transformers_version": "4.45.0.dev0", "eos_token_id": [1, 0]}
        | {"rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0}
           | {"original_max_position_embeddings": 64, "rope_type": "llama3"}},
        {"do_sample": True, "eos_token_id": [1, 0], "temperature": 0.6, "top_p": 0.9},
    ),
    "old-llama": (
        {key: value for key, value in LLAMA.items() if key not in ("architectures", "torch_dtype")}
        | {"rope_scaling": {"type": "linear", "factor": 2.0}, "transformers_version": "4.31.0"}
        | {"tie_word_embeddings": False},
        {"temperature": 0.9, "top_p": 0.6, "eos_token_id": 1, "transformers_version": "4.31.0"},
    ),
    "smollm2": (
        {**LLAMA, "is_llama_config": True, "rope_interleaved": False, "rope_scaling": None}
        | {"rope_theta": 100000, "tie_word_embeddings": True, "transformers_version": "4.42.3"},
        {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0},
    ),
    "gemma-3": (
        {"architectures": ["Gemma3ForCausalLM"], "attn_logit_softcapping": None}
        | {"cache_implementation": "hybrid", "model_type": "gemma3_text", "rope_scaling": None}
        | {"final_logit_softcapping": None, "hidden_activation": "gelu_pytorch_tanh", "head_dim": 32}
        | {"query_pre_attn_scalar": 32, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000}
        | {"rope_theta": 1000000, "sliding_window": 512}
        | {"sliding_window_pattern": 2, "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0"},
        {"cache_implementation": "hybrid", "do_sample": True, "eos_token_id": [1, 0], "top_k": 64},
    ),
}  # fmt: skip
"""Family -> keys of its published `config.json`, sizes aside, and its `generation_config.json`."""

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

CARD = "---\nlicense: other\nlicense_name: some-licence\nlicense_link: LICENSE\n---\n# A model\n"


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


def published(family: str, folder: Path) -> Path:
    """Write a small random model as its family is published: shards, old keys, and the files beside them."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from rlvr.models.tiny import build_tokenizer

    tokenizer = build_tokenizer()
    keys, generation = FAMILIES[family]
    sizes = {
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 512, "vocab_size": 128, "bos_token_id": 1,
        "eos_token_id": 1, "pad_token_id": 0,
    }  # fmt: skip
    folder.mkdir()
    write(folder / "config.json", {**sizes, **keys})
    write(folder / "generation_config.json", generation)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    tied = model.all_tied_weights_keys
    weights = {name: weight for name, weight in model.state_dict().items() if name not in tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    shard(folder)
    tokenizer.save_pretrained(folder)
    old_tokenizer_files(folder)
    (folder / "README.md").write_text(CARD)
    (folder / "LICENSE").write_text("The licence.\n")
    save_file(weights, folder / "consolidated.safetensors")
    (folder / "original").mkdir()
    (folder / "original" / "params.json").write_text("{}")
    (folder / "pytorch_model.bin.index.json").write_text("{}")
    return folder


def shard(folder: Path) -> None:
    """Split the weights into two files, named as the hub has them."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, part in parts.items() for name in part}
    write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def old_tokenizer_files(folder: Path) -> None:
    """Move the chat template into `tokenizer_config.json`, with all added tokens, as before 2025."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    template = folder / "chat_template.jinja"
    added = {str(token.pop("id")): token for token in tokenizer["added_tokens"]}
    settings = {"added_tokens_decoder": added, "chat_template": template.read_text()}
    write(folder / "tokenizer_config.json", {**config, **settings})
    write(folder / "special_tokens_map.json", {"eos_token": "<|eos|>", "pad_token": "<|pad|>"})
    template.unlink()


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def change(path: Path, **values: Any) -> None:
    """Replace keys of a JSON file; None removes one."""
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in values}
    write(path, kept | {key: value for key, value in values.items() if value is not None})
