"""Start vLLM in this process."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rlvr.config.choices import DType
from rlvr.errors import UserError
from rlvr.rollout.engines.factory import NO_VLLM

if TYPE_CHECKING:
    from transformers import PretrainedConfig

REQUIRED = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process: weights are handed over, not sent
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # jobs side by side would all be bound to the same cores
    "VLLM_NO_USAGE_STATS": "1",
}
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The largest ranks for which vLLM can make room."""
BLOCK = 128
"""Tokens of a block of the key-value cache, at most."""
SHARE = 0.8
"""Share of the free GPU memory that vLLM takes; the rest is for the trainer's optimizer."""


def import_vllm() -> Any:
    """Import vLLM with the settings of this project.

    Raises:
        UserError: it is not installed, or does not fit the other packages.
    """
    os.environ.update(REQUIRED)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # it warns of every layer in every sync
    try:
        vllm = importlib.import_module("vllm")
        importlib.import_module("vllm.lora.request")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "vllm":
            raise UserError(NO_VLLM) from None
        raise UserError(f"vLLM cannot be imported ({error}); reinstall it (docs/engines.md)") from None
    return vllm


def start_llm(
    folder: Path,
    config: "PretrainedConfig",
    device: torch.device,
    dtype: DType,
    batch_size: int,
    longest: int,
    lora_rank: int,
) -> Any:
    """Return an `LLM` whose weights are still random; arguments as for :class:`VllmEngine`.

    Raises:
        UserError: vLLM cannot serve the model.
    """
    vllm = import_vllm()
    settings: dict[str, Any] = {
        "model": str(folder),
        "skip_tokenizer_init": True,
        "load_format": "dummy",
        "model_impl": "vllm",  # not Transformers' implementation, which vLLM falls back to
        "generation_config": "vllm",  # none of the model's own defaults
        "logprobs_mode": "processed_logprobs",  # those of the logits that the temperature has divided
        "dtype": dtype,
        "max_model_len": longest,
        "max_num_seqs": batch_size,
        "seed": 0,
    }
    if lora_rank:
        settings |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _room(lora_rank)}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        settings |= {"enable_sleep_mode": True, "gpu_memory_utilization": SHARE * free / total}
    else:
        cache = batch_size * (longest + BLOCK) * _bytes_per_token(config, dtype)
        settings |= {"enforce_eager": True, "kv_cache_memory_bytes": cache}
    with explained(folder, config):
        return vllm.LLM(**settings)


@contextmanager
def explained(folder: Path, config: "PretrainedConfig") -> Iterator[None]:
    """Turn an error of vLLM before anything has been sampled into a message with a way out.

    Raises:
        UserError: vLLM fails, but for want of memory, which says nothing about the model.
    """
    try:
        yield
    except (UserError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # of many kinds
        raise UserError(
            f"{folder}: vLLM cannot serve this model of family {config.model_type!r} ({_shortened(error)}); "
            "use engine: transformers"
        ) from error


def _room(rank: int) -> int:
    fitting = [room for room in LORA_RANKS if room >= rank]
    if not fitting:
        raise UserError(
            f"vLLM hot-loads adapters up to rank {LORA_RANKS[-1]}, and this one has {rank}; "
            "use training.sync: merged"
        )
    return fitting[0]


def _bytes_per_token(config: "PretrainedConfig", dtype: DType) -> int:
    """Return the size of keys and values of one token in all layers."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * getattr(torch, dtype).itemsize)


def _shortened(error: Exception) -> str:
    """Return a message, sometimes of many lines, in one of bounded length."""
    return " ".join(str(error).split())[:500] or type(error).__name__
