"""The factory: the one place that knows which engines there are."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from rlvr.config.schema import Batching, DType
from rlvr.rollout.engines.base import LoadedEngine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EngineName = Literal["transformers"]


def make_engine(
    name: EngineName,
    model: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    dtype: DType,
    batch_size: int,
    weight_dtype: DType | None = None,
    adapter: Path | None = None,
    batching: Batching = "static",
) -> LoadedEngine:
    """Return an engine that serves the weights of a prepared model folder, or an exported run on it.

    Args:
        name: which engine.
        model: prepared model folder.
        tokenizer: its tokenizer.
        dtype: precision in which the engine computes.
        batch_size: completions sampled at once.
        weight_dtype: precision to which all weights are rounded; None: ``dtype`` for the model, and an
            adapter as it is saved.
        adapter: exported run to serve as its users load it, an adapter beside the model and not merged.
        batching: whether completions start together or one that ends makes room for the next.

    Raises:
        UserError: the folder holds no model, or the other no exported run.
    """
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
