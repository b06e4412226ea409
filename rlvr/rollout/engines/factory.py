"""The factory: the one place that knows which engines there are."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rlvr.config.choices import DType, EngineName
from rlvr.config.training import Batching
from rlvr.errors import UserError
from rlvr.rollout.engines.base import LoadedEngine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_VLLM = (
    "engine vllm: vLLM is not installed in this environment; install it beside the rest (docs/engines.md), "
    "or use engine: transformers"
)


def missing_engine(name: EngineName) -> str | None:
    """Return why an engine cannot be used here, or None if it is installed."""
    return NO_VLLM if name == "vllm" and importlib.util.find_spec("vllm") is None else None


def make_engine(
    name: EngineName,
    model: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    dtype: DType,
    batch_size: int,
    longest: int,
    weight_dtype: DType | None = None,
    adapter: Path | None = None,
    batching: Batching = "static",
    lora_rank: int = 0,
) -> LoadedEngine:
    """Return an engine that serves the weights of a prepared model folder, or an exported run on it.

    Args:
        name: which engine.
        model: prepared model folder.
        tokenizer: its tokenizer.
        dtype: precision in which the engine computes.
        batch_size: completions sampled at once.
        longest: tokens of the longest prompt and completion together; vLLM makes room for them.
        weight_dtype: precision to which all weights are rounded; None: ``dtype`` for the model, and an
            adapter as it is saved.
        adapter: exported run to serve as its users load it, an adapter beside the model and not merged; not
            with vLLM.
        batching: whether completions start together or one that ends makes room for the next; vLLM's do the
            latter.
        lora_rank: largest rank of the low-rank updates that vLLM is to be sent; 0: none.

    Raises:
        UserError: the folder holds no model, or the other no exported run; or vLLM is not installed, or
            cannot serve the model.
    """
    if reason := missing_engine(name):
        raise UserError(reason)
    match name:
        case "transformers":
            import torch

            from rlvr.methods.weights import load_exported
            from rlvr.models.load import load_model
            from rlvr.rollout.engines.transformers import TransformersEngine

            served = load_model(model, dtype)
            if adapter:
                load_exported(served, adapter)
            rounded = cast("torch.dtype", getattr(torch, weight_dtype)) if weight_dtype else None
            return TransformersEngine(served, tokenizer, batch_size, rounded, batching)
        case "vllm":
            from rlvr.rollout.engines.vllm import VllmEngine

            if adapter:
                raise UserError(
                    "engine vllm serves merged weights; set evaluation.merged_dtype, or engine: transformers"
                )
            return VllmEngine(model, tokenizer, dtype, weight_dtype or dtype, batch_size, longest, lora_rank)
